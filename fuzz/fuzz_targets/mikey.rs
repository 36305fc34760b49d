//! I_MESSAGEs (RFC 3830, 6043, 6509; TS 33.180 Annex E).
#![no_main]

use libfuzzer_sys::fuzz_target;
use mikey::{Unverified, anatomy};

fuzz_target!(|octets: &[u8]| {
    let _ = Unverified::parse(octets);
    let items = anatomy(octets);
    assert!(items.len() <= octets.len() + 1, "{} items", items.len());
});
