//! End-to-end scenarios: every service a process of its own, real keys, real speech.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a step that fails fails the test, and a step waits for one event"
)]

#[path = "scenarios/claims_stage.rs"]
mod claims_stage;
#[path = "scenarios/folder.rs"]
mod folder;
#[path = "scenarios/peer.rs"]
mod peer;
#[path = "scenarios/support.rs"]
mod support;

#[path = "scenarios/approaches.rs"]
mod approaches;
#[path = "scenarios/claims_alike.rs"]
mod claims_alike;
#[path = "scenarios/claims_clear.rs"]
mod claims_clear;
#[path = "scenarios/claims_identities.rs"]
mod claims_identities;
#[path = "scenarios/claims_passthrough.rs"]
mod claims_passthrough;
#[path = "scenarios/claims_revocation.rs"]
mod claims_revocation;
#[path = "scenarios/claims_secrecy.rs"]
mod claims_secrecy;
#[path = "scenarios/claims_units.rs"]
mod claims_units;
#[path = "scenarios/commands.rs"]
mod commands;
#[path = "scenarios/console.rs"]
mod console;
#[path = "scenarios/counts.rs"]
mod counts;
#[path = "scenarios/domains.rs"]
mod domains;
#[path = "scenarios/domains_clients.rs"]
mod domains_clients;
#[path = "scenarios/emergencies.rs"]
mod emergencies;
#[path = "scenarios/gateway.rs"]
mod gateway;
#[path = "scenarios/group_calls.rs"]
mod group_calls;
#[path = "scenarios/homed_at_gateway.rs"]
mod homed_at_gateway;
#[path = "scenarios/integrated.rs"]
mod integrated;
#[path = "scenarios/interconnection.rs"]
mod interconnection;
#[path = "scenarios/keys.rs"]
mod keys;
#[path = "scenarios/killed.rs"]
mod killed;
#[path = "scenarios/migration.rs"]
mod migration;
#[path = "scenarios/private_calls.rs"]
mod private_calls;
#[path = "scenarios/protection.rs"]
mod protection;
#[path = "scenarios/provisioned.rs"]
mod provisioned;
#[path = "scenarios/refusals_bytes.rs"]
mod refusals_bytes;
#[path = "scenarios/refusals_calls.rs"]
mod refusals_calls;
#[path = "scenarios/refusals_flood.rs"]
mod refusals_flood;
#[path = "scenarios/refusals_foreign.rs"]
mod refusals_foreign;
#[path = "scenarios/refusals_keys.rs"]
mod refusals_keys;
#[path = "scenarios/refusals_media.rs"]
mod refusals_media;
#[path = "scenarios/refusals_odd.rs"]
mod refusals_odd;
#[path = "scenarios/refusals_secrets.rs"]
mod refusals_secrets;
#[path = "scenarios/refusals_tokens.rs"]
mod refusals_tokens;
#[path = "scenarios/refused_groups.rs"]
mod refused_groups;
#[path = "scenarios/restarts.rs"]
mod restarts;
#[path = "scenarios/rules.rs"]
mod rules;
#[path = "scenarios/starts.rs"]
mod starts;
