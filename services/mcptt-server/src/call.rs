//! Calls: the three MCPTT functions and the session that ties them to the media plane.
//!
//! `originating` and `terminating` are the participating function towards the caller and those who
//! are called. [`admission`] is the order of checks of a group call, [`private`] that of a private
//! call. [`controlling`] is the session of the controlling function as a state machine without IO;
//! `session` drives it for one call, whatever its [`subject`].

pub mod admission;
pub mod controlling;
pub mod emergency;
pub mod originating;
pub mod private;
pub mod session;
pub mod subject;
pub mod terminating;
