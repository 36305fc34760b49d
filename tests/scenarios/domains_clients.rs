//! What a client of one domain makes of another: it tells its user where protection ends, and tells a
//! sender whose KMS it does not accept.

use std::sync::Arc;

use kms_protocol::{KRR_MEDIA_TYPE, RedirectNames, RedirectResponse, Rejected};
use lab::operator::Operator;
use lab::parties::Party;
use lab::topology::Domain::{Gateway, Primary};
use lab::topology::PortName;
use mc_client::ClientEvent;
use mc_ids::{Gmk, GmkId};
use mc_runtime::sip::{SipConfig, SipEndpoint};
use mc_runtime::{CancellationToken, SystemClock};
use mc_sip::transaction::TransactionConfig;
use mc_sip::{Peer, StatusCode, name};
use mikey::Distribution;

use crate::domains::{ALICE, INTEROP, SEGY, UNIT, group_key_of, user};
use crate::support::{PATIENCE, start_domains, until};

const GMS: &str = "sip:gms@mc.example";

#[tokio::test]
async fn a_client_is_told_when_a_gateway_comes_to_share_its_groups_key() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start_domains(&dir, &[Primary, Gateway]).await;
    let alice = Party::start(&lab, "alice", &[INTEROP]).await.unwrap();
    let mut heard = alice.follow();
    let key = |event: &ClientEvent| match event {
        ClientEvent::KeyReceived {
            gmk_id,
            ends_at_gateway,
            ..
        } => Some((*gmk_id, *ends_at_gateway)),
        _ => None,
    };
    let (first, shared) = until(&mut heard, "first key", key).await;
    assert!(!shared, "no partner is trusted yet");
    assert!(alice.until_ready(PATIENCE).await.is_ok());

    // Trust comes; the gateway's user asks for its key, and all members are told what that means.
    let operator = Operator::of(&lab).unwrap();
    operator.introduce(Primary, Gateway).await.unwrap();
    let unit = user(&lab, Gateway, "segy", UNIT).await;
    let message = group_key_of(&lab, Primary, INTEROP, &unit).await;
    assert!(message.is_ok(), "{message:?}");
    let (again, shared) = until(&mut heard, "key with status", key).await;
    assert_eq!((again, shared), (first, true));
    alice.stop().await;
}

#[tokio::test]
async fn a_sender_of_an_unknown_kms_is_redirected_and_nothing_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start_domains(&dir, &[Primary, Gateway]).await;
    let alice = Party::start(&lab, "alice", &[]).await.unwrap();
    assert!(alice.until_ready(PATIENCE).await.is_ok());
    let mut heard = alice.follow();
    // Only the gateway's domain trusts: it can encrypt to Alice, and she cannot know who it is.
    let operator = Operator::of(&lab).unwrap();
    let exported = operator.export(Primary).await.unwrap();
    operator.import(Gateway, &exported, &[]).await.unwrap();
    let segy = user(&lab, Gateway, "segy", SEGY).await;
    let (mut rng, now) = (mc_runtime::rng(), SystemClock::shared().ntp());
    let distribution = Distribution {
        initiator: segy.ring.current(SEGY, now).unwrap(),
        kms_initiator: segy.ring.root(),
        responder: ALICE,
        kms_responder: segy.ring.certificate_for(ALICE).unwrap(),
        time: now,
        rand: [5; 16],
        to_self: false,
        key_parameters: None,
    };
    let (key, id) = (Gmk::random(&mut rng), GmkId::random(&mut rng));
    let octets = distribution.gmk(&key, id, &mut rng).unwrap();

    let stop = CancellationToken::new();
    let config = SipConfig {
        bind: ([127, 0, 0, 1], 0).into(),
        ..SipConfig::default()
    };
    let transactions = TransactionConfig::default();
    let (sip, _incoming) = SipEndpoint::bind(&config, transactions, Arc::new(()), &stop)
        .await
        .unwrap();
    let impu = "sip:alice@ims.mc.example";
    // In the SIP envelope of a server that the SIP core knows.
    let request = gms::message::key_delivery(GMS, impu, ALICE, octets, &mut rng).unwrap();
    let server = Peer::tcp(lab.addresses().of(PortName::McpttSip));
    let response = sip.request(request, server).final_response().await.unwrap();
    assert_eq!(response.status, StatusCode::NOT_ACCEPTABLE_HERE);
    let kind = response.headers.get(name::CONTENT_TYPE);
    assert_eq!(kind, Some(KRR_MEDIA_TYPE));
    let redirect = RedirectResponse::parse(&response.body, &RedirectNames::default()).unwrap();
    let rejected = Rejected::Initiator(segy.ring.root().kms_uri.clone());
    assert_eq!(redirect.rejected, Some(rejected));
    let acceptable: Vec<_> = redirect.acceptable.iter().map(|kms| kms.as_str()).collect();
    assert_eq!(acceptable, ["kms.mc.example"]);
    until(&mut heard, "refusal", |event| {
        matches!(event, ClientEvent::KeyRefused { .. }).then_some(())
    })
    .await;
    stop.cancel();
    alice.stop().await;
}
