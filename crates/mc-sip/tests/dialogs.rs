//! Dialogs, session timers and warnings.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::time::{Duration, Instant};

use mc_sip::sdp::{FloorParameters, McpttMedia, PcmuMedia, Sdp};
use mc_sip::{
    Dialog, DialogError, DialogId, DialogState, McWarning, Method, NameAddr, Refresher, Request,
    SdpError, SessionTimer, SessionTimerAction, SessionTimerPolicy, StatusCode, Uri, Warning,
};

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

fn invite() -> Request {
    let from = NameAddr::new(uri("sip:a@example.org")).with_tag("ta");
    Request::new(
        Method::Invite,
        uri("sip:b@example.org"),
        &from,
        &uri("sip:b@example.org").into(),
        "c1",
        10,
    )
    .with("Contact", "<sip:a@192.0.2.1:5070>")
    .with(
        "Record-Route",
        "<sip:p2.example.org;lr>, <sip:p1.example.org;lr>",
    )
}

#[test]
fn both_sides_of_a_dialog_agree_and_order_is_kept() {
    let invite = invite();
    let ok = invite
        .response(StatusCode::OK, "tb")
        .with("Contact", "<sip:b@192.0.2.2>")
        .with(
            "Record-Route",
            "<sip:p2.example.org;lr>, <sip:p1.example.org;lr>",
        );
    let mut caller = Dialog::uac(&invite, &ok).unwrap();
    let mut callee = Dialog::uas(&invite, "tb").unwrap();
    assert_eq!(caller.id().local_tag, callee.id().remote_tag);
    assert_eq!(caller.next_hop().to_string(), "sip:p1.example.org;lr");
    assert_eq!(callee.next_hop().to_string(), "sip:p2.example.org;lr");

    let ack = caller.ack(10);
    assert_eq!(ack.headers.cseq().unwrap().to_string(), "10 ACK");
    assert_eq!(callee.on_request(&ack), Ok(()));
    let info = caller.request(Method::Info);
    assert_eq!(DialogId::of_request(&info).unwrap().unwrap(), *callee.id());
    assert_eq!(info.headers.routes().unwrap().len(), 2);
    assert_eq!(callee.on_request(&info), Ok(()));
    assert_eq!(callee.on_request(&info), Err(DialogError::OutOfOrder));

    let reinvite = caller
        .request(Method::Invite)
        .with("Contact", "<sip:a@192.0.2.77>");
    callee.on_request(&reinvite).unwrap();
    assert_eq!(callee.remote_target().host, "192.0.2.77");
    let bye = callee.request(Method::Bye);
    assert_eq!(bye.uri.to_string(), "sip:a@192.0.2.77");
    caller.on_request(&bye).unwrap();
    assert_eq!(caller.state(), DialogState::Terminated);
}

#[test]
fn a_response_without_tag_or_contact_makes_no_dialog() {
    let invite = invite();
    assert!(Dialog::uac(&invite, &invite.response(StatusCode::OK, "tb")).is_err());
    assert!(
        Dialog::uac(
            &invite,
            &invite
                .response(StatusCode::OK, "")
                .with("Contact", "<sip:b@h>")
        )
        .is_err()
    );
}

#[test]
fn session_timers_are_agreed_refreshed_and_expire() {
    let now = Instant::now();
    let policy = SessionTimerPolicy::default();
    let mut request = invite();
    SessionTimer::offer(&mut request.headers, policy);
    let mut ok = request.response(StatusCode::OK, "tb");
    let server = SessionTimer::accept(&request, &mut ok, policy, now)
        .unwrap()
        .unwrap();
    assert_eq!(
        ok.headers.get("Session-Expires"),
        Some("1800;refresher=uac")
    );
    assert!(ok.headers.has_option("Require", "timer"));
    assert!(!server.we_refresh());
    let mut client = SessionTimer::accepted(&ok, now).unwrap();
    assert!(client.we_refresh());
    assert_eq!(client.handle_timeout(now + Duration::from_secs(899)), None);
    assert_eq!(client.poll_timeout(), now + Duration::from_secs(900));
    assert_eq!(
        client.handle_timeout(now + Duration::from_secs(900)),
        Some(SessionTimerAction::Refresh)
    );
    let mut server = server;
    assert_eq!(server.poll_timeout(), now + Duration::from_secs(1768));
    assert_eq!(
        server.handle_timeout(now + Duration::from_secs(1768)),
        Some(SessionTimerAction::Expired)
    );
}

#[test]
fn a_short_interval_is_refused_and_a_peer_without_timers_is_refreshed_by_the_server() {
    let now = Instant::now();
    let policy = SessionTimerPolicy {
        prefer: Refresher::Uac,
        ..SessionTimerPolicy::default()
    };
    let short = invite()
        .with("Supported", "timer")
        .with("Session-Expires", "30");
    let mut ok = short.response(StatusCode::OK, "tb");
    assert_eq!(SessionTimer::accept(&short, &mut ok, policy, now), Err(90));
    let plain = invite();
    let mut ok = plain.response(StatusCode::OK, "tb");
    let timer = SessionTimer::accept(&plain, &mut ok, policy, now)
        .unwrap()
        .unwrap();
    assert!(timer.we_refresh());
    assert_eq!(ok.headers.get("Require"), None);
}

#[test]
fn warnings_carry_their_number_inside_the_text() {
    let warning = Warning::numbered("mcptt.example.org", McWarning::NotAffiliated);
    let text = warning.to_string();
    assert_eq!(
        text,
        "399 mcptt.example.org \"120 user is not affiliated to this group\""
    );
    assert_eq!(
        text.parse::<Warning>().unwrap().known(),
        Some(McWarning::NotAffiliated)
    );
    assert_eq!(
        "399 h \"no number\"".parse::<Warning>().unwrap().code(),
        None
    );
    assert!("120 user is not affiliated".parse::<Warning>().is_err());
    for warning in McWarning::ALL {
        assert_eq!(McWarning::from_code(warning.code()), Some(*warning));
    }
}

#[test]
fn the_answer_holds_nothing_that_was_not_offered() {
    let offer: FloorParameters = "mc_priority=5;mc_granted;mc_implicit_request;mc_future=1"
        .parse()
        .unwrap();
    assert_eq!(
        offer.answer(9, true, false).to_string(),
        "mc_priority=5;mc_implicit_request"
    );
    assert_eq!(
        FloorParameters::default().answer(9, true, true).to_string(),
        ""
    );
    assert!("mc_priority=0".parse::<FloorParameters>().is_err());
    assert!("mc_priority=256".parse::<FloorParameters>().is_err());
}

#[test]
fn descriptions_are_written_as_the_standard_shows_them() {
    let floor = "mc_queueing;mc_priority=5".parse().unwrap();
    let media = McpttMedia::new(
        "192.0.2.10:40000".parse().unwrap(),
        Some("192.0.2.10:40002".parse().unwrap()),
        floor,
    );
    let text = media.to_sdp(1, 1).to_string();
    let sample = include_str!("vectors/12_invite_member_ctrl_to_part.sip");
    let expected = sample
        .split("\r\n\r\n")
        .nth(2)
        .unwrap()
        .split("\r\n--inv")
        .next()
        .unwrap();
    let expected = expected
        .replace("198.51.100.6", "192.0.2.10")
        .replace("o=- 3", "o=- 1");
    let expected = expected.replace("42000", "40000").replace("42002", "40002");
    assert_eq!(text.trim_end(), expected.trim_end());
    assert_eq!(McpttMedia::from_sdp(&text.parse().unwrap()).unwrap(), media);

    let pcmu = PcmuMedia {
        audio: "192.0.2.5:6000".parse().unwrap(),
        telephone_event: Some(101),
    };
    let sdp: Sdp = pcmu.to_sdp(1, 1).to_string().parse().unwrap();
    assert_eq!(PcmuMedia::from_sdp(&sdp).unwrap(), pcmu);
    assert!(McpttMedia::from_sdp(&sdp).is_err());
    assert!(PcmuMedia::from_sdp(&media.to_sdp(1, 1)).is_err());
}

#[test]
fn media_is_sent_to_one_host_only() {
    let host = "192.0.2.1:9".parse().unwrap();
    let offer = McpttMedia::new(host, Some(host), FloorParameters::default());
    let text = offer.to_sdp(1, 1).to_string();
    for address in [
        "IP4 0.0.0.0",
        "IP4 224.2.1.1/127",
        "IP4 255.255.255.255",
        "IP6 ::",
        "IP6 ff02::1",
    ] {
        let text = text.replace("IN IP4 192.0.2.1", &format!("IN {address}"));
        let sdp: Sdp = text.parse().unwrap();
        let refused = McpttMedia::from_sdp(&sdp);
        assert!(
            matches!(refused, Err(SdpError::Destination(_))),
            "{address}: {refused:?}"
        );
    }
}

#[test]
fn descriptions_that_are_not_descriptions_are_refused() {
    for text in [
        "",
        "v=1\r\n",
        "v=0\r\no=- x 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n",
        "v=0\r\ns=-\r\nt=0 0\r\n",
        "v=0\r\nx\r\n",
    ] {
        assert!(Sdp::parse(text.as_bytes()).is_err(), "{text:?}");
    }
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";
    assert!(
        Sdp::parse(format!("{head}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(20)).as_bytes()).is_err()
    );
    assert!(Sdp::parse(format!("{head}{}", "a=x\r\n".repeat(600)).as_bytes()).is_err());
}
