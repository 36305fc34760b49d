//! XML bodies of TS 24.379, 24.481 and 24.484, bounded parsing, XML security.
//!
//! Octets of a peer become a tree only through [`parse`], which knows no DTD, no entity beyond the
//! five predefined ones and no encoding but UTF-8, and which stops at the bounds of [`Limits`].
//! Typed documents read a tree and write one; what they do not know they keep where the schema has
//! an extension point. [`security`] is TS 33.180 9.3: encrypted element content, encrypted URIs,
//! signatures. Nothing here does input or output, reads a clock or makes randomness.

pub mod affiliation;
pub mod affiliation_command;
pub mod c14n;
pub mod conference_info;
pub mod config;
pub mod dom;
mod error;
pub mod gktp;
pub mod group;
pub mod mcptt_info;
pub mod poc_settings;
mod profile;
mod reader;
pub mod resource_lists;
pub mod security;
mod value;
mod writer;
pub mod xcap_diff;
pub mod xcap_error;

pub use dom::{Element, Node};
pub use error::XmlError;
pub use profile::XmlProfile;
pub use reader::{Limits, parse, parse_with};
pub use value::{format_duration, parse_duration};
