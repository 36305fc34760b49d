//! Two domains as processes: each KMS has the other's certificate, users of one hold keys with users
//! of the other, and everybody else is refused.

use std::process::Command;
use std::time::Duration;

use lab::operator::Operator;
use lab::parties::{http_config, kms_client_in, partner_config, tokens_in};
use lab::supervisor::Lab;
use lab::topology::Domain::{self, Gateway, Primary};
use mc_client::keys::{KeyRing, KeysError};
use mc_client::login::{LoginError, TokenSource};
use mc_ids::{Gmk, GmkId, NtpTime, Pck, PckId};
use mc_runtime::SystemClock;
use mc_runtime::auth::{SCOPE_GMS, SCOPE_KMS};
use mikey::{
    DistributedKey, Distribution, OpenError, Opened, ReplayCache, Unverified, VerifyError,
    VerifyPolicy,
};

use crate::support::{PATIENCE, binaries, start_domains};

pub(crate) const ALICE: &str = "sip:alice@mc.example";
pub(crate) const SEGY: &str = "sip:segy@segy.example";
pub(crate) const UNIT: &str = "sip:unit-1001@segy.example";
pub(crate) const INTEROP: &str = "sip:interop-1@mc.example";
const TALKGROUP: &str = "sip:talkgroup-1@segy.example";

/// A user with its log-in and its keys.
pub(crate) struct User {
    pub(crate) identity: &'static str,
    pub(crate) tokens: TokenSource,
    pub(crate) ring: KeyRing,
}

pub(crate) async fn user(lab: &Lab, domain: Domain, name: &str, identity: &'static str) -> User {
    let clock = SystemClock::shared();
    let tokens = tokens_in(lab, domain, name, clock.clone()).await.unwrap();
    let kms = kms_client_in(lab, domain, clock).unwrap();
    let token = tokens.token(SCOPE_KMS).await.unwrap();
    let own = tokens.mcptt_id().await;
    let mut ring = kms.fetch(token.secret(), own.as_str()).await.unwrap();
    if identity != own.as_str() {
        // A user behind the gateway: made now, for the gateway.
        let (token, own) = (token.secret(), own.as_str());
        let keys = kms
            .key_provision_of(token, own, identity, ring.root())
            .await;
        let root = ring.root().clone();
        let partners = ring.certificates().skip(1).cloned().collect();
        ring = KeyRing::new(root, partners, ring.cache_num(), keys.unwrap());
    }
    User {
        identity,
        tokens,
        ring,
    }
}

fn pck(from: &User, to: &str, time: NtpTime) -> Vec<u8> {
    let mut rng = mc_runtime::rng();
    let distribution = Distribution {
        initiator: from.ring.current(from.identity, time).unwrap(),
        kms_initiator: from.ring.root(),
        responder: to,
        kms_responder: from.ring.certificate_for(to).unwrap(),
        time,
        rand: [3; 16],
        to_self: true,
        key_parameters: None,
    };
    let (key, id) = (Pck::random(&mut rng), PckId::random(&mut rng));
    distribution.pck(&key, id, &mut rng).unwrap()
}

fn verified(by: &User, octets: &[u8], now: NtpTime) -> Result<mikey::Verified, VerifyError> {
    let mut replay = ReplayCache::new(4);
    let Ok(message) = Unverified::parse(octets) else {
        panic!("a message of ours is not read");
    };
    message.verify(
        by.ring.certificates(),
        VerifyPolicy::default(),
        now,
        &mut replay,
    )
}

fn opened(by: &User, octets: &[u8], now: NtpTime) -> Result<Opened, OpenError> {
    let verified = match verified(by, octets, now) {
        Ok(verified) => verified,
        Err(error) => panic!("a message of ours: {error}"),
    };
    verified.open(by.ring.root(), by.ring.keys())
}

fn octets_of(opened: &Opened) -> Vec<u8> {
    use mc_ids::Key128 as _;
    match &opened.key {
        DistributedKey::Gmk { key, .. } => key.octets().to_vec(),
        DistributedKey::Pck { key, .. } => key.octets().to_vec(),
        other => panic!("{other:?}"),
    }
}

async fn two_domains(dir: &tempfile::TempDir) -> (Lab, Operator) {
    let lab = start_domains(dir, &[Primary, Gateway]).await;
    let operator = Operator::of(&lab).unwrap();
    (lab, operator)
}

#[tokio::test]
async fn users_of_two_domains_hold_keys_with_each_other_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let (lab, operator) = two_domains(&dir).await;
    // Before the exchange nobody knows the other's KMS.
    let stranger = user(&lab, Primary, "bob", "sip:bob@mc.example").await;
    assert!(stranger.ring.certificate_for(UNIT).is_none());
    operator.introduce(Primary, Gateway).await.unwrap();
    let alice = user(&lab, Primary, "alice", ALICE).await;
    let carol = user(&lab, Primary, "carol", "sip:carol@mc.example").await;
    let unit = user(&lab, Gateway, "segy", UNIT).await;
    let now = SystemClock::shared().ntp();

    // Both ways: two KMS URIs in one message, and it is known that protection ends at a gateway.
    for (from, to) in [(&alice, &unit), (&unit, &alice)] {
        let message = pck(from, to.identity, now);
        let got = opened(to, &message, now).unwrap();
        assert_eq!(got.kms_initiator, from.ring.root().kms_uri);
        assert_eq!(got.kms_responder, to.ring.root().kms_uri);
        assert_ne!(got.kms_initiator, got.kms_responder);
        assert!(opened(&carol, &message, now).is_err(), "not for Carol");
        // Who has no certificate of the other KMS cannot even tell who sent it.
        if from.identity == UNIT {
            let unknown = verified(&stranger, &message, now);
            assert!(
                matches!(unknown, Err(VerifyError::UnknownKms(_))),
                "{unknown:?}"
            );
        }
    }
    assert!(alice.ring.ends_at_gateway(UNIT) && !alice.ring.ends_at_gateway(ALICE));
    assert!(unit.ring.root().is_security_gateway);

    // A key for a user of a domain nobody answers for cannot be made.
    assert!(
        alice
            .ring
            .certificate_for("sip:eve@third.example")
            .is_none()
    );
}

#[tokio::test]
async fn a_group_key_reaches_members_of_both_domains_wherever_the_group_is_homed() {
    let dir = tempfile::tempdir().unwrap();
    let (lab, operator) = two_domains(&dir).await;
    operator.introduce(Primary, Gateway).await.unwrap();
    let alice = user(&lab, Primary, "alice", ALICE).await;
    let unit = user(&lab, Gateway, "segy", UNIT).await;
    for (group, home, away) in [(INTEROP, &alice, &unit), (TALKGROUP, &unit, &alice)] {
        let at = if group == INTEROP { Primary } else { Gateway };
        let own = home.tokens.token(SCOPE_GMS).await.unwrap();
        // The other domain's user, or the gateway for it, with a token of the group's domain.
        let wanted = partner_config(&lab, at, &[SCOPE_GMS]);
        let exchanged = away.tokens.partner_token(&wanted).await.unwrap();
        let mut keys = Vec::new();
        for (member, token) in [(home, own.secret()), (away, exchanged.secret())] {
            let message = group_key_message(&lab, at, group, token, member.identity).await;
            let now = SystemClock::shared().ntp();
            let got = opened(member, &message.unwrap(), now).unwrap();
            let parameters = got.key_parameters.clone().unwrap();
            assert!(parameters.status.is_shared_with_gateway(), "{group}");
            assert_eq!(
                parameters.groups.as_deref(),
                Some([group.to_owned()].as_slice())
            );
            assert_eq!(got.kms_responder, member.ring.root().kms_uri);
            keys.push((octets_of(&got), got.rand.clone()));
        }
        assert_eq!(keys[0], keys[1], "one key and one RAND for all of {group}");
        // Represented users only: not one of the other domain, nor one outside the pattern.
        let segy = if group == INTEROP {
            exchanged.secret()
        } else {
            own.secret()
        };
        for foreign in ["sip:bob@mc.example", "sip:chief@segy.example"] {
            let refused = group_key_message(&lab, at, group, segy, foreign).await;
            assert_eq!(refused.unwrap_err(), 403, "{foreign}");
        }
    }
}

/// What a user of another domain gets of a group's key.
pub(crate) async fn group_key_of(
    lab: &Lab,
    at: Domain,
    group: &str,
    user: &User,
) -> Result<Vec<u8>, u16> {
    let wanted = partner_config(lab, at, &[SCOPE_GMS]);
    let token = user.tokens.partner_token(&wanted).await.unwrap();
    group_key_message(lab, at, group, token.secret(), user.identity).await
}

/// The I_MESSAGE of the key transport document, or the status of the refusal.
pub(crate) async fn group_key_message(
    lab: &Lab,
    at: Domain,
    group: &str,
    token: &str,
    acting: &str,
) -> Result<Vec<u8>, u16> {
    let http = mc_runtime::http::client(&http_config(lab)).unwrap();
    let gms = lab.addresses().of(at.gms());
    let url = format!("https://{gms}/org.3gpp.MCPTT-GKTP/global/byGroupID/{group}");
    let request = http.get(url).bearer_auth(token);
    let request = request.header("X-3GPP-Asserted-Identity", format!("\"{acting}\""));
    let response = request.send().await.unwrap();
    if !response.status().is_success() {
        return Err(response.status().as_u16());
    }
    let document = response.bytes().await.unwrap();
    let document = mc_xml::gktp::GktpDocument::parse(&document).unwrap();
    Ok(document.gmk.unwrap().gktps.remove(0).mikey)
}

#[tokio::test]
async fn a_domain_cannot_speak_for_a_user_of_another_even_with_its_whole_kms() {
    let dir = tempfile::tempdir().unwrap();
    let (lab, operator) = two_domains(&dir).await;
    operator.introduce(Primary, Gateway).await.unwrap();
    let clock = SystemClock::shared();
    // By the front door: the gateway asks its own KMS, and the other one, for keys of Alice.
    let kms = kms_client_in(&lab, Gateway, clock.clone()).unwrap();
    let segy = user(&lab, Gateway, "segy", SEGY).await;
    let token = segy.tokens.token(SCOPE_KMS).await.unwrap();
    for foreign in [ALICE, "sip:chief@segy.example"] {
        let root = segy.ring.root();
        let refused = kms
            .key_provision_of(token.secret(), SEGY, foreign, root)
            .await;
        let is_403 = matches!(refused, Err(KeysError::Refused { status: 403, .. }));
        assert!(is_403, "{foreign}: {refused:?}");
    }
    let other = kms_client_in(&lab, Primary, clock.clone()).unwrap();
    let refused = other.init(token.secret(), SEGY).await.unwrap_err();
    assert!(
        matches!(refused, KeysError::Refused { status: 401, .. }),
        "{refused:?}"
    );
    let wanted = partner_config(&lab, Primary, &[SCOPE_KMS]);
    let refused = segy.tokens.partner_token(&wanted).await.unwrap_err();
    let scope =
        matches!(&refused, LoginError::TokenRefused { error, .. } if error == "invalid_scope");
    assert!(scope, "{refused:?}");

    // By the back door: a KMS that does make them, and a message for Bob in Alice's name.
    let bob = user(&lab, Primary, "bob", "sip:bob@mc.example").await;
    let rogue = Rogue::new(&bob, "kms.segy.example");
    let forged = rogue.gmk(ALICE, bob.identity, &bob, clock.ntp());
    let refused = verified(&rogue.believer, &forged, clock.ntp());
    assert!(
        matches!(refused, Err(VerifyError::ForeignInitiator { .. })),
        "{refused:?}"
    );
    // The same KMS for a user of its own domain is believed.
    let honest = rogue.gmk(UNIT, bob.identity, &bob, clock.ntp());
    assert!(verified(&rogue.believer, &honest, clock.ntp()).is_ok());
}

/// The gateway's KMS in the hands of an attacker: its master secret makes keys for anybody.
struct Rogue {
    ksak: mikey_sakke::eccsi::AuthenticationSecret,
    z: mikey_sakke::sakke::MasterSecret,
    certificate: mikey::KmsCertificate,
    /// Somebody whose KMS handed out the certificate, bound to the gateway's domain.
    believer: User,
}

impl Rogue {
    fn new(victim: &User, kms_uri: &str) -> Self {
        let mut rng = mc_runtime::rng();
        let ksak = mikey_sakke::eccsi::AuthenticationSecret::random(&mut rng).unwrap();
        let z = mikey_sakke::sakke::MasterSecret::random(&mut rng);
        let of_partner = victim.ring.certificate_for(UNIT).unwrap();
        assert_eq!(of_partner.kms_uri.as_str(), kms_uri);
        let certificate = mikey::KmsCertificate {
            encryption: z.public_key().unwrap(),
            authentication: ksak.public_key(),
            ..of_partner.clone()
        };
        let (root, keys) = (victim.ring.root().clone(), victim.ring.keys().to_vec());
        let believer = User {
            identity: victim.identity,
            tokens: victim.tokens.clone(),
            ring: KeyRing::new(root, vec![certificate.clone()], None, keys),
        };
        Self {
            ksak,
            z,
            certificate,
            believer,
        }
    }

    fn gmk(&self, from: &str, to: &str, receiver: &User, time: NtpTime) -> Vec<u8> {
        let kms = &self.certificate;
        let number = kms.period.number_at(time);
        let uid = kms.uid(from, time);
        let mut rng = mc_runtime::rng();
        let (rsk, sign) = (
            self.z.issue(uid.octets()).unwrap(),
            self.ksak.issue(uid.octets(), &mut rng).unwrap(),
        );
        let (rsk, ssk) = (rsk.octets(), sign.ssk());
        let keys =
            mikey::UserKeys::validated(kms, from, number, &rsk[..], &ssk[..], sign.pvt()).unwrap();
        let distribution = Distribution {
            initiator: &keys,
            kms_initiator: kms,
            responder: to,
            kms_responder: receiver.ring.root(),
            time,
            rand: [4; 16],
            to_self: false,
            key_parameters: None,
        };
        let (key, id) = (Gmk::random(&mut rng), GmkId::random(&mut rng));
        distribution.gmk(&key, id, &mut rng).unwrap()
    }
}

#[tokio::test]
async fn a_revoked_user_loses_keys_and_tokens_at_once_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (lab, operator) = two_domains(&dir).await;
    operator.introduce(Primary, Gateway).await.unwrap();
    let clock = SystemClock::shared();
    let kms = kms_client_in(&lab, Gateway, clock).unwrap();
    let segy = user(&lab, Gateway, "segy", SEGY).await;
    let token = segy.tokens.token(SCOPE_KMS).await.unwrap();
    let (unit, other) = (UNIT, "sip:unit-1002@segy.example");
    let ask = async |identity: &str| {
        let root = segy.ring.root();
        let keys = kms.key_provision_of(token.secret(), SEGY, identity, root);
        keys.await.map(|keys| keys.len())
    };
    assert!(ask(unit).await.is_ok() && ask(other).await.is_ok());
    operator.revoke_user(Gateway, unit).await.unwrap();
    let refused = ask(unit).await;
    assert!(
        matches!(refused, Err(KeysError::Refused { status: 403, .. })),
        "{refused:?}"
    );
    assert!(ask(other).await.is_ok());
    operator.reinstate_user(Gateway, unit).await.unwrap();
    // The KMS hears of it from the identity management server.
    let again = async {
        while ask(unit).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();

    // A user of the primary domain: no tokens either, of its own domain or of the partner.
    let bob = user(&lab, Primary, "bob", "sip:bob@mc.example").await;
    operator.revoke_user(Primary, bob.identity).await.unwrap();
    let wanted = partner_config(&lab, Gateway, &[SCOPE_GMS]);
    assert!(bob.tokens.partner_token(&wanted).await.is_err());
    assert!(bob.tokens.token(SCOPE_GMS).await.is_err());
    let alice = user(&lab, Primary, "alice", ALICE).await;
    assert!(alice.tokens.partner_token(&wanted).await.is_ok());
}

#[tokio::test]
async fn trust_is_given_and_taken_by_command() {
    let dir = tempfile::tempdir().unwrap();
    let (lab, operator) = two_domains(&dir).await;
    let exchange = dir.path().join("from-segy");
    let (state, out) = (
        lab.state().root().to_owned(),
        exchange.display().to_string(),
    );
    let mcbox = async |arguments: &[&str]| {
        let mut command = Command::new(binaries().join("mcbox"));
        command.arg("--state").arg(&state).args(["domain", "trust"]);
        command.args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (done, shown) = mcbox(&["export", "--domain", "segy.example", "--out", &out]).await;
    assert!(done, "{shown}");
    assert!(
        shown.contains("yes: end-to-end protection ends there"),
        "{shown}"
    );
    // The fingerprints are those that any tool shows of the files.
    for file in ["kms-certificate.xml", "idms-keys.json"] {
        let sum = Command::new("sha256sum")
            .arg(exchange.join(file))
            .output()
            .unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        assert!(
            shown.contains(sum.split(' ').next().unwrap()),
            "{shown}{sum}"
        );
    }
    let import = ["import", &out, "--domain", "mc.example"];
    let (done, shown) = mcbox(&import).await;
    assert!(!done && shown.contains("Nothing changed"), "{shown}");
    assert!(operator.partners(Primary).await.unwrap().is_empty());
    let (done, shown) = mcbox(&[&import[..], &["--yes"]].concat()).await;
    assert!(done && shown.contains("trusts this KMS"), "{shown}");
    let (_, list) = mcbox(&["list", "--domain", "mc.example"]).await;
    assert!(list.contains("kms.segy.example"), "{list}");

    // The certificate reaches users, and tokens of the gateway's users are taken.
    let alice = user(&lab, Primary, "alice", ALICE).await;
    assert!(alice.ring.ends_at_gateway(UNIT));
    let segy = user(&lab, Gateway, "segy", SEGY).await;
    let wanted = partner_config(&lab, Primary, &[SCOPE_GMS]);
    assert!(segy.tokens.partner_token(&wanted).await.is_ok());

    let (done, shown) = mcbox(&["revoke", "kms.segy.example", "--domain", "mc.example"]).await;
    assert!(done, "{shown}");
    let alice = user(&lab, Primary, "alice", ALICE).await;
    assert!(alice.ring.certificate_for(UNIT).is_none());
    let again = tokens_in(&lab, Gateway, "segy", SystemClock::shared())
        .await
        .unwrap();
    let refused = again.partner_token(&wanted).await.unwrap_err();
    let grant =
        matches!(&refused, LoginError::TokenRefused { error, .. } if error == "invalid_grant");
    assert!(grant, "{refused:?}");
    let partners = operator.partners(Primary).await.unwrap();
    assert!(partners[0].revoked, "{partners:?}");
    // A file that was changed on the way is not what was compared, and no certificate at all.
    std::fs::write(exchange.join("kms-certificate.xml"), "<a/>").unwrap();
    let (done, shown) = mcbox(&[&import[..], &["--yes"]].concat()).await;
    assert!(!done && shown.contains("not a KMS certificate"), "{shown}");
}
