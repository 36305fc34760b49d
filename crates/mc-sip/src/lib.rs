//! SIP messages, bodies, SDP, transactions and dialogs for MCPTT, without IO.
//!
//! The crate wraps the message parser of `rsipstack` (nothing else in the tree imports it) and adds
//! what MCPTT needs: bounded parsing with the standard's own refusals, the header fields of
//! TS 24.379, `multipart/mixed` bodies, SDP with the floor control stream, RFC 3261 and RFC 6026
//! transactions, dialogs and RFC 4028 session timers. Time and randomness are arguments.

mod body;
mod dialog;
mod error;
mod frame;
mod header;
pub mod mcptt;
mod message;
mod method;
mod name_addr;
mod params;
mod parse;
pub mod ptt;
pub mod sdp;
mod session_timer;
mod status;
pub mod token;
pub mod transaction;
mod uri;
mod via;
mod warning;

pub use body::{BodyPart, Multipart, content_type};
pub use dialog::{Dialog, DialogError, DialogId, DialogState};
pub use error::{BodyError, ParseError, Rejected, SdpError};
pub use frame::{Frame, StreamFramer};
pub use header::{CSeq, Event, Headers, SessionExpires, name};
pub use message::{Request, Response, SipMessage};
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::Params;
pub use parse::{MAX_HEAD_SIZE, MAX_HEADERS, MAX_MESSAGE_SIZE, parse_datagram, parse_message};
pub use session_timer::{Refresher, SessionTimer, SessionTimerAction, SessionTimerPolicy};
pub use status::StatusCode;
pub use transaction::{Peer, Transport};
pub use uri::{Scheme, Uri};
pub use via::Via;
pub use warning::{McWarning, Warning};
