//! What radios and legs talk on.

use std::fmt;

/// Something that is half-duplex and has one talker at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelId {
    /// A talkgroup, by its number.
    Talkgroup(u32),
    /// The call of one radio, by the call's number.
    UnitCall(u64),
}

impl ChannelId {
    /// The talkgroup, if it is one.
    #[must_use]
    pub const fn talkgroup(self) -> Option<u32> {
        match self {
            Self::Talkgroup(number) => Some(number),
            Self::UnitCall(_) => None,
        }
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Talkgroup(number) => write!(f, "talkgroup {number}"),
            Self::UnitCall(number) => write!(f, "unit call {number}"),
        }
    }
}
