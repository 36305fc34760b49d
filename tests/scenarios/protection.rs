//! XML bodies between clients and the MCPTT server: encrypted and signed under the CSK, as xmlsec1
//! sees it, and refused otherwise (TS 33.180 9.3, TS 24.379 6.6).

use lab::parties::{Party, client_config};
use lab::supervisor::Lab;
use mc_client::{BodyConfig, Callee, ClientEvent, Commencement, PrivateCall, Seal};
use mc_ids::Key128 as _;
use mc_sip::mcptt::media;
use mc_sip::{BodyPart, Method, Multipart, Request, name};
use mc_trace::{KeyKind, KeyLogEntry};
use mc_xml::mcptt_info::{Content, McpttInfo};
use testkit::xmlsec;

use crate::peer::{Peer, SERVER, with_parts};
use crate::support::{
    GROUP, PATIENCE, a_call_works, all_ready, kept, logged, ready, recording, start, until,
    until_traced,
};

#[tokio::test]
async fn xmlsec1_verifies_and_opens_all_bodies_of_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let mut config = client_config(&lab, "alice", &[GROUP]).unwrap();
    config.functional_aliases = vec!["sip:duty-officer@mc.example".to_owned()];
    let alice = Party::start_as(&lab, config).await.unwrap();
    alice.until_ready(PATIENCE).await.unwrap();
    let bob = ready(&lab, "bob").await;
    a_call_works(&lab, &alice, &bob).await;
    // To a functional alias: the answer that names its user is a body of the server's.
    let (mut at_alice, mut at_bob) = (alice.follow(), bob.follow());
    let alias = "sip:duty-officer@mc.example".to_owned();
    let wanted = PrivateCall {
        callee: Callee::FunctionalAlias(alias),
        commencement: Commencement::Automatic,
        implicit_floor: true,
        functional_alias: None,
    };
    let call = bob.client.private_call(wanted).await.unwrap();
    for at in [&mut at_alice, &mut at_bob] {
        until(at, "private call", |e| {
            matches!(e, ClientEvent::CallStarted { call, .. } if call.is_private()).then_some(())
        })
        .await;
    }
    bob.client.hang_up(call).await.unwrap();
    until(&mut at_alice, "release", |e| {
        matches!(e, ClientEvent::Released { .. }).then_some(())
    })
    .await;
    let carols = follow_affiliation(&lab).await;
    alice.stop().await;
    bob.stop().await;

    let mut run = recording(lab);
    run.keys.push(carols);
    let checked = xmlsec::check_bodies(&run).unwrap();
    assert!(
        checked.signatures > 20 && checked.opened > 10,
        "{checked:?}"
    );
    for carrier in [
        "received REGISTER",
        "received PUBLISH",
        "received INVITE",
        "received SUBSCRIBE",
        "sent INVITE",
        "sent NOTIFY",
        "sent 300",
    ] {
        assert!(checked.carriers.contains(carrier), "{checked:?}");
    }
    for body in [
        media::MCPTT_INFO,
        media::PIDF,
        media::POC_SETTINGS,
        media::RESOURCE_LISTS,
    ] {
        assert!(checked.bodies.contains(body), "{checked:?}");
    }
}

/// Carol subscribes to her own affiliations and is notified; her CSK.
async fn follow_affiliation(lab: &Lab) -> KeyLogEntry {
    let carol = Peer::new(lab, "carol").await;
    assert_eq!(carol.ask(carol.register()).await.status, 200);
    let info = about(carol.id());
    let parts = Multipart::default().with(BodyPart::new(media::MCPTT_INFO, carol.sealed(info)));
    let request = carol
        .request(Method::Subscribe, SERVER)
        .with(name::EVENT, "presence")
        .with(name::EXPIRES, "600");
    let request = carol.signed(request, parts);
    let answer = carol.ask(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let notified = |event: &mc_trace::Event| {
        event.node == "mcptt-server"
            && event.name == "sip:received"
            && event.summary.starts_with("200 OK (NOTIFY)")
            && event.call_id.as_deref() == Some(answer.call_id.as_str())
    };
    until_traced(lab, "the NOTIFY of an affiliation", 1, notified).await;
    let own = &carol.association;
    let (id, csk) = (own.id().key_id().0, own.csk().octets());
    KeyLogEntry::distributed(KeyKind::Csk, id, csk, own.rand())
}

fn about(user: &str) -> McpttInfo {
    McpttInfo {
        request_uri: Some(Content::uri_value(user)),
        ..McpttInfo::default()
    }
}

/// The same request without its signatures.
fn unsigned(request: &Request) -> Request {
    let mut parts = Multipart::of(&request.headers, &request.body).unwrap();
    parts
        .parts
        .retain(|part| part.media_type != media::MCPTT_SIGNED);
    with_parts(request.clone(), &parts)
}

/// The same request with one octet of a Content-Type's part changed in clear sight.
fn changed(request: &Request, from: &str, to: &str) -> Request {
    let body = String::from_utf8(request.body.clone()).unwrap();
    assert!(body.contains(from), "{body}");
    let mut request = request.clone();
    request.body = body.replacen(from, to, 1).into_bytes();
    request
}

/// An affiliation whose mcptt-info is in clear or under the CSK of somebody else; signed by `bob`.
fn affiliation(bob: &Peer, seal: Seal<'_>) -> Request {
    let good = bob.affiliate(&[GROUP]);
    let mut parts = Multipart::of(&good.headers, &good.body).unwrap();
    let taken_off = [media::MCPTT_SIGNED, media::MCPTT_INFO];
    parts
        .parts
        .retain(|part| !taken_off.contains(&part.media_type.as_str()));
    let info = seal.info(about(bob.id()), &mut mc_runtime::rng());
    bob.signed(good, parts.with(info))
}

#[tokio::test]
async fn bodies_in_clear_unsigned_or_changed_are_refused_with_their_warning() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = ready(&lab, "alice").await;
    let bob = Peer::new(&lab, "bob").await;
    let carol = Peer::new(&lab, "carol").await;
    let register = unsigned(&bob.register());
    let answer = bob.ask(register).await;
    assert_eq!((answer.status, answer.warning), (403, Some(139)));
    assert_eq!(bob.ask(bob.register()).await.status, 200);
    bob.affiliate_and_wait(&lab, &[GROUP]).await;
    let before = kept(&lab).await;

    let (invite, publish) = (bob.invite(GROUP), bob.affiliate(&[]));
    let strangers = carol.bodies();
    let own = bob.bodies();
    let signed_only = BodyConfig {
        encrypt: false,
        ..BodyConfig::default()
    };
    let clear_attributes = {
        let mut parts = Multipart::of(&publish.headers, &publish.body).unwrap();
        let keep = [media::MCPTT_INFO];
        parts
            .parts
            .retain(|part| keep.contains(&part.media_type.as_str()));
        let presence = mc_xml::affiliation::AffiliationPresence {
            entity: bob.id().to_owned(),
            ..Default::default()
        };
        let pidf = BodyPart::new(media::PIDF, presence.to_xml());
        bob.signed(publish.clone(), parts.with(pidf))
    };
    let cases = [
        ("INVITE without signature", unsigned(&invite), 139),
        ("PUBLISH without signature", unsigned(&publish), 139),
        (
            "INVITE changed after it was signed",
            changed(&invite, ">prearranged<", ">chat<"),
            139,
        ),
        (
            "PUBLISH changed after it was signed",
            changed(&publish, "urn:test:bob", "urn:test:rob"),
            139,
        ),
        ("mcptt-info in clear", affiliation(&bob, Seal::CLEAR), 140),
        (
            "mcptt-info in clear by configuration",
            affiliation(&bob, Seal::configured(Some(&own), &signed_only)),
            140,
        ),
        (
            "mcptt-info under another CSK",
            affiliation(&bob, Seal::full(&strangers)),
            140,
        ),
        ("URIs of attributes in clear", clear_attributes, 140),
    ];
    for (what, request, warning) in cases {
        let answer = bob.ask(request).await;
        let got = (answer.status, answer.warning);
        assert_eq!(got, (403, Some(warning)), "{what}");
        logged(&lab, "mcptt-server", &answer.call_id).await;
    }
    assert_eq!(kept(&lab).await, before);
    let call = bob.call(GROUP, false).await;
    bob.hang_up(call).await;
    alice.stop().await;
    all_ready(&lab).await;
}

#[tokio::test]
async fn a_csk_counts_until_the_next_one_comes() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let bob = Peer::affiliated(&lab, "bob", &[GROUP]).await;
    // The same client registers with another CSK, as after a restart: the old one is over.
    let mut again = Peer::new(&lab, "bob").await;
    again.endpoint = bob.endpoint.clone();
    assert_eq!(again.ask(again.register()).await.status, 200);
    let answer = bob.ask(bob.affiliate(&[])).await;
    assert_eq!((answer.status, answer.warning), (403, Some(140)));
    assert_eq!(again.ask(again.affiliate(&[GROUP])).await.status, 200);
    all_ready(&lab).await;
}
