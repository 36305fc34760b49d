//! Session descriptions (RFC 8866) and what MCPTT needs of them (TS 24.379 24.380 14).
#![no_main]

use libfuzzer_sys::fuzz_target;
use mc_sip::sdp::{McpttMedia, Sdp};

fuzz_target!(|body: &[u8]| {
    let Ok(sdp) = Sdp::parse(body) else { return };
    let again = Sdp::parse(sdp.to_string().as_bytes());
    assert_eq!(again.as_ref().ok(), Some(&sdp));
    let _ = McpttMedia::from_sdp(&sdp);
});
