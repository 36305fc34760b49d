//! Two security domains, and a KMS that makes keys for a user of the other.

use super::*;
use crate::domain::{Domains, responsible};
use mc_ids::{Pck, PckId};
use mikey_sakke::eccsi::AuthenticationSecret;
use mikey_sakke::sakke::MasterSecret;

/// Counts, so that a test is the same every time; the keys it makes are as good as any here.
pub(super) struct Counter(pub(super) u64);

impl rand_core::TryRng for Counter {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut octets = [0; 4];
        self.try_fill_bytes(&mut octets)?;
        Ok(u32::from_be_bytes(octets))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut octets = [0; 8];
        self.try_fill_bytes(&mut octets)?;
        Ok(u64::from_be_bytes(octets))
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in out.chunks_mut(32) {
            self.0 += 1;
            let block = Sha256::digest(self.0.to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Counter {}

pub(super) struct Kms {
    ksak: AuthenticationSecret,
    z: MasterSecret,
    pub(super) certificate: KmsCertificate,
}

impl Kms {
    pub(super) fn new(name: &str, seed: u64, period: u64, domains: Domains) -> Self {
        let mut rng = Counter(seed << 32);
        let ksak = AuthenticationSecret::random(&mut rng).unwrap();
        let z = MasterSecret::random(&mut rng);
        let certificate = KmsCertificate {
            kms_uri: KmsUri::new(name).unwrap(),
            period: KeyPeriod::new(period, 0).unwrap(),
            encryption: z.public_key().unwrap(),
            authentication: ksak.public_key(),
            is_security_gateway: false,
            domains,
        };
        Self {
            ksak,
            z,
            certificate,
        }
    }

    /// Keys for any identity: nothing in the mathematics knows of domains.
    pub(super) fn keys(&self, identity: &str) -> UserKeys {
        let kms = &self.certificate;
        let number = kms.period.number_at(NOW);
        let uid = Uid::of_period(identity, &kms.kms_uri, kms.period, number);
        let rsk = self.z.issue(uid.octets()).unwrap();
        let signing = self.ksak.issue(uid.octets(), &mut Counter(number)).unwrap();
        UserKeys::validated(
            kms,
            identity,
            number,
            rsk.octets().as_slice(),
            signing.ssk().as_slice(),
            signing.pvt(),
        )
        .unwrap()
    }
}

pub(super) fn listed(domains: &[&str]) -> Domains {
    Domains::Listed(domains.iter().map(|d| (*d).to_owned()).collect())
}

fn pck(from: (&Kms, &str), to: (&Kms, &str)) -> Result<Vec<u8>, BuildError> {
    let id: PckId = match PckId::try_from(KeyId(0x1000_0001)) {
        Ok(id) => id,
        Err(error) => panic!("{error}"),
    };
    Distribution {
        initiator: &from.0.keys(from.1),
        kms_initiator: &from.0.certificate,
        responder: to.1,
        kms_responder: &to.0.certificate,
        time: NOW,
        rand: [7; 16],
        to_self: false,
        key_parameters: None,
    }
    .pck(&Pck::from_octets([5; 16]), id, &mut Counter(9))
}

const ALICE: &str = "sip:alice@mc.example";
const UNIT: &str = "sip:unit-1001@segy.example";

#[test]
fn two_kms_uris_and_two_key_periods_in_one_message() {
    let host = Kms::new("kms.mc.example", 1, 2_592_000, listed(&["mc.example"]));
    let partner = Kms::new("kms.segy.example", 2, 604_800, listed(&["segy.example"]));
    let certificates = [&host.certificate, &partner.certificate];
    for (from, to) in [
        ((&host, ALICE), (&partner, UNIT)),
        ((&partner, UNIT), (&host, ALICE)),
    ] {
        let read = Unverified::parse(&pck(from, to).unwrap()).unwrap();
        let mut replay = ReplayCache::new(1);
        let verified = read
            .verify(certificates, VerifyPolicy::default(), NOW, &mut replay)
            .unwrap();
        let opened = verified
            .open(&to.0.certificate, [&to.0.keys(to.1)])
            .unwrap();
        assert_eq!(opened.kms_initiator, from.0.certificate.kms_uri);
        assert_eq!(opened.kms_responder, to.0.certificate.kms_uri);
        assert!(matches!(&opened.key, DistributedKey::Pck { key, .. } if key.octets() == &[5; 16]));
    }
}

#[test]
fn a_partner_cannot_sign_for_a_user_of_another_kms() {
    let host = Kms::new("kms.mc.example", 1, 2_592_000, listed(&["mc.example"]));
    let partner = Kms::new("kms.segy.example", 2, 604_800, listed(&["segy.example"]));
    let unbound = Kms::new("kms.third.example", 3, 604_800, listed(&[]));
    let certificates = [
        &host.certificate,
        &partner.certificate,
        &unbound.certificate,
    ];
    let bob = (&host, "sip:bob@mc.example");
    for (kms, identity) in [
        (&partner, ALICE),
        (&partner, "sip:unit-1@segy.example.evil"),
        (&unbound, "sip:unit-1@third.example"),
        (&host, UNIT),
    ] {
        let read = Unverified::parse(&pck((kms, identity), bob).unwrap()).unwrap();
        let mut replay = ReplayCache::new(1);
        let refused = read.verify(certificates, VerifyPolicy::default(), NOW, &mut replay);
        let expected = VerifyError::ForeignInitiator {
            initiator: identity.to_owned(),
            kms: kms.certificate.kms_uri.clone(),
        };
        assert_eq!(refused, Err(expected));
        assert!(replay.is_empty());
    }
}

#[test]
fn a_key_is_never_encrypted_to_a_kms_that_does_not_answer_for_its_receiver() {
    let host = Kms::new("kms.mc.example", 1, 2_592_000, listed(&["mc.example"]));
    let partner = Kms::new("kms.segy.example", 2, 604_800, listed(&["segy.example"]));
    let refused = pck((&host, ALICE), (&partner, "sip:bob@mc.example"));
    assert_eq!(
        refused,
        Err(BuildError::ForeignResponder {
            responder: "sip:bob@mc.example".to_owned(),
            kms: partner.certificate.kms_uri,
        })
    );
}

#[test]
fn the_closest_domain_decides_and_the_own_kms_takes_the_rest() {
    let own = Kms::new("kms.example", 1, 604_800, Domains::Unlisted).certificate;
    let wide = Kms::new("kms.wide", 2, 604_800, listed(&["mc.example"])).certificate;
    let close = Kms::new("kms.close", 3, 604_800, listed(&["lmr.mc.example"])).certificate;
    let of = |identity: &str| {
        responsible([&own, &wide, &close], identity).map(|kms| kms.kms_uri.as_str().to_owned())
    };
    assert_eq!(of("sip:a@lmr.mc.example").as_deref(), Some("kms.close"));
    assert_eq!(of("sip:a@mc.example").as_deref(), Some("kms.wide"));
    assert_eq!(of("tel:+491234").as_deref(), Some("kms.example"));
    assert_eq!(responsible([&wide, &close], "sip:a@else.example"), None);
}

#[test]
fn a_hidden_initiator_is_bound_when_it_shows_itself() {
    let host = Kms::new("kms.mc.example", 1, 2_592_000, listed(&["mc.example"]));
    let partner = Kms::new("kms.segy.example", 2, 604_800, listed(&["segy.example"]));
    let octets = pck((&partner, UNIT), (&host, ALICE)).unwrap();
    let read = Unverified::parse(&octets).unwrap();
    let certificates = [&host.certificate, &partner.certificate];
    let mut replay = ReplayCache::new(1);
    let verified = read
        .verify(certificates, VerifyPolicy::default(), NOW, &mut replay)
        .unwrap();
    let mut opened = verified
        .open(&host.certificate, [&host.keys(ALICE)])
        .unwrap();
    for (identity, holds) in [(UNIT, true), (ALICE, false)] {
        opened.initiator = Party {
            uri: None,
            uid: Some(partner.certificate.uid(identity, NOW)),
        };
        let confirmed = opened.confirm_initiator(identity, &partner.certificate);
        assert_eq!(confirmed, holds, "{identity}");
    }
}
