//! Requests that can be read and ask for what makes no sense: media that goes nowhere or to many, keys
//! twice, extensions that there are not, a caller that cannot be answered.

use mc_sip::mcptt::{self, media};
use mc_sip::sdp::{FloorParameters, McpttMedia};
use mc_sip::{BodyPart, Method, Multipart, Request, name};
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};

use crate::peer::{Peer, SERVER, with_parts};
use crate::support::{GROUP, all_ready, kept, logged, start};

/// A request with what is odd about it, the status it gets and the words of the log.
type Case = (&'static str, Request, u16, &'static str);

/// A call of the group with this description of media.
fn described(peer: &Peer, sdp: &str) -> Request {
    let info = McpttInfo {
        session_type: Some(SessionType::Prearranged),
        request_uri: Some(Content::uri_value(GROUP)),
        ..McpttInfo::default()
    };
    let parts = Multipart::default()
        .with(BodyPart::new(media::SDP, sdp.as_bytes()))
        .with(BodyPart::new(media::MCPTT_INFO, peer.sealed(info)));
    let mut request = peer.request(Method::Invite, SERVER);
    mcptt::push_accept_contact(&mut request.headers);
    peer.signed(request, parts)
}

/// The same with one change of a good description.
fn altered(peer: &Peer, from: &str, to: &str) -> Request {
    let nowhere = ([127, 0, 0, 1], 9).into();
    let good = McpttMedia::new(nowhere, Some(nowhere), FloorParameters::default());
    let good = good.to_sdp(1, 1).to_string();
    assert!(good.contains(from), "{good}");
    described(peer, &good.replace(from, to))
}

/// A REGISTER whose text is changed in one place.
fn registered(peer: &Peer, from: &str, to: &str) -> Request {
    let mut register = peer.register();
    let body = String::from_utf8(register.body.clone()).unwrap();
    assert!(body.contains(from), "{body}");
    register.body = body.replacen(from, to, 1).into_bytes();
    register
}

/// A REGISTER with something before its I_MESSAGE that claims to be one.
fn two_keys(peer: &Peer) -> Request {
    let register = peer.register();
    let parts = Multipart::of(&register.headers, &register.body).unwrap();
    let mut both = Multipart::default().with(BodyPart::new(media::MIKEY, b"garbage".to_vec()));
    both.parts.extend(parts.parts);
    with_parts(register, &both)
}

fn calls(peer: &Peer) -> Vec<Case> {
    let to = |address: &str| altered(peer, "IP4 127.0.0.1", address);
    let mut nobody = peer.invite(GROUP);
    nobody.headers.remove(name::CONTACT);
    let required = peer.invite(GROUP).with(name::REQUIRE, "100rel, timer");
    vec![
        (
            "to many",
            to("IP4 224.0.0.1/1"),
            488,
            "no media is sent to 224.0.0.1",
        ),
        (
            "to all",
            to("IP4 255.255.255.255"),
            488,
            "no media is sent to 255",
        ),
        (
            "to this host",
            to("IP4 0.0.0.0"),
            488,
            "no media is sent to 0.0.0.0",
        ),
        ("to a name", to("IP4 example.org"), 488, "lacks c="),
        (
            "port 0",
            altered(peer, "m=audio 9 ", "m=audio 0 "),
            488,
            "no acceptable media",
        ),
        (
            "port 70000",
            altered(peer, "m=audio 9 ", "m=audio 70000 "),
            400,
            "line 6",
        ),
        (
            "no codec",
            altered(peer, "AMR-WB", "XYZ-WB"),
            488,
            "no acceptable media",
        ),
        ("no description", described(peer, ""), 400, "lacks v="),
        ("no Contact", nobody, 400, "Contact"),
        ("an extension", required, 420, "100rel"),
    ]
}

fn others(peer: &Peer) -> Vec<Case> {
    let mut no_event = peer.affiliate(&[GROUP]);
    no_event.headers.remove("Event");
    let mut short = peer.affiliate(&[GROUP]);
    short.headers.set(name::EXPIRES, "5");
    let mut no_contact = peer.register();
    no_contact.headers.remove(name::CONTACT);
    let onward = peer.request(Method::Message, "sip:alice@ims.mc.example");
    let base64 = registered(peer, "base64\r\n\r\n", "base64\r\n\r\n!!!");
    let quoted = registered(peer, ": base64", ": quoted-printable");
    let sec_agree = peer.register().with(name::REQUIRE, "sec-agree");
    vec![
        ("no base64", base64, 400, "body: "),
        ("quoted-printable", quoted, 400, "body: "),
        ("two keys", two_keys(peer), 403, "not one I_MESSAGE"),
        ("nowhere to reach it", no_contact, 400, "no Contact"),
        ("agreement", sec_agree, 420, "sec-agree"),
        ("no event", no_event, 489, "PUBLISH"),
        ("five seconds", short, 423, "Expires 5"),
        (
            "not a URI",
            peer.affiliate(&["fireground-1"]),
            400,
            "PUBLISH",
        ),
        (
            "of proxies",
            onward.with(name::PROXY_REQUIRE, "x"),
            420,
            "x",
        ),
    ]
}

#[tokio::test]
async fn odd_requests_are_refused_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let bob = Peer::affiliated(&lab, "bob", &[GROUP]).await;
    let before = kept(&lab).await;
    for (what, request, status, why) in calls(&bob).into_iter().chain(others(&bob)) {
        let answer = bob.ask(request).await;
        assert_eq!(answer.status, status, "{what}");
        if status == 420 {
            let unsupported = answer.response.headers.get(name::UNSUPPORTED).unwrap();
            assert!(why.contains(unsupported), "{what}: {unsupported}");
        }
        let line = logged(&lab, "mcptt-server", &answer.call_id).await;
        assert!(line.contains(why), "{what}: {line}");
        assert_eq!(kept(&lab).await, before, "{what}");
    }
    let call = bob.call(GROUP, false).await;
    bob.hang_up(call).await;
    all_ready(&lab).await;
}
