//! The vectors as requests: RFC 6507, 6508, 3394, 5649 and 7714, libsrtp's own test, and the tables
//! and messages on which implementations of TS 33.180 agree.

#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value read by name or place is null where there is nothing"
)]

use super::{Case, Expected};
use serde_json::{Value, json};

/// Every case.
pub(in crate::raw) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    eccsi(&mut cases);
    sakke(&mut cases);
    uid(&mut cases);
    kdf(&mut cases);
    mikey(&mut cases);
    srtp(&mut cases);
    wrap(&mut cases);
    documents(&mut cases);
    cases
}

fn file(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn add(cases: &mut Vec<Case>, name: impl Into<String>, request: Value, expected: Value) {
    cases.push(Case {
        name: name.into(),
        request,
        expected: Expected::Fields(expected),
    });
}

fn refuse(cases: &mut Vec<Case>, name: impl Into<String>, request: Value, kind: &'static str) {
    cases.push(Case {
        name: name.into(),
        request,
        expected: Expected::Refused(kind),
    });
}

/// The text with its last hexadecimal digit changed.
fn spoilt(value: &Value) -> String {
    let mut text = value.as_str().unwrap_or_default().to_owned();
    let last = text.pop();
    text.push(if last == Some('0') { '1' } else { '0' });
    text
}

fn eccsi(cases: &mut Vec<Case>) {
    let v = file(include_str!("../../../../tests/vectors/rfc6507.json"));
    let name = "RFC 6507 Appendix A";
    let (id, kpak, pvt, ssk) = (&v["ID"], &v["KPAK"], &v["PVT"], &v["SSK"]);
    let own = json!({"kpak": kpak, "id": id, "ssk": ssk, "pvt": pvt});
    let with = |op: &str, more: Value| merged(&own, &merged(&json!({"op": op}), &more));
    add(
        cases,
        name,
        json!({"op": "eccsi.public", "ksak": v["KSAK"]}),
        json!({"kpak": kpak}),
    );
    let request = json!({"op": "eccsi.keypair", "ksak": v["KSAK"], "id": id, "v": v["v"]});
    add(cases, name, request, json!({"ssk": ssk, "pvt": pvt}));
    add(cases, name, with("eccsi.validate", json!({})), json!({}));
    let wrong = with("eccsi.validate", json!({"ssk": spoilt(ssk)}));
    refuse(cases, "another SSK", wrong, "mismatch");
    let request = with("eccsi.sign", json!({"message": v["M"], "j": v["j"]}));
    add(cases, name, request, json!({"signature": v["Sig"]}));
    let verify = |message: Value, signature: Value| json!({"op": "eccsi.verify", "kpak": kpak, "id": id, "message": message, "signature": signature});
    add(
        cases,
        name,
        verify(v["M"].clone(), v["Sig"].clone()),
        json!({}),
    );
    refuse(
        cases,
        "another message",
        verify(json!("00"), v["Sig"].clone()),
        "signature",
    );
    refuse(
        cases,
        "no signature",
        verify(v["M"].clone(), json!("00")),
        "length",
    );
}

fn sakke(cases: &mut Vec<Case>) {
    let v = file(include_str!("../../../../tests/vectors/rfc6508.json"));
    let name = "RFC 6508 Appendix A";
    let (z, public, id, rsk) = (&v["z"], &v["Z_encoded"], &v["b"], &v["RSK_encoded"]);
    let (ssv, sed) = (&v["SSV"], &v["SED_encoded"]);
    add(
        cases,
        name,
        json!({"op": "sakke.public", "z": z}),
        json!({"public": public}),
    );
    add(
        cases,
        name,
        json!({"op": "sakke.rsk", "z": z, "id": id}),
        json!({"rsk": rsk}),
    );
    let validate = json!({"op": "sakke.validate", "public": public, "id": id, "rsk": rsk});
    add(cases, name, validate.clone(), json!({}));
    refuse(
        cases,
        "another identifier",
        merged(&validate, &json!({"id": "00"})),
        "mismatch",
    );
    let seal = json!({"op": "sakke.encapsulate", "public": public, "id": id, "ssv": ssv});
    add(cases, name, seal, json!({"sed": sed}));
    let open =
        json!({"op": "sakke.decapsulate", "public": public, "id": id, "rsk": rsk, "sed": sed});
    add(cases, name, open.clone(), json!({"ssv": ssv}));
    refuse(
        cases,
        "another H",
        merged(&open, &json!({"sed": spoilt(sed)})),
        "decapsulation",
    );
    refuse(
        cases,
        "R off the curve",
        merged(&open, &json!({"sed": "04".repeat(273)})),
        "off-curve",
    );
}

fn uid(cases: &mut Vec<Case>) {
    let rows = [
        (
            2_592_000,
            0,
            1,
            "74e2af803ab5d72841bbced0ce319ffe64f6fe23c88a2d258aabcf6ac5658ef4",
        ),
        (
            10,
            0,
            10,
            "94fb1a697c15d7e9d6b7062066affebda2d9e346e0090d67525c0c3ce666eafa",
        ),
        (
            25_920_000,
            100,
            1,
            "3c0ad8828cfae1ad1d08b27cc7b61258c6cfcd405081b68cd778f1e1c7f562a7",
        ),
        (
            25_920_000,
            100,
            2048,
            "c88b3fa5e36a08985d10f7b31a631b0265e8249f0312435e4984dbc3765c7f0c",
        ),
        (
            25_920_000,
            45_920_000,
            20_393_844,
            "8dc05540167345538475101514f4eabd384abd6ba665782abb312ecaf05934e1",
        ),
    ];
    let request = |period: u64, offset: u64| {
        json!({"op": "uid", "uri": "sip:user@example.org", "kms_uri": "kms.example.org",
            "period": period, "offset": offset})
    };
    for (period, offset, number, uid) in rows {
        let request = merged(&request(period, offset), &json!({"number": number}));
        add(
            cases,
            "deployed implementation",
            request,
            json!({"uid": uid, "number": number}),
        );
    }
    let by_time = merged(
        &request(2_592_000, 0),
        &json!({"ntp_seconds": 0xD6B4_3232_u32}),
    );
    add(
        cases,
        "time of TS 33.180 D.2.4",
        by_time,
        json!({"number": 1389}),
    );
    refuse(cases, "neither number nor time", request(10, 0), "field");
    refuse(
        cases,
        "no period",
        merged(&request(0, 0), &json!({"number": 1})),
        "field",
    );
}

fn kdf(cases: &mut Vec<Case>) {
    let (gmk, id) = ("fcfe65cd967c58d260b603ccb9a887a9", "09bf9d37");
    let rows = [
        ("sip:p25user01@etherstack.com", gmk, id, "01c8de7b"),
        ("sip:p25user02@etherstack.co.jp", gmk, id, "0abe69d0"),
        ("sip:92100002447@att.com", gmk, id, "0c449727"),
        (
            "sip:P25SU-00003002000531@server-dev43-ws.streamwideus.com",
            "52079f77690731437e407a5b4845aab3",
            "03f3453d",
            "0e0e03f2",
        ),
    ];
    for (uri, gmk, gmk_id, guk_id) in rows {
        let request = json!({"op": "kdf.guk_id", "gmk": gmk, "gmk_id": gmk_id, "uri": uri});
        add(cases, "two vendors", request, json!({"guk_id": guk_id}));
    }
    let request = json!({"op": "kdf.guk_id", "gmk": gmk, "gmk_id": "19bf9d37", "uri": "sip:a@b"});
    refuse(cases, "tag of a PCK", request, "purpose");
    for (usage, key) in [
        ("confidentiality", "d28067cf2f7b6be064b685a0a2cd9ee2"),
        ("integrity", "ed48a33b5f65520194d249438377150e"),
    ] {
        let request = json!({"op": "kdf.xml", "key": "e06e65106183547342d3e8a6ce2540a8",
            "key_id": "2ddd5bf0", "uri": "sip:alice@example.org", "use": usage});
        add(cases, "independent program", request, json!({"key": key}));
    }
    let request = json!({"op": "kdf.dpck", "dppk": "07d1a1677ac36d8e81620484689b3c2d", "dppk_id": "082c7b7a"});
    add(
        cases,
        "independent program",
        request,
        json!({"dpck": "18cad6b5949292118d3fdf780c635e67"}),
    );
    let rand = "6819e679461120e10ac458cce67b8024";
    let rows = [
        (
            gmk,
            4,
            "01c8de7b",
            rand,
            "64837d2b4d69a266e4489d3807353ad9",
            "8b2f081ce8e8bdab1f8d9eb8",
        ),
        (
            gmk,
            4,
            "0abe69d0",
            rand,
            "de81b70c4ae0ff3f79364df586c2e0ce",
            "750ea7422b4d5a8ff475c6d5",
        ),
        (
            gmk,
            4,
            "0c449727",
            rand,
            "f097ac3325f1f784bc8ba4112c5e5f88",
            "97a154fb24efbfb353a265e2",
        ),
        (
            "28ba74447f037dcc09ad7f2576dc2def",
            6,
            "1c5f7886",
            "30333032343661303730646133333265",
            "185d08cb5a226d19d71679adf5e415be",
            "d1d648b2a0040633a3dd72e5",
        ),
    ];
    for (key, cs_id, csb_id, rand, master_key, master_salt) in rows {
        let request =
            json!({"op": "kdf.srtp", "key": key, "cs_id": cs_id, "csb_id": csb_id, "rand": rand});
        let expected = json!({"master_key": master_key, "master_salt": master_salt});
        add(cases, "vendors", request, expected);
    }
}

/// The domain of a vector file as `certificates` and `keysets`.
fn domain(v: &Value, kms_uri: &str, period: u64, sets: &[Value]) -> Value {
    let certificate = json!({"kms_uri": kms_uri, "public_encryption": v["PubEncKey"],
        "public_authentication": v["PubAuthKey"], "period": period, "offset": 0});
    json!({"certificates": [certificate], "keysets": sets})
}

fn annex_e_domain(v: &Value) -> Value {
    let set = |k: &Value| {
        json!({"uri": k["uri"], "uid": k["uid"], "decrypt_key": k["rsk"], "ssk": k["ssk"],
            "pvt": k["pvt"], "number": 1531})
    };
    let sets = v["identities"]
        .as_array()
        .map(|all| all.iter().map(set).collect::<Vec<_>>());
    domain(v, "kms.example.org", 2_592_000, &sets.unwrap_or_default())
}

fn deployed_domain(v: &Value) -> Value {
    let set = |(uri, k): (&String, &Value)| {
        json!({"uri": uri, "uid": k["UserID"], "decrypt_key": k["UserDecryptKey"],
            "ssk": k["UserSigningKeySSK"], "pvt": k["UserPubTokenPVT"], "number": 236})
    };
    let sets = v["identities"]
        .as_object()
        .map(|all| all.iter().map(set).collect::<Vec<_>>());
    domain(
        v,
        "kms.mydev.streamwide.com",
        16_777_215,
        &sets.unwrap_or_default(),
    )
}

fn mikey(cases: &mut Vec<Case>) {
    let file = file(include_str!("../../../../tests/vectors/mikey.json"));
    let deployed = &file["deployed"];
    let keys = deployed_domain(deployed);
    for message in deployed["messages"].as_array().into_iter().flatten() {
        let kind = ["gmk", "csk", "pck"];
        let kind = kind
            .into_iter()
            .find(|k| message.get(k.to_uppercase()).is_some());
        let kind = kind.unwrap_or_default();
        let request = json!({"op": "mikey.open", "message": message["I_MESSAGE_base64"]});
        let upper = kind.to_uppercase();
        let expected = json!({"kind": kind, "key": message[&upper], "rand": message["RAND"],
            "key_id": message[format!("{upper}_ID")]});
        let name = message["name"].as_str().unwrap_or_default();
        add(
            cases,
            format!("deployed: {name}"),
            merged(&keys, &request),
            expected,
        );
    }
    let keys = annex_e_domain(&file["provisioning"]);
    let annex_e = &file["annex_e"];
    let ends = [
        (
            "gmk",
            "sip:gms@example.org",
            "sip:alice@example.org",
            "082c7b7a",
        ),
        (
            "csk",
            "sip:alice@example.org",
            "mdsi.example.org",
            "2ddd5bf0",
        ),
        (
            "pck",
            "sip:alice@example.org",
            "sip:bob@example.org",
            "16992638",
        ),
    ];
    for (kind, from, to, csb_id) in ends {
        let (v, upper) = (&annex_e[kind], kind.to_uppercase());
        let common = json!({"kind": kind, "key": v[&upper], "key_id": v[format!("{upper}_ID")],
            "rand": v["RAND"], "initiator": from, "responder": to});
        let open =
            json!({"op": "mikey.open", "message": v["I_MESSAGE_base64"], "at": "ec898da800000000"});
        let told = json!({"csb_id": csb_id, "variants": [], "kms_initiator": "kms.example.org"});
        add(
            cases,
            "Annex E",
            merged(&keys, &open),
            merged(&common, &told),
        );
        let late = merged(&open, &json!({"at": "2026-11-24T01:02:03Z"}));
        refuse(cases, "Annex E, too late", merged(&keys, &late), "time");
        let mut make = merged(&keys, &common);
        let more = json!({"op": "mikey.make", "time": "ec898da800000000", "to_self": kind == "pck",
            "iv": iv_of(v), "j": format!("{:064x}", 0x34567)});
        make = merged(&make, &more);
        if kind == "gmk" {
            let parameters =
                json!({"status": 1, "activation": 0, "expiry": 0, "text": "", "groups": []});
            make = merged(&make, &json!({"key_parameters": parameters}));
        }
        let made = json!({"message": v["I_MESSAGE_base64"], "csb_id": csb_id});
        add(cases, "Annex E, made again", make, made);
    }
    let own =
        json!({"op": "mikey.open", "message": annex_e["pck"]["I_MESSAGE_base64"], "to_self": true});
    let pck = json!({"key": annex_e["pck"]["PCK"]});
    add(cases, "Annex E, SAKKE-to-self", merged(&keys, &own), pck);
    refuse(
        cases,
        "no message",
        merged(&keys, &json!({"op": "mikey.open", "message": "AAAA"})),
        "malformed",
    );
}

/// The initialisation vector of key parameters, read from the message; zeros if it has none.
fn iv_of(message: &Value) -> String {
    use base64::Engine as _;
    let text = message["I_MESSAGE_base64"].as_str().unwrap_or_default();
    let octets = base64::prelude::BASE64_STANDARD
        .decode(text)
        .unwrap_or_default();
    let head = [0x07, 0x00, 0x47, 0x43];
    let at = octets.windows(4).position(|window| window == head);
    let iv = at.and_then(|at| octets.get(at + 15..at + 31));
    iv.map_or_else(|| "00".repeat(16), hex::encode)
}

fn srtp(cases: &mut Vec<Case>) {
    let mki = "09bf9d3701c8de7b";
    let rfc = json!({"master_key": "000102030405060708090a0b0c0d0e0f",
        "master_salt": "517569642070726f2071756f", "mki": mki, "keys": "session"});
    let rtp = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
    let sealed = format!(
        "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f\
        42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce{mki}"
    );
    both_ways(cases, "RFC 7714 16.1.1", "srtp", &rfc, (rtp, &sealed));
    let rtcp = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
    let sealed = format!(
        "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32d\
        c676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4{mki}"
    );
    let request = merged(
        &rfc,
        &json!({"op": "srtcp.protect", "packets": [rtcp], "index": 0x5d4}),
    );
    add(
        cases,
        "RFC 7714 17.1",
        request,
        json!({"packets": [&sealed]}),
    );
    let request = merged(
        &rfc,
        &json!({"op": "srtcp.unprotect", "packets": [&sealed]}),
    );
    add(cases, "RFC 7714 17.1", request, json!({"packets": [rtcp]}));
    // test/srtp_driver.c of libsrtp, "AEAD_AES_128_GCM"; without an MKI there.
    let driver = json!({"master_key": "000102030405060708090a0b0c0d0e0f",
        "master_salt": "a0a1a2a3a4a5a6a7a8a9aaab", "mki": mki});
    let rtp = format!("800f1234decafbadcafebabe{}", "ab".repeat(16));
    let sealed = format!(
        "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201\
        df3131a127e8a392{mki}"
    );
    both_ways(
        cases,
        "libsrtp's own test",
        "srtp",
        &driver,
        (&rtp, &sealed),
    );
    let rtcp = format!("81c8000bcafebabe{}", "ab".repeat(16));
    let sealed = format!(
        "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123b\
        a88ce61e80000001{mki}"
    );
    both_ways(
        cases,
        "libsrtp's own test",
        "srtcp",
        &driver,
        (&rtcp, &sealed),
    );
    let group = json!({"master_key": "64837d2b4d69a266e4489d3807353ad9",
        "master_salt": "8b2f081ce8e8bdab1f8d9eb8", "mki": mki, "rcc": true});
    let rtp = format!(
        "806f0001000000a012345678{}",
        hex::encode("MCPTT voice frame")
    );
    let sealed = "806f0001000000a012345678874f052f98971df1bb812a53b7705d9d3352071519a948ef14c0\
        6df55f4b9721ec09bf9d3701c8de7b00000000";
    both_ways(
        cases,
        "two vendors and libsrtp",
        "srtp",
        &group,
        (&rtp, sealed),
    );
    let twice = merged(
        &group,
        &json!({"op": "srtp.unprotect", "packets": [sealed, sealed]}),
    );
    refuse(cases, "a replay", twice, "replay");
    let other = merged(
        &group,
        &json!({"op": "srtp.unprotect", "packets": [sealed.replace("874f", "874e")]}),
    );
    refuse(cases, "a changed octet", other, "integrity");
    let csk = json!({"master_key": "1ea4fa6630d5f87aa62dbcb7074734a9",
        "master_salt": "b9ffaf7574efa2a286289109", "mki": "2ddd5bf0"});
    let sealed = "80cc00020000abcdeb37cf5e52efe95cafe80b3a801abb27465cf3bd800000012ddd5bf0";
    both_ways(
        cases,
        "independent program",
        "srtcp",
        &csk,
        ("80cc00020000abcd4d435054", sealed),
    );
}

fn both_ways(
    cases: &mut Vec<Case>,
    name: &str,
    op: &str,
    keys: &Value,
    (plain, sealed): (&str, &str),
) {
    for (way, from, to) in [("protect", plain, sealed), ("unprotect", sealed, plain)] {
        let request = json!({"op": format!("{op}.{way}"), "packets": [from]});
        add(
            cases,
            name,
            merged(keys, &request),
            json!({"packets": [to]}),
        );
    }
}

fn wrap(cases: &mut Vec<Case>) {
    let kek = |length: u8| hex::encode((0..length).collect::<Vec<u8>>());
    let (short, long) = (
        "00112233445566778899aabbccddeeff",
        "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
    );
    let rows = [
        (
            "RFC 3394 4.1",
            "kw",
            kek(16),
            short,
            "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
        ),
        (
            "RFC 3394 4.2",
            "kw",
            kek(24),
            short,
            "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d",
        ),
        (
            "RFC 3394 4.3",
            "kw",
            kek(32),
            short,
            "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7",
        ),
        (
            "RFC 3394 4.6",
            "kw",
            kek(32),
            long,
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
        ),
        (
            "RFC 5649 6",
            "kwp",
            "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8".to_owned(),
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        (
            "RFC 5649 6",
            "kwp",
            "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8".to_owned(),
            "466f7250617369",
            "afbeb0f07dfbf5419200f2ccb50bb24f",
        ),
    ];
    for (name, mode, kek, plain, wrapped) in rows {
        for (way, from, to) in [("wrap", plain, wrapped), ("unwrap", wrapped, plain)] {
            let request = json!({"op": format!("{way}.{mode}"), "kek": kek, "data": from});
            add(cases, name, request, json!({"data": to}));
        }
        let wrong =
            json!({"op": format!("unwrap.{mode}"), "kek": kek, "data": spoilt(&json!(wrapped))});
        refuse(
            cases,
            format!("{name}, a changed octet"),
            wrong,
            "integrity",
        );
    }
    refuse(
        cases,
        "an RSK does not fit",
        json!({"op": "wrap.kw", "kek": kek(32), "data": "00".repeat(257)}),
        "length",
    );
}

fn documents(cases: &mut Vec<Case>) {
    let v = file(include_str!(
        "../../../../tests/vectors/kms-provisioning.json"
    ));
    let trk = file(include_str!("../../../../tests/vectors/kms-trk-wrap.json"));
    let (alice, text) = (&v["identities"][0], |v: &Value| {
        v.as_str().unwrap_or_default().to_owned()
    });
    let wrapped = format!(
        "<EncryptedKey xmlns=\"http://www.w3.org/2001/04/xmlenc#\"><EncryptionMethod \
         Algorithm=\"http://www.w3.org/2001/04/xmlenc#kw-aes256\"/><CipherData><CipherValue>{}\
         </CipherValue></CipherData></EncryptedKey>",
        text(&trk["kwp_pvt"])
    );
    let xml = format!(
        "<KmsKeySet xmlns=\"urn:3gpp:ns:mcsecKMSInterface:1.0\"><KmsUri>kms.example.org</KmsUri>\
         <UserUri>sip:alice@example.org</UserUri><UserID>{}</UserID><KeyPeriodNo>1531</KeyPeriodNo>\
         <UserDecryptKey>{}</UserDecryptKey><UserSigningKeySSK>{}</UserSigningKeySSK>\
         <UserPubTokenPVT>{wrapped}</UserPubTokenPVT></KmsKeySet>",
        text(&alice["uid"]),
        text(&alice["rsk"]),
        text(&alice["ssk"])
    );
    let set = json!({"uri": "sip:alice@example.org", "uid": alice["uid"], "decrypt_key": alice["rsk"],
        "ssk": alice["ssk"], "pvt": alice["pvt"], "number": 1531});
    let trks = json!([{"name": "tk.12.user@example.org", "key": trk["TrK"]}]);
    let request = json!({"op": "kms.parse", "xml": xml, "trks": trks});
    add(
        cases,
        "a wrapped key set",
        request,
        json!({"keysets": [set], "certificates": []}),
    );
    refuse(
        cases,
        "no transport key",
        json!({"op": "kms.parse", "xml": xml}),
        "key-missing",
    );
    let key = json!({"key": "e06e65106183547342d3e8a6ce2540a8", "key_id": "2ddd5bf0", "uri": "sip:alice@example.org"});
    let plain = "<a><mcpttURI>sip:bob@example.org</mcpttURI></a>";
    let request = json!({"op": "xml.protect", "xml": plain, "elements": ["a"], "iv": "000102030405060708090a0b"});
    let sealed = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a type=\"Encrypted\"><EncryptedData \
        xmlns=\"http://www.w3.org/2001/04/xmlenc#\" Type=\"http://www.w3.org/2001/04/xmlenc#Content\">\
        <EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#aes128-gcm\"/><ds:KeyInfo \
        xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:KeyName>Ld1b8A==</ds:KeyName></ds:KeyInfo>\
        <CipherData><CipherValue>AAECAwQFBgcICQoL/Q41+6zkijYGUVKM3TKheQQMFbXbUywM8brbMNp/CTDptsC2sEpn\
        vsvJ+Cpb6gwgd107e/OFD5A=</CipherValue></CipherData></EncryptedData></a>\n";
    add(
        cases,
        "independent program",
        merged(&key, &request),
        json!({"xml": sealed}),
    );
    let request = json!({"op": "xml.unprotect", "xml": sealed});
    let opened = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a type=\"Normal\"><mcpttURI>sip:bob@example.org</mcpttURI></a>\n";
    add(
        cases,
        "independent program",
        merged(&key, &request),
        json!({"xml": opened, "decrypted": 1}),
    );
    let idle = json!({"type": "floor-idle", "ssrc": "5e4e4f01", "sequence_number": 7, "indicator": 0x8000});
    let request = json!({"op": "floor.encode", "messages": [idle]});
    let encoded = "85cc00045e4e4f014d435054080200070d028000";
    add(
        cases,
        "TS 24.380 8.2.8",
        request,
        json!({"packet": encoded}),
    );
    add(
        cases,
        "TS 24.380 8.2.8",
        json!({"op": "floor.decode", "packet": encoded}),
        json!({"messages": [idle]}),
    );
    let accepted = json!({"type": "acknowledgement", "ssrc": "0a11ce01", "reason": 0});
    add(
        cases,
        "TS 24.380 8.3.6",
        json!({"op": "floor.decode", "packet": "82cc00030a11ce014d43504306020000"}),
        json!({"messages": [accepted]}),
    );
    let sip = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
        To: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    let expected =
        json!({"kind": "response", "status": 200, "reason": "OK", "body": "", "mikey": []});
    add(
        cases,
        "RFC 3261",
        json!({"op": "sip.parse", "message": sip}),
        expected,
    );
    refuse(
        cases,
        "RFC 3261, no Via",
        json!({"op": "sip.parse", "message": sip.replace("Via:", "Vie:")}),
        "malformed",
    );
}

/// The fields of both; the second's count where both have one.
fn merged(first: &Value, second: &Value) -> Value {
    let mut all = first.clone();
    if let (Some(all), Some(more)) = (all.as_object_mut(), second.as_object()) {
        all.extend(
            more.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
    all
}
