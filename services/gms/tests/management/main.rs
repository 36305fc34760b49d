//! The GMS as clients and administrators see it: XCAP over HTTP, keys and changes over SIP.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed assertion ends the test"
)]

mod documents;
mod domains;
mod keys;
mod lab;
mod refusals;
mod restart;
mod revocations;
mod store;
mod subscriber;
