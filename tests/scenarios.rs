//! End-to-end scenarios: every service a process of its own, real keys, real speech.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a step that fails fails the test, and a step waits for one event"
)]

#[path = "scenarios/support.rs"]
mod support;

#[path = "scenarios/approaches.rs"]
mod approaches;
#[path = "scenarios/domains.rs"]
mod domains;
#[path = "scenarios/domains_clients.rs"]
mod domains_clients;
#[path = "scenarios/gateway.rs"]
mod gateway;
#[path = "scenarios/group_calls.rs"]
mod group_calls;
#[path = "scenarios/keys.rs"]
mod keys;
#[path = "scenarios/private_calls.rs"]
mod private_calls;
