//! One GMK for many members: the batch makes what one message after the other would be. And one sender
//! whom many members meet again and again.

use super::domains::{Counter, Kms, listed};
use super::*;

const GMS: &str = "sip:gms@mc.example";

/// Member number `n`: every third one is of the partner's domain.
fn member(n: usize) -> String {
    match n % 3 {
        2 => format!("sip:unit-{n}@segy.example"),
        _ => format!("sip:user-{n}@mc.example"),
    }
}

/// Member number `n` with the KMS that answers for it.
fn to<'a>(n: usize, member: &'a str, (home, partner): (&'a Kms, &'a Kms)) -> Receiver<'a> {
    let kms = if n % 3 == 2 { partner } else { home };
    (member, &kms.certificate, n)
}

type Receiver<'a> = (&'a str, &'a KmsCertificate, usize);

fn distribution<'a>(
    keys: &'a UserKeys,
    kms_initiator: &'a KmsCertificate,
    (responder, kms_responder, n): Receiver<'a>,
) -> Distribution<'a> {
    let groups = Some(vec!["sip:group-1@mc.example".to_owned()]);
    Distribution {
        initiator: keys,
        kms_initiator,
        responder,
        kms_responder,
        time: NtpTime(NOW.0 + n as u64),
        rand: [7; 16],
        // Both shapes.
        to_self: n % 4 == 1,
        key_parameters: Some(KeyParameters::in_use(KeyPurpose::Gmk, groups)),
    }
}

fn key() -> (Gmk, GmkId) {
    let id = GmkId::try_from(KeyId(0x0ABC_DEF0));
    (Gmk::from_octets([0x5A; 16]), id.unwrap())
}

#[test]
fn a_batch_is_octet_for_octet_what_single_messages_are() {
    let home = Kms::new("kms.mc.example", 1, 2_592_000, listed(&["mc.example"]));
    let partner = Kms::new("kms.segy.example", 2, 604_800, listed(&["segy.example"]));
    let gms = home.keys(GMS);
    let (key, id) = key();
    for count in [0, 1, 2, 3, 9, 25] {
        let members: Vec<_> = (0..count).map(member).collect();
        let distributions: Vec<_> = members
            .iter()
            .enumerate()
            .map(|(n, member)| to(n, member, (&home, &partner)))
            .map(|receiver| distribution(&gms, &home.certificate, receiver))
            .collect();
        let batch = Distribution::gmk_batch(&distributions, &key, id, &mut Counter(4));
        let mut rng = Counter(4);
        let singly = distributions.iter().map(|one| one.gmk(&key, id, &mut rng));
        assert_eq!(batch, singly.collect::<Vec<_>>(), "{count} members");
    }
}

#[test]
fn every_member_opens_its_message_of_a_batch() {
    let home = Kms::new("kms.mc.example", 1, 2_592_000, listed(&["mc.example"]));
    let partner = Kms::new("kms.segy.example", 2, 604_800, listed(&["segy.example"]));
    let gms = home.keys(GMS);
    let (key, id) = key();
    let members: Vec<_> = (0..7).map(member).collect();
    let receivers: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(n, member)| to(n, member, (&home, &partner)))
        .collect();
    let distributions = receivers
        .iter()
        .map(|receiver| distribution(&gms, &home.certificate, *receiver));
    let distributions: Vec<_> = distributions.collect();
    let batch = Distribution::gmk_batch(&distributions, &key, id, &mut Counter(4));
    let certificates = [&home.certificate, &partner.certificate];
    let mut replay = ReplayCache::new(8);
    for (message, (member, kms, n)) in batch.into_iter().zip(receivers) {
        let policy = VerifyPolicy::default();
        let verified = read(&message.unwrap()).verify(certificates, policy, NOW, &mut replay);
        let owner = if n % 3 == 2 { &partner } else { &home };
        let opened = verified.unwrap().open(kms, [&owner.keys(member)]).unwrap();
        let guk_id = annex_f::guk_id(&key, id, member);
        let key = key.clone();
        assert_eq!(opened.key, DistributedKey::Gmk { key, id, guk_id });
    }
}

#[test]
fn a_member_that_gets_no_key_keeps_back_nobody_else() {
    let home = Kms::new("kms.mc.example", 1, 2_592_000, listed(&["mc.example"]));
    let gms = home.keys(GMS);
    let (key, id) = key();
    let members = ["sip:a@mc.example", "sip:b@evil.example", "sip:c@mc.example"];
    let distributions =
        members.map(|member| distribution(&gms, &home.certificate, (member, &home.certificate, 0)));
    let batch = Distribution::gmk_batch(&distributions, &key, id, &mut Counter(4));
    assert!(batch[0].is_ok() && batch[2].is_ok());
    assert_eq!(
        batch[1].clone().unwrap_err(),
        BuildError::ForeignResponder {
            responder: "sip:b@evil.example".to_owned(),
            kms: home.certificate.kms_uri.clone(),
        }
    );
}

/// The KMS's key keeps a table of a sender that comes again: nothing passes by it that did not before.
#[test]
fn nobody_passes_for_a_sender_whose_signatures_are_known() {
    let home = Kms::new("kms.mc.example", 3, 2_592_000, listed(&["mc.example"]));
    let (gms, mallory) = (home.keys(GMS), home.keys("sip:mallory@mc.example"));
    let (key, id) = key();
    let to = |n: usize| ("sip:user-0@mc.example", &home.certificate, n);
    let of = |keys, n| {
        distribution(keys, &home.certificate, to(n)).gmk(&key, id, &mut Counter(n as u64))
    };
    let verify = |octets: &[u8]| {
        let mut replay = ReplayCache::new(1);
        let policy = VerifyPolicy::default();
        read(octets).verify([&home.certificate], policy, NOW, &mut replay)
    };
    let refused = |octets: &[u8]| matches!(verify(octets), Err(VerifyError::Signature { .. }));
    let messages: Vec<_> = (0..8).map(|n| of(&gms, 4 * n).unwrap()).collect();
    for message in &messages {
        assert!(verify(message).is_ok());
    }
    let signed = messages[0].len() - eccsi::SIGNATURE_OCTETS;
    // The signature of another message of the same sender.
    let swapped = [&messages[0][..signed], &messages[1][signed..]].concat();
    assert!(refused(&swapped));
    // Mallory's own message under the sender's name, with her signature and the sender's PVT.
    let own = of(&mallory, 0).unwrap();
    let start = own.len() - eccsi::SIGNATURE_OCTETS;
    let mut forged = [&messages[0][..signed], &own[start..]].concat();
    assert!(refused(&forged));
    let pvt = signed + 2 * eccsi::SCALAR_OCTETS;
    forged[pvt..].copy_from_slice(&messages[0][pvt..]);
    assert!(refused(&forged));
    assert!(verify(&messages[0]).is_ok());
}
