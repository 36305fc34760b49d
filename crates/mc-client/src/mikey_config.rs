//! Which known defects of peers' I_MESSAGEs are overlooked: the section `[mikey]` of whoever opens
//! them.

use std::time::Duration;

use mikey::{OpenPolicy, Opened, VerifyPolicy};
use serde::Deserialize;

/// Defects of peers that are overlooked, all off by default; `docs/compatibility.md` has the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MikeyConfig {
    /// Signatures that leave out the SIGN header are accepted too (RFC 3830 5.2). Default false.
    pub lenient_sign: bool,
    /// Keys whose mask was hashed from g^r without its leading zero octets are accepted too
    /// (RFC 6508 6.2.2). Default false.
    pub shortened_mask: bool,
    /// Key parameters that were sent without protection are read (TS 33.180 E.6). Default false.
    pub plain_key_parameters: bool,
}

impl MikeyConfig {
    /// What is asked of a message's signature and time.
    #[must_use]
    pub const fn verify_policy(self, max_skew: Option<Duration>) -> VerifyPolicy {
        VerifyPolicy {
            max_skew,
            lenient_sign: self.lenient_sign,
        }
    }

    /// What is asked of what a message carries.
    #[must_use]
    pub const fn open_policy(self) -> OpenPolicy {
        OpenPolicy {
            shortened_mask: self.shortened_mask,
            plain_key_parameters: self.plain_key_parameters,
        }
    }
}

/// Logs what of an opened message was not in the form of TS 33.180 Annex E: a warning where a switch
/// overlooked it.
pub fn log_variants(node: &str, opened: &Opened) {
    let sender = opened.initiator.uri.as_deref().unwrap_or("hidden");
    for variant in &opened.variants {
        let (name, id) = (variant.name(), opened.csb_id);
        match variant.switch() {
            Some(switch) => {
                tracing::warn!(node, sender, %id, name, switch, "peer defect overlooked: {variant}");
            }
            None => tracing::info!(node, sender, %id, name, "key message: {variant}"),
        }
    }
}
