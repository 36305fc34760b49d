//! Group calls: the three MCPTT functions and the session that ties them to the media plane.
//!
//! [`admission`] is the order of checks of the controlling function, [`controlling`] its session as a
//! state machine without IO; `originating` and `terminating` are the participating function towards
//! the caller and the members; `session` drives them all for one call.

pub mod admission;
pub mod controlling;
pub mod originating;
pub mod session;
pub mod terminating;
