//! A plausible run, for pictures.

use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

use mc_trace::{Endpoint, Event, Transport, names};
use serde_json::json;

use crate::support::Lab;

/// Sends a run as a gateway, a server and a client would report it.
pub(crate) async fn send(lab: &Lab) {
    let start = UNIX_EPOCH.elapsed().unwrap().as_micros();
    let start = u64::try_from(start).unwrap();
    for (n, mut event) in (0..).zip(events()) {
        event.time_us = start + n * 17_350;
        if event.node.is_empty() {
            let node = match event.name.split(':').next().unwrap_or_default() {
                "lmr" if event.from.name.is_empty() => "lmr-sim",
                area @ ("idms" | "kms" | "segy") => area,
                _ => event.from.name.as_str(),
            };
            event.node = node.to_owned();
        }
        lab.send(&event).await;
        tokio::task::yield_now().await;
    }
}

#[expect(clippy::too_many_lines, reason = "a list of events")]
fn events() -> Vec<Event> {
    let end = |name: &str, port: u16| Endpoint::new(name, SocketAddr::from(([127, 0, 0, 1], port)));
    let raw = |line: &str, cseq: &str| {
        format!(
            "{line}\r\nVia: SIP/2.0/TCP 127.0.0.1:5072;branch=z9hG4bK-7f31\r\n\
             From: <sip:segy-impu@ims.mc.example>;tag=19\r\nTo: <sip:mcptt@mc.example>\r\n\
             Call-ID: 5a1f-segy@mc.example\r\nCSeq: {cseq}\r\n\
             Contact: <sip:segy@127.0.0.1:5072>;+g.3gpp.mcptt\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let (segy, server, lmr) = (
        end("segy", 5066),
        end("mcptt-server", 5060),
        end("lmr-sim", 5070),
    );
    let sip = |from: &Endpoint, to: &Endpoint, line: &str, cseq: &str| {
        Event::sip_sent(
            from.clone(),
            to.clone(),
            Transport::Tcp,
            raw(line, cseq).as_bytes(),
        )
    };
    let floor = |from: &Endpoint, to: &Endpoint, what: &str| {
        Event::sent(
            &names::FLOOR_SENT,
            from.clone(),
            to.clone(),
            [0x80, 0xcc, 0, 3, 1, 2, 3, 4, 77, 67, 80, 84],
        )
        .summary(what)
        .key(0x2ddd_5bf0)
        .decoded(json!({"message": what, "duration_s": 30, "ssrc": "12345678"}))
    };
    let mut events = vec![
        Event::local(&names::LMR_PTT, "unit 1001 pressed on channel 1"),
        Event::local(&names::IDMS_TOKEN_ISSUED, "tokens for segy (client segy)"),
        Event::local(
            &names::KMS_KEYPROV_ISSUED,
            "key set for sip:segy@mc.example, period 1512",
        ),
        sip(
            &segy,
            &server,
            "REGISTER sip:mc.example SIP/2.0",
            "1 REGISTER",
        ),
        sip(&server, &segy, "SIP/2.0 403 Forbidden", "1 REGISTER"),
        sip(
            &segy,
            &server,
            "REGISTER sip:mc.example SIP/2.0",
            "2 REGISTER",
        ),
        sip(&server, &segy, "SIP/2.0 200 OK", "2 REGISTER"),
        sip(
            &segy,
            &server,
            "INVITE sip:mcptt@mc.example SIP/2.0",
            "3 INVITE",
        ),
        sip(
            &server,
            &end("bob", 5082),
            "INVITE sip:bob-impu@ims.mc.example SIP/2.0",
            "1 INVITE",
        ),
        sip(&end("bob", 5082), &server, "SIP/2.0 200 OK", "1 INVITE"),
        sip(&server, &segy, "SIP/2.0 200 OK", "3 INVITE"),
        floor(&segy, &server, "Floor Request"),
        floor(&server, &segy, "Floor Granted"),
        floor(
            &server,
            &end("bob", 40002),
            "Floor Taken (sip:segy@mc.example)",
        ),
        Event::local(
            &names::SEGY_CALL_BRIDGED,
            "channel 1 and sip:fireground-1@mc.example",
        ),
    ];
    for _ in 0..60 {
        events.push(
            Event::sent(
                &names::LMR_MEDIA_SENT,
                lmr.clone(),
                segy.clone(),
                vec![0x80; 172],
            )
            .summary("RTP PCMU SSRC 0badcafe"),
        );
        events.push(
            Event::sent(
                &names::MEDIA_SENT,
                segy.clone(),
                server.clone(),
                vec![0x80; 90],
            )
            .summary("SRTP AMR-WB SSRC 12345678")
            .key(0x09bf_9d37),
        );
    }
    events
}
