//! Control against spoofing (TR 33.880 D1-1, D5-2): who has a gateway's keys, tokens and connections
//! speaks for its own users only, whatever he asserts, and each attempt is on record.

use lab::parties::partner_config;
use lab::site::{Approach, Link, Site, UnitIs};
use lab::supervisor::Lab;
use lab::topology::Domain::{self, Primary};
use lab::topology::PortName;
use mc_client::keys::KeysError;
use mc_client::{Seal, SpkConfig};
use mc_ids::{Pck, PckId};
use mc_runtime::SystemClock;
use mc_runtime::auth::{SCOPE_GMS, SCOPE_KMS};
use mc_runtime::config::Secret;
use mc_sip::mcptt::{EXPIRES_FOREVER, media};
use mc_sip::{BodyPart, Method, Multipart, Request, name};
use mc_xml::affiliation::{AffiliationPresence, Tuple};
use mc_xml::mcptt_info::{Content, McpttInfo};
use mikey::{Distribution, ReplayCache, Unverified, VerifyError, VerifyPolicy};
use mikey_sakke::eccsi::SigningKey;
use serde_json::Value;
use testkit::recording::Recording;

use crate::claims_stage::{ALICE, BOB, account};
use crate::counts::key_sets;
use crate::domains::{self, User, group_key_message};
use crate::folder::Folder;
use crate::interconnection::{Protection, Rogue, refusal};
use crate::peer::{Peer, SERVER, https};
use crate::refusals_tokens::{claims, issuer_key};
use crate::support::{logged, start_site_in, status, until_traced};

macro_rules! claim {
    ($($test:ident: $approach:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            speaks_for_its_own_only(Approach::$approach).await;
        }
    )*};
}

claim! {
    a_gateway_speaks_for_its_own_users_only_7_1: SingleClient;
    a_gateway_speaks_for_its_own_users_only_7_2: ClientPerUser;
    a_gateway_speaks_for_its_own_users_only_7_3: MigratedClients;
    a_gateway_speaks_for_its_own_users_only_7_4: ExternalDomain;
    a_gateway_speaks_for_its_own_users_only_7_5: ExternalDomainSingleUser;
}

/// A functional alias of an MC user.
const DUTY_OFFICER: &str = "sip:duty-officer@mc.example";

async fn speaks_for_its_own_only(approach: Approach) {
    let folder = Folder::new(approach, "speaks-for-its-own-only");
    let lab = start_site_in(&folder.lab(), approach).await;
    let site = approach.site();
    let segy = gateways_user(&lab, site, site.units[0]).await;
    no_keys_of_others(&lab, site, &segy).await;
    no_group_keys_for_others(&lab, site, &segy).await;
    no_signature_of_others(&lab, site, &segy).await;
    match site.link {
        Link::Registered => no_names_of_others(&lab, site).await,
        Link::Interconnected => no_users_of_others(&lab, site, segy.identity).await,
    }
}

/// Whose keys protect what a radio says, with the keys and tokens the gateway has of him.
pub(crate) async fn gateways_user(lab: &Lab, site: &Site, unit: &str) -> User {
    let account = account(site, unit);
    let identity = format!("sip:{account}@{}", site.domain.name());
    domains::user(lab, site.domain, &account, identity.leak()).await
}

/// At the KMS (D.2.4): keys of native users are not given out.
async fn no_keys_of_others(lab: &Lab, site: &Site, segy: &User) {
    let kms = lab::parties::kms_client_in(lab, site.domain, SystemClock::shared()).unwrap();
    let token = segy.tokens.token(SCOPE_KMS).await.unwrap();
    for foreign in [ALICE, "sip:admin@segy.example"] {
        let asked = kms.key_provision_of(token.secret(), segy.identity, foreign, segy.ring.root());
        let refused = asked.await;
        let is_403 = matches!(refused, Err(KeysError::Refused { status: 403, .. }));
        assert!(is_403, "{foreign}: {refused:?}");
    }
}

/// A token of the gateway's user for the GMS of the group.
pub(crate) async fn gms_token(lab: &Lab, site: &Site, segy: &User) -> String {
    let token = match site.domain {
        Primary => segy.tokens.token(SCOPE_GMS).await,
        Domain::Gateway => {
            let wanted = partner_config(lab, Primary, &[SCOPE_GMS]);
            segy.tokens.partner_token(&wanted).await
        }
    };
    token.unwrap().secret().to_owned()
}

/// At the GMS: refused with 403, counted, logged, traced.
async fn no_group_keys_for_others(lab: &Lab, site: &Site, segy: &User) {
    let token = gms_token(lab, site, segy).await;
    let before = refused_assertions(lab).await;
    let own = group_key_message(lab, Primary, site.group, &token, segy.identity).await;
    assert!(own.is_ok(), "{own:?}");
    for foreign in [ALICE, BOB] {
        let refused = group_key_message(lab, Primary, site.group, &token, foreign).await;
        assert_eq!(refused, Err(403), "{foreign}");
        logged(lab, "gms", foreign).await;
    }
    assert_eq!(refused_assertions(lab).await, before + 2);
    until_traced(lab, "refusals of the GMS", 2, |event| {
        event.name == "gms:refused" && event.summary.contains("may not represent")
    })
    .await;
}

/// The counter that an administrator of the GMS sees.
async fn refused_assertions(lab: &Lab) -> u64 {
    let admin = claims(lab, "admin", "sip:gms@mc.example", SCOPE_GMS);
    let admin = issuer_key(lab).await.sign(&admin).unwrap();
    let gms = lab.addresses().of(PortName::Gms);
    let asked = https(lab).get(format!("https://{gms}/admin/status"));
    let status: Value = asked
        .bearer_auth(admin)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    status["refused_assertions"].as_u64().unwrap()
}

/// An I_MESSAGE that says it is alice's and is signed with all the gateway has (TS 33.180 5.2.7).
async fn no_signature_of_others(lab: &Lab, site: &Site, segy: &User) {
    let bob = domains::user(lab, Primary, "bob", BOB).await;
    let now = SystemClock::shared().ntp();
    let (mut rng, key) = (mc_runtime::rng(), Pck::random(&mut mc_runtime::rng()));
    let distribution = Distribution {
        initiator: segy.ring.current(segy.identity, now).unwrap(),
        kms_initiator: segy.ring.root(),
        responder: BOB,
        kms_responder: segy.ring.certificate_for(BOB).unwrap(),
        time: now,
        rand: [6; 16],
        to_self: false,
        key_parameters: None,
    };
    let honest = distribution
        .pck(&key, PckId::random(&mut rng), &mut rng)
        .unwrap();
    let forged = signed_again(
        &said_by(&honest, segy.identity, ALICE),
        &signing_key(lab, site, segy),
    );
    let verify = |octets: &[u8]| {
        let message = Unverified::parse(octets).unwrap();
        let (policy, mut replay) = (VerifyPolicy::default(), ReplayCache::new(1));
        message.verify(bob.ring.certificates(), policy, now, &mut replay)
    };
    assert!(verify(&honest).is_ok());
    let own = signed_again(&honest, &signing_key(lab, site, segy));
    assert!(verify(&own).is_ok(), "the forger is able");
    let refused = verify(&forged).unwrap_err();
    match site.domain {
        Primary => assert!(
            matches!(refused, VerifyError::Signature { .. }),
            "{refused:?}"
        ),
        // A KMS speaks for the domains of its certificate.
        Domain::Gateway => {
            let foreign = matches!(refused, VerifyError::ForeignInitiator { .. });
            assert!(foreign, "{refused:?}");
        }
    }
}

/// The signing key that a user of the gateway was given, from the wire.
pub(crate) fn signing_key(lab: &Lab, site: &Site, segy: &User) -> SigningKey {
    let run = Recording::read(&lab.state().root().join("logs")).unwrap();
    let now = SystemClock::shared().ntp();
    let kms = segy.ring.root();
    let number = kms.period.number_at(now);
    let is_his =
        |set: &kms_protocol::KeySet| set.user_uri == segy.identity && set.key_period_no == number;
    let set = key_sets(&run).find(is_his).unwrap();
    assert_eq!(set.kms_uri.as_str(), site.domain.kms_uri());
    let keys = set.keys(&[]).unwrap();
    let uid = kms.uid(segy.identity, now);
    SigningKey::validated(&kms.authentication, uid.octets(), &*keys.ssk, &keys.pvt).unwrap()
}

/// The message with another initiator in its IDRi payload (RFC 6043 6.6).
pub(crate) fn said_by(message: &[u8], from: &str, to: &str) -> Vec<u8> {
    let field = |uri: &str| {
        let length = u16::try_from(uri.len()).unwrap().to_be_bytes();
        [&length, uri.as_bytes()].concat()
    };
    let (from, to) = (field(from), field(to));
    let mut places = message.windows(from.len());
    let at = places.position(|octets| octets == from).unwrap();
    [&message[..at], &to, &message[at + from.len()..]].concat()
}

/// The message with a new signature at its end: 129 octets of ECCSI (RFC 6509 4.2.2).
pub(crate) fn signed_again(message: &[u8], key: &SigningKey) -> Vec<u8> {
    let signed = &message[..message.len() - 129];
    let signature = key.sign(signed, &mut mc_runtime::rng()).unwrap();
    [signed, &signature[..]].concat()
}

/// At the MCPTT server, as a client with the gateway's token and CSK.
async fn no_names_of_others(lab: &Lab, site: &Site) {
    let account = account(site, site.units[0]);
    let segy = Peer::new(lab, &account).await;
    assert_eq!(segy.ask(segy.register()).await.status, 200);
    let own = site.address(site.units[0]);
    if site.unit_is == UnitIs::FunctionalAlias {
        let accepted = segy.ask(activate(&segy, segy.id(), &own)).await;
        assert_eq!(accepted.status, 200);
    }
    // An alias of an MC user, one of nobody, and a request about another user.
    for (about, alias, warning) in [
        (segy.id(), DUTY_OFFICER, 201),
        (segy.id(), "sip:unit-9999@mc.example", 201),
        (BOB, own.as_str(), 0),
    ] {
        let refused = segy.ask(activate(&segy, about, alias)).await;
        assert_eq!(refused.status, 403, "{about} {alias}");
        assert!(
            warning == 0 || refused.warning == Some(warning),
            "{refused:?}"
        );
    }
    let counted = status(lab).await["refused_assertions"].clone();
    let of_user = counted["users"][segy.id()].as_u64();
    assert_eq!(
        of_user.or_else(|| counted["others"].as_u64()),
        Some(3),
        "{counted}"
    );
    on_record(lab, 3, DUTY_OFFICER).await;
}

/// An activation of a functional alias in somebody's name.
pub(crate) fn activate(peer: &Peer, about: &str, alias: &str) -> Request {
    let presence = AffiliationPresence {
        entity: about.to_owned(),
        tuples: vec![Tuple {
            id: peer.client_id().to_owned(),
            affiliations: Vec::new(),
            functional_aliases: vec![alias.to_owned()],
        }],
        p_id: None,
        p_id_fa: None,
    };
    let info = McpttInfo {
        request_uri: Some(Content::uri_value(about)),
        ..McpttInfo::default()
    };
    let (bodies, rng) = (peer.bodies(), &mut mc_runtime::rng());
    let parts = Multipart::default()
        .with(BodyPart::new(media::MCPTT_INFO, peer.sealed(info)))
        .with(Seal::full(&bodies).presence(presence, rng));
    let request = peer
        .request(Method::Publish, SERVER)
        .with(name::EVENT, "presence")
        .with(name::EXPIRES, EXPIRES_FOREVER.to_string());
    peer.signed(request, parts)
}

/// At the MCPTT server, as an interconnected system with the gateway's SPK.
async fn no_users_of_others(lab: &Lab, site: &Site, own: &str) {
    let rogue = rogue(lab, site).await;
    let foreign = match site.approach {
        "7.3" => "sip:unit-4001@segy.example",
        _ => "sip:unit-3001@mc.example",
    };
    let mut attempts = 0;
    for user in [ALICE, foreign, "sip:admin@segy.example"] {
        for request in [
            rogue.invite(user, site.group, Protection::Full),
            rogue.publish(user, user, true),
            rogue.publish(own, user, true),
        ] {
            let response = rogue.send(lab, request).await;
            assert_eq!(refusal(&response), (403, Some(179)), "{user}");
            attempts += 1;
        }
    }
    if site.unit_is == UnitIs::FunctionalAlias {
        let alias = site.address(site.units[0]);
        let accepted = rogue.send(lab, rogue.activate(own, &alias)).await;
        assert_eq!(refusal(&accepted), (200, None));
        let refused = rogue.send(lab, rogue.activate(own, DUTY_OFFICER)).await;
        assert_eq!(refusal(&refused), (403, Some(201)));
        attempts += 1;
        on_record(lab, attempts, DUTY_OFFICER).await;
    }
    let status = status(lab).await;
    let mut partners = status["partners"].as_array().unwrap().iter();
    let partner = partners.find(|p| p["name"] == site.gateway().name).unwrap();
    assert_eq!(
        partner["counters"]["refused_identity"], attempts,
        "{partner}"
    );
    on_record(lab, attempts, ALICE).await;
}

/// Somebody with the SPK of a site's gateway.
async fn rogue(lab: &Lab, site: &Site) -> Rogue {
    let secret = |what: &str| {
        let name = format!("spk-{}-{what}", site.approach);
        Secret::new(lab.state().secret(&name).unwrap())
    };
    let minor = &site.approach[2..];
    let spk = SpkConfig::new(&format!("3a7e000{minor}"), secret("key"), secret("rand"));
    let psi = format!("sip:mcptt-{}@segy.example", site.approach);
    Rogue::of(&psi, &spk, site.group).await
}

/// Every refused assertion is traced, and logged with what was asserted.
async fn on_record(lab: &Lab, count: usize, asserted: &str) {
    let refused = |event: &mc_trace::Event| event.name == "mcptt:assertion_refused";
    let events = until_traced(lab, "refused assertions", count, refused).await;
    assert_eq!(events.len(), count);
    logged(lab, "mcptt-server", asserted).await;
}
