//! The IdMS as its clients see it, over HTTPS.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assertion ends the test"
)]

mod browser;
mod domains;
mod flow;
mod foreign;
mod lab;
mod refusals;
mod store;
mod traces;
