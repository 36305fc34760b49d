//! What clients get.

use std::time::Duration;

use kms_protocol::{KmsMessage, Resource, Role};
use mc_ids::annex_f::Uid;
use mc_runtime::Clock;
use mikey_sakke::eccsi::{AuthenticationKey, SigningKey};
use mikey_sakke::sakke::{PublicKey, ReceiverSecretKey};

use super::{ALICE, Lab, keyprov};
use crate::config::{RepeatedRequest, UserIdForm};

#[tokio::test]
async fn certificate_and_keys_validate_as_a_client_does_it() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let KmsMessage::Init(init) = server.ask(ALICE, &Resource::Init).await.message() else {
        panic!("no KmsInit");
    };
    let certificate = init.certificate;
    assert_eq!(certificate.role, Some(Role::Root));
    certificate.check(server.kms.now()).unwrap();

    let sets = server.ask(ALICE, &keyprov()).await.key_sets();
    let [set] = sets.as_slice() else {
        panic!("one key set expected, got {}", sets.len())
    };
    assert_eq!(
        (set.user_uri.as_str(), &set.cert_uri),
        (ALICE, &certificate.cert_uri)
    );
    let uid = Uid::at(ALICE, &set.kms_uri, certificate.period, lab.clock.ntp());
    assert_eq!(set.uid(), Some(uid));
    let keys = set.keys(&[]).unwrap();
    let kpak = AuthenticationKey::from_octets(&certificate.pub_auth_key).unwrap();
    SigningKey::validated(&kpak, uid.octets(), keys.ssk.as_slice(), &keys.pvt).unwrap();
    let kms_key = PublicKey::from_octets(&certificate.pub_enc_key).unwrap();
    let rsk = ReceiverSecretKey::from_octets(&keys.rsk).unwrap();
    rsk.validate(&kms_key, uid.octets()).unwrap();
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_keys_also_after_a_restart() {
    let lab = Lab::new().await;
    let first = lab.start().await.ask(ALICE, &keyprov()).await.key_sets();
    let server = lab.start().await;
    let again = server.ask(ALICE, &keyprov()).await.key_sets();
    assert_eq!(first, again);
    assert_eq!(server.kms.store().issued_count().await.unwrap(), 1);
}

#[tokio::test]
async fn fresh_keys_and_hexadecimal_user_ids_by_configuration() {
    let lab = Lab::new().await;
    let server = lab
        .start_with(|config| {
            config.profile.repeated_request = RepeatedRequest::Fresh;
            config.profile.user_id = UserIdForm::Hex;
        })
        .await;
    let first = server.ask(ALICE, &keyprov()).await.key_sets();
    let again = server.ask(ALICE, &keyprov()).await.key_sets();
    assert_ne!(first[0].signing_key, again[0].signing_key);
    assert_eq!(first[0].decrypt_key, again[0].decrypt_key);
    assert_eq!(first[0].user_id.len(), 64);
}

#[tokio::test]
async fn the_next_period_is_provisioned_before_the_boundary() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let period = server.kms.period();
    let number = period.number_at(lab.clock.ntp());
    let left = period.start_of(number + 1) - u64::from(lab.clock.ntp().seconds());
    lab.clock.advance(Duration::from_secs(left - 60));
    let sets = server.ask(ALICE, &keyprov()).await.key_sets();
    let numbers: Vec<u64> = sets.iter().map(|set| set.key_period_no).collect();
    assert_eq!(numbers, [number, number + 1]);
    lab.clock.advance(Duration::from_secs(120));
    let after = server.ask(ALICE, &keyprov()).await.key_sets();
    assert_eq!(after, sets[1..]);
}

#[tokio::test]
async fn a_server_gets_the_identities_bound_to_it() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let sets = server
        .ask("sip:mcptt@mc.example", &keyprov())
        .await
        .key_sets();
    let users: Vec<&str> = sets.iter().map(|set| set.user_uri.as_str()).collect();
    assert_eq!(users, ["mdsi.mc.example", "sip:mcptt@mc.example"]);
}

/// Computed together, each is what its own UID needs; those that were there stay.
#[tokio::test]
async fn key_sets_of_several_identities_and_periods_are_issued_at_once() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let of_server = "sip:mcptt@mc.example";
    let mdsi = Resource::KeyProv {
        user: Some("mdsi.mc.example".to_owned()),
        time: None,
    };
    let [earlier] = server
        .ask(of_server, &mdsi)
        .await
        .key_sets()
        .try_into()
        .unwrap();
    let period = server.kms.period();
    // The first is of the period that is left, near whose end the next one's come too.
    for (periods_on, stored) in [(0, 4), (1, 6), (0, 6)] {
        let number = period.number_at(lab.clock.ntp()) + periods_on;
        let left = period.start_of(number + 1) - u64::from(lab.clock.ntp().seconds());
        lab.clock.advance(Duration::from_secs(left - 60));
        let sets = server.ask(of_server, &keyprov()).await.key_sets();
        assert_eq!(sets.len(), 4);
        assert_eq!(sets.contains(&earlier), stored == 4);
        for set in &sets {
            let (uri, kms, number) = (&set.user_uri, &set.kms_uri, set.key_period_no);
            let uid = Uid::of_period(uri, kms, period, number);
            let keys = set.keys(&[]).unwrap();
            let certificate = server.kms.certificate();
            let kpak = AuthenticationKey::from_octets(&certificate.pub_auth_key).unwrap();
            SigningKey::validated(&kpak, uid.octets(), keys.ssk.as_slice(), &keys.pvt).unwrap();
            let kms_key = PublicKey::from_octets(&certificate.pub_enc_key).unwrap();
            let rsk = ReceiverSecretKey::from_octets(&keys.rsk).unwrap();
            rsk.validate(&kms_key, uid.octets()).unwrap();
        }
        assert_eq!(server.kms.store().issued_count().await.unwrap(), stored);
    }
}

#[tokio::test]
async fn one_identity_at_a_time_of_the_previous_period_with_an_unescaped_uri() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let period = server.kms.period();
    let number = period.number_at(lab.clock.ntp());
    let time = format!("{:08x}00000000", period.start_of(number) - 1);
    let path = format!("{}/keyprov/{ALICE}/{time}", kms_protocol::ROOT);
    let mut request = server.request(ALICE, &keyprov());
    request.client_req_url = format!("{}{path}", server.base);
    let answer = server
        .post(Some(&lab.token(ALICE, &[])), &path, request.to_xml())
        .await;
    let sets = answer.key_sets();
    assert_eq!(
        sets.iter().map(|set| set.key_period_no).collect::<Vec<_>>(),
        [number - 1]
    );
}

#[tokio::test]
async fn secrets_are_sealed_at_rest() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let sets = server.ask(ALICE, &keyprov()).await.key_sets();
    let ssk = sets[0].keys(&[]).unwrap().ssk;
    let mut files = 0;
    for entry in std::fs::read_dir(lab.dir.path()).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!content.windows(32).any(|window| window == ssk.as_slice()));
        files += 1;
    }
    assert!(files >= 2);
    let mut config = lab.config();
    config.sealing_key_file = lab.dir.path().join("other.key");
    let error = lab.open(config).await.unwrap_err();
    assert!(format!("{error:#}").contains("another key"), "{error:#}");
}
