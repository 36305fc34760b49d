//! The IO shell: clock, randomness, sockets, HTTP, configuration, logs, shutdown.
//!
//! Everything that touches the outside world lives here, so that the protocol crates below stay
//! free of it. A service's `main.rs` calls [`service::run`]; its library takes a
//! [`service::Context`] and composes the modules of this crate.

pub mod auth;
pub mod clock;
pub mod config;
#[cfg(feature = "db")]
pub mod db;
pub mod files;
pub mod health;
pub mod http;
pub mod logging;
pub mod operator;
mod places;
pub mod revocations;
mod rng;
#[cfg(feature = "sealing")]
pub mod sealing;
pub mod service;
pub mod shutdown;
pub mod sip;
pub mod trace;

pub use clock::{Clock, SharedClock, SystemClock, TestClock};
pub use health::Health;
pub use rng::{OsRng, rng};
pub use tokio_util::sync::CancellationToken;
pub use trace::{TraceConfig, Tracer};
