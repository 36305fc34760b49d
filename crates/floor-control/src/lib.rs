//! TS 24.380 floor control: wire format and state machines, without IO
//!
//! - [`message`]: the `MCPT` messages, byte exact; [`mcpc`]: pre-established session control.
//! - [`participant`]: the floor participant of a client (6.2.4).
//! - [`server`]: the floor control server, its general arbitration (6.3.4) and its side towards
//!   each participant (6.3.5).
//!
//! Every machine has one shape: `handle(input, now)` takes what happened, `poll_output` is
//! drained afterwards, `poll_timeout` says when to call `handle` with a timeout. Nothing here
//! reads a clock, opens a socket or draws random numbers.

pub mod error;
mod field;
pub mod mcpc;
pub mod message;
pub mod participant;
pub mod server;
pub mod timer;
mod wire;

pub use error::{DecodeError, EncodeError};
pub use message::{FloorMessage, FloorPacket};
