//! SIP messages (RFC 3261): datagrams and streams, with their dialogs, addresses and bodies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mc_sip::{DialogId, Multipart, Request, Response, SipMessage, StreamFramer, parse_datagram};

fuzz_target!(|octets: &[u8]| {
    let mut framer = StreamFramer::new();
    framer.push(octets);
    while let Ok(Some(_)) = framer.next_frame() {}
    let Ok(message) = parse_datagram(octets) else {
        return;
    };
    let (SipMessage::Request(Request { headers, .. }) | SipMessage::Response(Response { headers, .. })) =
        &message;
    let (_, _, _) = (headers.from(), headers.to(), headers.cseq());
    if let SipMessage::Request(request) = &message {
        let _ = DialogId::of_request(request);
        let _ = Multipart::of(&request.headers, &request.body);
    }
    parse_datagram(&message.to_bytes()).expect("what was read is written so that it can be read");
});
