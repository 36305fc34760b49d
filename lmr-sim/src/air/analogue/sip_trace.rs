//! SIP and RTP of the air side as trace events.

use std::net::SocketAddr;

use mc_runtime::sip::{SipTrace, WireMessage};
use mc_runtime::trace::Tracer;
use mc_sip::Transport as SipTransport;
use mc_trace::{Endpoint, Event, Transport, names};

/// This network in events.
const NODE: &str = "lmr-sim";

/// Turns what the SIP endpoint sees into events.
pub(super) struct SipTracer(Tracer);

impl SipTracer {
    pub(super) const fn new(tracer: Tracer) -> Self {
        Self(tracer)
    }
}

impl SipTrace for SipTracer {
    fn message(&self, message: WireMessage<'_>) {
        if !self.0.is_on() {
            return;
        }
        let (here, there) = (
            Endpoint::new(NODE, message.local),
            Endpoint::at(message.peer.address),
        );
        let event = if message.sent {
            Event::sent(&names::LMR_SIP_SENT, here, there, message.raw)
        } else {
            Event::received(&names::LMR_SIP_RECEIVED, there, here, message.raw)
        };
        let mut event = event.over(match message.peer.transport {
            SipTransport::Udp => Transport::Udp,
            SipTransport::Tcp => Transport::Tcp,
        });
        let text = String::from_utf8_lossy(message.raw);
        let mut lines = text.lines();
        if let Some(first) = lines.next() {
            event = event.summary(first.chars().take(120).collect::<String>());
        }
        let call_id = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(field, _)| field.trim().eq_ignore_ascii_case("call-id") || field.trim() == "i")
            .map(|(_, value)| value.trim().to_owned());
        if let Some(call_id) = call_id {
            event = event.call(call_id);
        }
        self.0.emit(event);
    }
}

/// Reports a packet of speech.
pub(super) fn media(
    tracer: &Tracer,
    sent: bool,
    local: SocketAddr,
    peer: SocketAddr,
    call_id: &str,
    raw: &[u8],
) {
    if !tracer.wants_media() {
        return;
    }
    let (here, there) = (Endpoint::new(NODE, local), Endpoint::at(peer));
    let event = if sent {
        Event::sent(&names::LMR_MEDIA_SENT, here, there, raw)
    } else {
        Event::received(&names::LMR_MEDIA_RECEIVED, there, here, raw)
    };
    tracer.emit(event.call(call_id));
}
