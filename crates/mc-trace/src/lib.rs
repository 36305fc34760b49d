//! The trace stream: what one node saw of one protocol message, and every form it leaves in.
//!
//! A node describes each message it sends or receives, and each decision worth seeing, as one
//! [`Event`] whose name is declared in [`names`]. The same event is a HEP3 datagram ([`hep`], so
//! Homer and sngrep can listen too), a line of JSON ([`lines`]) and a frame of a capture
//! ([`pcapng`]). Secrets are masked by [`Event::redact`] before an event leaves its process; keys
//! go to the [`keylog`] and only when the lab says so.
//!
//! This crate does no IO and reads no clock; `mc_runtime::trace::Tracer` does both.

pub mod event;
pub mod hep;
mod http;
pub mod keylog;
pub mod lines;
pub mod names;
pub mod pcapng;
mod redact;
mod sip;

pub use event::{Direction, Endpoint, Event, Interface, Protocol, Transport};
pub use http::http_message;
pub use keylog::{KeyKind, KeyLogEntry};
pub use names::Declared;
