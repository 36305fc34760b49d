//! Registrations and calls that must not come about.

use lab::topology::PortName;
use mc_sip::sdp::{FloorParameters, McpttMedia};
use mc_sip::{Method, name};
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};

use crate::peer::{Peer, https};
use crate::refusals_tokens::{claims, document_url, issuer_key, kms_request};
use crate::support::{GROUP, all_ready, kept, logged, ready, start};

#[tokio::test]
async fn calls_are_refused_with_the_warning_of_their_reason() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = ready(&lab, "alice").await;
    let (bob, carol) = (Peer::new(&lab, "bob").await, Peer::new(&lab, "carol").await);
    let before = kept(&lab).await;
    let unregistered = bob.ask(bob.invite(GROUP)).await;
    assert_eq!(
        (unregistered.status, unregistered.warning),
        (404, Some(141))
    );
    logged(&lab, "mcptt-server", &unregistered.call_id).await;
    assert_eq!(kept(&lab).await, before);

    assert_eq!(bob.ask(bob.register()).await.status, 200);
    assert_eq!(carol.ask(carol.register()).await.status, 200);
    let before = kept(&lab).await;
    let nowhere = ([127, 0, 0, 1], 9).into();
    let offer = McpttMedia::new(nowhere, None, FloorParameters::default());
    let info = |session_type: Option<SessionType>, uri: &str| {
        let info = McpttInfo {
            session_type,
            request_uri: Some(Content::uri_value(uri)),
            ..McpttInfo::default()
        };
        bob.sealed(info)
    };
    let prearranged = || Some(SessionType::Prearranged);
    let mut unaccepted = bob.invite(GROUP);
    unaccepted.headers.remove(name::ACCEPT_CONTACT);
    let mut elsewhere = bob.invite(GROUP);
    elsewhere.uri = "sip:nobody@mc.example".parse().unwrap();
    let mut no_body = bob.invite(GROUP);
    no_body.body.clear();
    let cases = [
        (
            "unknown group",
            bob.invite("sip:nowhere@mc.example"),
            404,
            Some(113),
        ),
        ("no member", carol.invite(GROUP), 403, Some(116)),
        ("not affiliated", bob.invite(GROUP), 403, Some(120)),
        ("no MCPTT feature", unaccepted, 403, None),
        ("unknown function", elsewhere, 404, None),
        (
            "no session type",
            bob.invite_with(&offer, info(None, GROUP)),
            400,
            None,
        ),
        (
            "no group",
            bob.invite_with(&offer, info(prearranged(), "fireground-1")),
            400,
            None,
        ),
        (
            "chat",
            bob.invite_with(&offer, info(Some(SessionType::Chat), GROUP)),
            404,
            Some(117),
        ),
        ("no bodies", no_body, 400, None),
    ];
    for (what, invite, status, warning) in cases {
        let answer = bob_or_carol(&bob, &carol, &invite).ask(invite).await;
        assert_eq!((answer.status, answer.warning), (status, warning), "{what}");
        logged(&lab, "mcptt-server", &answer.call_id).await;
    }
    assert_eq!(kept(&lab).await, before);

    // An affiliation to a group one is no member of is taken and leads nowhere (9.2.2.3.3).
    assert_eq!(carol.ask(carol.affiliate(&[GROUP])).await.status, 200);
    let answer = carol.ask(carol.invite(GROUP)).await;
    assert_eq!((answer.status, answer.warning), (403, Some(116)));
    assert_eq!(
        kept(&lab).await["mcptt"]["affiliations"],
        before["mcptt"]["affiliations"]
    );
    bob.affiliate_and_wait(&lab, &[GROUP]).await;
    let call = bob.call(GROUP, false).await;
    bob.hang_up(call).await;
    alice.stop().await;
    all_ready(&lab).await;
}

fn bob_or_carol<'a>(bob: &'a Peer, carol: &'a Peer, request: &mc_sip::Request) -> &'a Peer {
    let from = request.headers.from().unwrap().uri;
    if from.same_identity(&bob.impu) {
        bob
    } else {
        carol
    }
}

#[tokio::test]
async fn strangers_cannot_act_for_a_registered_user() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let bob = Peer::affiliated(&lab, "bob", &[GROUP]).await;
    let stranger = Peer::new(&lab, "carol").await;
    let before = kept(&lab).await;
    let as_bob = |method, uri: &str| {
        let mut request = bob.request(method, uri);
        request.headers.set(name::EXPIRES, "0");
        request
    };
    let mut hijack = bob.request(Method::Register, "sip:ims.mc.example");
    hijack.headers.set(name::EXPIRES, "600");
    let cases = [
        (
            "deregister",
            as_bob(Method::Register, "sip:ims.mc.example"),
            403,
            Some(101),
        ),
        ("take over the flow", hijack, 403, Some(101)),
        ("call", bob.invite(GROUP), 404, Some(141)),
        ("affiliate", bob.affiliate(&[]), 404, Some(141)),
    ];
    for (what, request, status, warning) in cases {
        let answer = stranger.ask(request).await;
        assert_eq!((answer.status, answer.warning), (status, warning), "{what}");
        logged(&lab, "mcptt-server", &answer.call_id).await;
    }
    assert_eq!(kept(&lab).await, before);
    let refresh = bob.request(Method::Register, "sip:ims.mc.example");
    assert_eq!(
        bob.ask(refresh.with(name::EXPIRES, "600")).await.status,
        200
    );
    all_ready(&lab).await;
}

#[tokio::test]
async fn nobody_is_given_keys_or_documents_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let bob = Peer::new(&lab, "bob").await;
    let (http, key) = (https(&lab), issuer_key(&lab).await);
    let before = kept(&lab).await;
    let prov = |user: Option<&str>| kms_protocol::Resource::KeyProv {
        user: user.map(str::to_owned),
        time: None,
    };
    let alice = "sip:alice@mc.example";
    for (user, resource) in [
        (alice, prov(None)),
        (bob.id(), prov(Some(alice))),
        (bob.id(), prov(Some("mdsi.mc.example"))),
    ] {
        let path = resource.path();
        let url = format!("https://{}{path}", lab.addresses().of(PortName::Kms));
        let post = http.post(&url).bearer_auth(bob.token());
        let response = post
            .body(kms_request(user, &url).to_xml())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), 403, "{user} {path}");
        let id = response.headers()["x-correlation-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let octets = response.bytes().await.unwrap();
        let error = kms_protocol::KmsResponse::parse(&octets)
            .unwrap()
            .error
            .unwrap();
        assert_eq!(error.code, 403);
        logged(&lab, "kms", &id).await;
    }
    let carol = claims(
        &lab,
        "carol",
        "sip:gms@mc.example",
        mc_runtime::auth::SCOPE_GMS,
    );
    let carol = key.sign(&carol).unwrap();
    let keys =
        document_url(&lab, GROUP).replace("org.openmobilealliance.groups", "org.3gpp.MCPTT-GKTP");
    for (url, method) in [
        (document_url(&lab, GROUP), reqwest::Method::GET),
        (document_url(&lab, GROUP), reqwest::Method::PUT),
        (document_url(&lab, GROUP), reqwest::Method::DELETE),
        (keys, reqwest::Method::GET),
    ] {
        let request = http.request(method.clone(), &url).bearer_auth(&carol);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 403, "{method} {url}");
        let id = response.headers()["x-correlation-id"]
            .to_str()
            .unwrap()
            .to_owned();
        logged(&lab, "gms", &id).await;
    }
    assert_eq!(kept(&lab).await, before);
    let own = http
        .get(document_url(&lab, GROUP))
        .bearer_auth(bob.token())
        .send()
        .await
        .unwrap();
    assert_eq!(own.status().as_u16(), 200);
    all_ready(&lab).await;
}
