//! Groups without MC protection (TS 33.180 L.5.2): the gateway's crypto is bypassed, and it says so.

use serde::Serialize;

/// What the gateway says of a call whose group has no protection: in its status, trace and audit log.
pub const BYPASSED: &str = "protection bypassed: group policy";

/// Whether a group's speech is protected, as its document says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// The document is not there yet.
    #[default]
    Unknown,
    /// A GMK protects it; the gateway ends that protection.
    Protected,
    /// Nothing protects it; the gateway invents no protection.
    Bypassed,
}

impl Protection {
    /// What a group document says.
    #[must_use]
    pub fn of(group: &mc_ids::GroupId, protected: bool) -> Self {
        if protected {
            return Self::Protected;
        }
        tracing::warn!(%group, "{BYPASSED} (TS 33.180 L.5.2)");
        Self::Bypassed
    }
}
