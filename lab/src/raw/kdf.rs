//! Key derivations: GUK-ID, XML keys, DPCK (TS 33.180 F.1) and SRTP master keys (7.4).

use super::args::{Args, Field, Type};
use super::error::{Error, Kind};
use super::op::{Op, Results, hex, results};
use ::mikey::{CryptoSession, media_keys};
use mc_ids::annex_f::{self, XpkIdEncoding};
use mc_ids::{Csk, Gmk, GmkId, Key128 as _, KeyId};

/// How the XPK-ID enters the derivation of F.1.4, which gives no example (UNVERIFIED).
pub(super) const KEY_ID_ENCODING: Field =
    Field::new("key_id_encoding", Type::Word(&["binary", "base64"])).optional();

pub(super) const OPS: &[Op] = &[
    Op {
        name: "kdf.guk_id",
        fields: &[
            Field::hex("gmk"),
            Field::hex("gmk_id"),
            Field::new("uri", Type::Text),
        ],
        either: &[],
        results: &[Field::hex("guk_id")],
        about: "GUK-ID of a group member (5.2.3, F.1.3)",
        run: guk_id,
    },
    Op {
        name: "kdf.xml",
        fields: &[
            Field::hex("key"),
            Field::hex("key_id"),
            Field::new("uri", Type::Text),
            Field::new("use", Type::Word(&["confidentiality", "integrity"])),
            KEY_ID_ENCODING,
        ],
        either: &[],
        results: &[Field::hex("key")],
        about: "key of XML protection from a CSK or SPK (F.1.4); `key_id_encoding` is binary \
                unless given",
        run: xml,
    },
    Op {
        name: "kdf.dpck",
        fields: &[Field::hex("dppk"), Field::hex("dppk_id")],
        either: &[],
        results: &[Field::hex("dpck")],
        about: "MCData payload key, also of MIKEY key parameters (F.1.5)",
        run: dpck,
    },
    Op {
        name: "kdf.srtp",
        fields: &[
            Field::hex("key"),
            Field::new("cs_id", Type::Integer),
            Field::hex("csb_id"),
            Field::hex("rand"),
        ],
        either: &[],
        results: &[Field::hex("master_key"), Field::hex("master_salt")],
        about: "SRTP master key and salt (7.4, RFC 3830 4.1.3); `cs_id` of table E.1.3-1, for \
                group media `csb_id` is the sender's GUK-ID",
        run: srtp,
    },
];

fn guk_id(args: &Args<'_>) -> Results {
    let id = KeyId(args.u32("gmk_id")?);
    let id = GmkId::try_from(id).map_err(|e| Error::new(Kind::Purpose, e.to_string()))?;
    let gmk = Gmk::from_octets(args.array("gmk")?);
    let guk_id = annex_f::guk_id(&gmk, id, args.identity("uri")?);
    results([("guk_id", hex(guk_id.octets()))])
}

/// The encoding a request asks for.
pub(super) fn key_id_encoding(args: &Args<'_>) -> XpkIdEncoding {
    match args.text("key_id_encoding") {
        "base64" => XpkIdEncoding::Base64Ascii,
        _ => XpkIdEncoding::Binary4,
    }
}

fn xml(args: &Args<'_>) -> Results {
    let (key, id) = (
        Csk::from_octets(args.array("key")?),
        KeyId(args.u32("key_id")?),
    );
    let keys = annex_f::xml_keys(&key, id, args.identity("uri")?, key_id_encoding(args));
    let key = match args.text("use") {
        "integrity" => keys.integrity,
        _ => keys.confidentiality,
    };
    results([("key", hex(key))])
}

fn dpck(args: &Args<'_>) -> Results {
    let dpck = annex_f::dpck(&args.array("dppk")?, KeyId(args.u32("dppk_id")?));
    results([("dpck", hex(dpck))])
}

fn srtp(args: &Args<'_>) -> Results {
    let cs_id = args.small::<u8>("cs_id")?.unwrap_or_default();
    let session = CryptoSession::of_cs_id(cs_id);
    let session = session.ok_or_else(|| {
        Error::new(
            Kind::Range,
            format!("cs_id {cs_id} is not in table E.1.3-1 (0 to 9)"),
        )
    })?;
    let (key, csb_id) = (
        Csk::from_octets(args.array("key")?),
        KeyId(args.u32("csb_id")?),
    );
    let keys = media_keys(&key, session, csb_id, &args.octets("rand")?);
    results([
        ("master_key", hex(keys.master_key)),
        ("master_salt", hex(keys.master_salt)),
    ])
}
