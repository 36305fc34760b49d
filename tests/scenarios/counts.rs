//! What the attachment of each approach costs (TR 33.880 7.8.1 to 7.8.5), counted from the wire:
//! tokens, key sets, registrations, CSKs, SPKs and group keys for two radio users.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kms_protocol::{KeySet, KmsKeyProv, KmsMessage, KmsResponse};
use lab::demo::Runner;
use lab::site::Approach;
use lab::speech::Speech;
use mc_sip::{Method, SipMessage};
use mc_trace::Protocol;
use serde_json::Value;
use testkit::recording::Recording;
use testkit::tshark;

use crate::approaches::arrived;
use crate::support::start_site_in;

const MC: &str = "mc.example";
const SEGY: &str = "segy.example";

/// What one approach costs.
struct Costs {
    approach: Approach,
    /// MC service IDs on the MC side, which are all of one domain.
    identities: &'static [&'static str],
    /// Domains whose identity management server gives each of them a token.
    token_domains: &'static [&'static str],
    /// Whether each registers and brings a CSK.
    registered: bool,
    /// SPKs that the bodies of its requests are protected with.
    spks: &'static [&'static str],
    /// Whether its GMS has a group too.
    group_of_its_own: bool,
}

macro_rules! costs_of {
    ($($test:ident: $costs:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            counted($costs).await;
        }
    )*};
}

costs_of! {
    costs_of_7_1: Costs {
        approach: Approach::SingleClient,
        identities: &["sip:segy@mc.example"],
        token_domains: &[MC],
        registered: true,
        spks: &[],
        group_of_its_own: false,
    };
    costs_of_7_2: Costs {
        approach: Approach::ClientPerUser,
        identities: &["sip:unit-2001@mc.example", "sip:unit-2002@mc.example"],
        token_domains: &[MC],
        registered: true,
        spks: &[],
        group_of_its_own: false,
    };
    // Tokens of the home domain for keys and groups, of the gateway's domain to be served there.
    costs_of_7_3: Costs {
        approach: Approach::MigratedClients,
        identities: &["sip:unit-3001@mc.example", "sip:unit-3002@mc.example"],
        token_domains: &[MC, SEGY],
        registered: false,
        spks: &["3a7e0003"],
        group_of_its_own: false,
    };
    // Tokens of the own domain for keys, of the partner's for its groups.
    costs_of_7_4: Costs {
        approach: Approach::ExternalDomain,
        identities: &["sip:unit-4001@segy.example", "sip:unit-4002@segy.example"],
        token_domains: &[MC, SEGY],
        registered: false,
        spks: &["3a7e0004"],
        group_of_its_own: true,
    };
    costs_of_7_5: Costs {
        approach: Approach::ExternalDomainSingleUser,
        identities: &["sip:segy@segy.example"],
        token_domains: &[MC, SEGY],
        registered: false,
        spks: &["3a7e0005"],
        group_of_its_own: false,
    };
}

async fn counted(costs: Costs) {
    let dir = tempfile::tempdir().unwrap();
    let lab = start_site_in(&dir.path().join("lab"), costs.approach).await;
    let logs = lab.state().root().join("logs");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let speech = root.join("target/speech");
    let runner = Runner::start(lab, Speech::load(&speech).unwrap(), |_| ())
        .await
        .unwrap();
    drop(runner.stop().await);
    let run = Recording::read(&logs).unwrap();
    let ours: BTreeSet<String> = costs.identities.iter().map(|id| (*id).to_owned()).collect();
    let domain = mc_ids::domain_of(costs.identities[0]);

    let mut tokens = BTreeMap::new();
    for (holder, domain) in tokens_issued(&run) {
        if ours.contains(&holder) {
            tokens
                .entry(domain)
                .or_insert_with(BTreeSet::new)
                .insert(holder);
        }
    }
    let wanted = costs
        .token_domains
        .iter()
        .map(|d| ((*d).to_owned(), ours.clone()));
    assert_eq!(tokens, wanted.collect::<BTreeMap<_, _>>());

    let key_sets: BTreeSet<_> = key_sets(&run)
        .filter(|set| ours.contains(&set.user_uri))
        .map(|set| (set.user_uri, set.kms_uri.to_string()))
        .collect();
    let kms = format!("kms.{domain}");
    let wanted = ours.iter().map(|user| (user.clone(), kms.clone()));
    assert_eq!(key_sets, wanted.collect());

    let mikey = tshark::check_mikey(&arrived(&run)).unwrap();
    let sent = |carrier: &str, end: usize| -> Vec<&tshark::SeenMikey> {
        let of = mikey.iter().filter(|seen| seen.carrier == carrier);
        of.filter(|seen| ours.contains(&seen.identities[end]))
            .collect()
    };
    let n = if costs.registered { ours.len() } else { 0 };
    assert_eq!(registered(&run).len(), n, "{:?}", registered(&run));
    let csks: BTreeSet<_> = sent("REGISTER", 0).iter().map(|csk| &csk.csb_id).collect();
    assert_eq!(csks.len(), n, "one CSK of its own for each registration");
    assert_eq!(
        spks(&run),
        costs.spks.iter().map(|id| (*id).to_owned()).collect()
    );

    // Each identity gets the key of each group once, under its own KMS.
    let gmks = sent("MESSAGE", 1);
    assert!(gmks.iter().all(|gmk| gmk.identities[3] == kms));
    for gms in [MC, SEGY] {
        let of_gms = gmks
            .iter()
            .filter(|gmk| gmk.identities[2] == format!("kms.{gms}"));
        let receivers: Vec<_> = of_gms.map(|gmk| gmk.identities[1].clone()).collect();
        let homed = gms == MC || costs.group_of_its_own;
        let wanted = if homed { ours.clone() } else { BTreeSet::new() };
        assert_eq!(receivers.len(), wanted.len(), "{gms}: {receivers:?}");
        assert_eq!(receivers.into_iter().collect::<BTreeSet<_>>(), wanted);
    }
}

/// Access tokens as they came from the identity management servers: whose, and of which domain.
fn tokens_issued(run: &Recording) -> BTreeSet<(String, String)> {
    let issued = run
        .of(Protocol::Http)
        .filter(|e| e.name == "idms:token_issued");
    let tokens = issued.filter_map(|event| {
        let text = String::from_utf8_lossy(&event.raw).into_owned();
        let (_, body) = text.split_once("\r\n\r\n")?;
        let body: Value = serde_json::from_str(body).ok()?;
        // A security token (B.7.3) is no access token.
        if body.get("issued_token_type").is_some() {
            return None;
        }
        let claims = body["access_token"].as_str()?.split('.').nth(1)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let holder = claims["mcptt_id"].as_str()?.to_owned();
        let audience = claims["aud"].to_string();
        let domain = [MC, SEGY].into_iter().find(|d| audience.contains(d))?;
        Some((holder, domain.to_owned()))
    });
    tokens.collect()
}

/// Key sets as they came from the KMSs.
pub(crate) fn key_sets(run: &Recording) -> impl Iterator<Item = KeySet> {
    let provisioned = run
        .of(Protocol::Http)
        .filter(|e| e.name == "kms:keyprov_issued");
    provisioned.flat_map(|event| {
        let text = String::from_utf8_lossy(&event.raw).into_owned();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let response = KmsResponse::parse(body.as_bytes()).unwrap();
        let Some(KmsMessage::KeyProv(KmsKeyProv { key_sets })) = response.message else {
            panic!("no key sets in {text}");
        };
        key_sets
    })
}

/// Who registers with the MCPTT server, without the MC clients of the lab.
fn registered(run: &Recording) -> BTreeSet<String> {
    let messages = run.of(Protocol::Sip).filter(|e| e.node == "mcptt-server");
    let users = messages.filter_map(|event| match mc_sip::parse_message(&event.raw) {
        Ok(SipMessage::Request(request)) if request.method == Method::Register => {
            request.headers.to().ok()?.uri.user
        }
        _ => None,
    });
    users
        .filter(|user| user != "alice" && user != "bob")
        .collect()
}

/// The SPKs that XML bodies name: key identifiers with purpose tag 3 (TS 33.180 E.6).
fn spks(run: &Recording) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for event in run.of(Protocol::Sip).filter(|e| e.node == "mcptt-server") {
        let text = String::from_utf8_lossy(&event.raw);
        for name in text.split("KeyName>").skip(1).step_by(2) {
            let id = STANDARD.decode(name.split('<').next().unwrap()).unwrap();
            let id = format!("{:08x}", u32::from_be_bytes(id.try_into().unwrap()));
            if id.starts_with('3') {
                found.insert(id);
            }
        }
    }
    found
}
