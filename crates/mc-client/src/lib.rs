//! One MC client: token, keys, groups, registration, calls, floor and speech.
//!
//! [`McClient::start`] runs the whole client as a task: it logs in, gets keys, registers with its
//! CSK, fetches group documents, receives GMKs, affiliates, and stays; calls are made by methods and
//! everything that happens comes out as [`ClientEvent`]s. [`McClient::start_at`] does the same for a
//! client of another MC system, which is attached by an [`Interconnection`] under its SPK. The parts are usable on their own:
//! [`login`] and [`keys`] by servers that are clients of `IdM` and KMS too.

mod association;
mod attachment;
mod bodies;
mod call;
mod call_id;
mod client;
mod config;
mod event;
mod group_documents;
mod group_keys;
mod handle;
mod interconnection;
pub mod keys;
pub mod login;
mod mikey_config;
mod private_call_key;
mod requests;
mod spk;
mod state_dir;

pub use association::Association;
pub use attachment::Attachment;
pub use bodies::{BodyConfig, BodyProtection, BodyRefused, Demand, ResolvedAlias, Seal};
pub use call_id::CallId;
pub use config::{ClientConfig, GmsConfig, GmsHome, OtherGms, ServerIdentities, SipLink};
pub use event::{ClientEvent, SpeechFrame, Step, StepFailure};
pub use group_keys::{GroupKey, GroupKeys, KeyRefused};
pub use handle::{Callee, ClientError, McClient, PrivateCall, Rejection};
pub use interconnection::{AuthorisationConfig, Interconnection, InterconnectionConfig};
pub use mc_sip::mcptt::Commencement;
pub use mikey_config::{MikeyConfig, log_variants};
pub use spk::{SpkAssociation, SpkConfig, SpkError, SsrcShare, XmlKeyId};
