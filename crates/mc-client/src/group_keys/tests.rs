use mc_ids::{Key128, KeyPurpose, NtpTime};
use mikey::{KeyParameters, KeyStatus, Party};

use super::*;

const GMS: &str = "sip:gms@mc.example";
const ALICE: &str = "sip:alice@mc.example";

fn group(name: &str) -> GroupId {
    GroupId::new(format!("sip:{name}@mc.example")).unwrap()
}

fn gmk_id(number: u32) -> GmkId {
    GmkId::try_from(KeyId(number)).unwrap()
}

fn message(number: u32, parameters: Option<KeyParameters>) -> Opened {
    let octet = number.to_be_bytes()[3];
    let gmk = Gmk::from_octets([octet; 16]);
    let id = gmk_id(number);
    let guk_id = annex_f::guk_id(&gmk, id, ALICE);
    let party = |uri: &str| Party {
        uri: Some(uri.to_owned()),
        uid: None,
    };
    Opened {
        key: DistributedKey::Gmk {
            key: gmk,
            id,
            guk_id,
        },
        csb_id: guk_id.key_id(),
        rand: vec![octet; 16],
        time: NtpTime(0),
        initiator: party(GMS),
        responder: party(ALICE),
        kms_initiator: "kms.mc.example".parse().unwrap(),
        kms_responder: "kms.mc.example".parse().unwrap(),
        key_parameters: parameters,
        variants: Vec::new(),
    }
}

fn for_groups(names: &[&str], activation: u64) -> Option<KeyParameters> {
    let groups = names
        .iter()
        .map(|name| group(name).as_str().to_owned())
        .collect();
    let parameters = KeyParameters::in_use(KeyPurpose::Gmk, Some(groups));
    Some(KeyParameters {
        activation,
        ..parameters
    })
}

fn servers() -> ServerIdentities {
    ServerIdentities {
        partner_gms: vec!["sip:gms@segy.example".to_owned()],
        ..ServerIdentities::default()
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_key_activated_last_is_the_one_to_send_under() {
    let (fire, command) = (group("fire"), group("command"));
    let wanted = [fire.clone(), command.clone()];
    let mut keys = GroupKeys::default();
    keys.accept(&message(1, for_groups(&["fire"], 100)), &servers(), &wanted)
        .unwrap();
    keys.accept(
        &message(2, for_groups(&["fire", "other"], 200)),
        &servers(),
        &wanted,
    )
    .unwrap();
    assert_eq!(keys.current(&fire, at(99)), None);
    assert_eq!(keys.current(&fire, at(199)).unwrap().gmk_id, gmk_id(1));
    assert_eq!(keys.current(&fire, at(200)).unwrap().gmk_id, gmk_id(2));
    assert_eq!(keys.lacking(&wanted, at(200)), [command]);
}

#[test]
fn received_packets_open_under_old_and_coming_keys_of_their_group_only() {
    let fire = group("fire");
    let wanted = [fire.clone(), group("command")];
    let mut keys = GroupKeys::default();
    keys.accept(&message(1, for_groups(&["fire"], 500)), &servers(), &wanted)
        .unwrap();
    let mki = Mki::Group {
        gmk_id: 1,
        guk_id: 77,
    };
    assert!(keys.master_key(mki, &fire).is_some());
    assert!(keys.master_key(mki, &group("command")).is_none());
    assert!(
        keys.master_key(
            Mki::Group {
                gmk_id: 9,
                guk_id: 77
            },
            &fire
        )
        .is_none()
    );
    assert!(keys.master_key(Mki::Key(1), &fire).is_none());
}

#[test]
fn a_revoked_key_is_used_for_nothing() {
    let fire = group("fire");
    let wanted = [fire.clone()];
    let mut keys = GroupKeys::default();
    keys.accept(&message(1, for_groups(&["fire"], 0)), &servers(), &wanted)
        .unwrap();
    let revoked = for_groups(&["fire"], 0).map(|p| KeyParameters {
        status: KeyStatus(0),
        ..p
    });
    keys.accept(&message(1, revoked), &servers(), &wanted)
        .unwrap();
    assert_eq!(keys.current(&fire, at(1)), None);
    assert!(
        keys.master_key(
            Mki::Group {
                gmk_id: 1,
                guk_id: 77
            },
            &fire
        )
        .is_none()
    );
}

#[test]
fn an_expired_key_is_not_sent_under() {
    let fire = group("fire");
    let mut keys = GroupKeys::default();
    let until_50 = for_groups(&["fire"], 0).map(|p| KeyParameters { expiry: 50, ..p });
    keys.accept(
        &message(1, until_50),
        &servers(),
        std::slice::from_ref(&fire),
    )
    .unwrap();
    assert!(keys.current(&fire, at(50)).is_some());
    assert!(keys.current(&fire, at(51)).is_none());
}

#[test]
fn strangers_and_unclear_messages_change_nothing() {
    let wanted = [group("fire"), group("command")];
    let mut keys = GroupKeys::default();
    let mut forged = message(1, for_groups(&["fire"], 0));
    forged.initiator.uri = Some(ALICE.to_owned());
    let signer = KeyRefused::Signer(ALICE.to_owned());
    assert_eq!(
        keys.accept(&forged, &servers(), &wanted).map(|_| ()),
        Err(signer)
    );
    let cases = [
        (message(1, None), KeyRefused::NoGroup),
        (
            message(1, for_groups(&["other"], 0)),
            KeyRefused::OtherGroups,
        ),
    ];
    for (opened, refused) in cases {
        assert_eq!(
            keys.accept(&opened, &servers(), &wanted).map(|_| ()),
            Err(refused)
        );
    }
    assert!(keys.keys.is_empty());
    // With a single group there is no doubt.
    assert!(
        keys.accept(&message(1, None), &servers(), &wanted[..1])
            .is_ok()
    );
}

#[test]
fn the_number_of_keys_is_bounded() {
    let fire = group("fire");
    let mut keys = GroupKeys::default();
    for number in 1..=100 {
        let opened = message(number, for_groups(&["fire"], 0));
        keys.accept(&opened, &servers(), std::slice::from_ref(&fire))
            .unwrap();
    }
    assert_eq!(keys.keys.len(), MAX_KEYS);
    assert_eq!(keys.current(&fire, at(1)).unwrap().gmk_id, gmk_id(100));
}

#[test]
fn a_partners_gms_gives_keys_for_groups_of_its_own_domain_only() {
    let talkgroup = GroupId::new("sip:talkgroup-1@segy.example").unwrap();
    let wanted = [group("fire"), talkgroup.clone()];
    let mut keys = GroupKeys::default();
    let named = |group: &GroupId| {
        let groups = Some(vec![group.as_str().to_owned()]);
        let mut parameters = KeyParameters::in_use(KeyPurpose::Gmk, groups);
        parameters.status = KeyStatus::NOT_REVOKED.shared_with_gateway();
        let mut opened = message(1, Some(parameters));
        opened.initiator.uri = Some("sip:gms@segy.example".to_owned());
        opened
    };
    let own = keys
        .accept(&named(&talkgroup), &servers(), &wanted)
        .unwrap();
    assert!(own.groups == [talkgroup] && own.shared_with_gateway);
    let foreign = keys.accept(&named(&group("fire")), &servers(), &wanted);
    assert_eq!(foreign.map(|_| ()), Err(KeyRefused::OtherGroups));
    let stranger = ServerIdentities::default();
    let refused = keys.accept(&named(&wanted[1]), &stranger, &wanted);
    let signer = KeyRefused::Signer("sip:gms@segy.example".to_owned());
    assert_eq!(refused.map(|_| ()), Err(signer));
}
