//! The master key identifier carried in each packet.

use std::fmt;

/// Number of octets a receiver expects as MKI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MkiLength {
    /// One key identifier: PCK-ID, CSK-ID, MuSiK-ID or SPK-ID.
    Four,
    /// GMK-ID followed by the GUK-ID of the transmitting member.
    Eight,
}

impl MkiLength {
    /// Length in octets.
    #[must_use]
    pub const fn octets(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

/// A master key identifier of four or eight octets.
//= TS 33.180 7.4.1
//= TS 33.180 7.4.2
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mki {
    /// PCK-ID, CSK-ID, MuSiK-ID or SPK-ID.
    Key(u32),
    /// Group media.
    Group {
        /// Identifier of the group master key.
        gmk_id: u32,
        /// GUK-ID of the transmitting member.
        guk_id: u32,
    },
}

impl Mki {
    /// Reads an MKI of four or eight octets.
    #[must_use]
    pub fn read(octets: &[u8]) -> Option<Self> {
        let word = |range: std::ops::Range<usize>| {
            Some(u32::from_be_bytes(octets.get(range)?.try_into().ok()?))
        };
        match octets.len() {
            4 => Some(Self::Key(word(0..4)?)),
            8 => Some(Self::Group {
                gmk_id: word(0..4)?,
                guk_id: word(4..8)?,
            }),
            _ => None,
        }
    }

    /// Length on the wire.
    #[must_use]
    pub const fn length(self) -> MkiLength {
        match self {
            Self::Key(_) => MkiLength::Four,
            Self::Group { .. } => MkiLength::Eight,
        }
    }

    /// Writes the MKI at the start of `out`, returning the octets written, or `None` if it does not
    /// fit.
    pub(crate) fn write(self, out: &mut [u8]) -> Option<usize> {
        match self {
            Self::Key(id) => out.get_mut(..4)?.copy_from_slice(&id.to_be_bytes()),
            Self::Group { gmk_id, guk_id } => {
                out.get_mut(..4)?.copy_from_slice(&gmk_id.to_be_bytes());
                out.get_mut(4..8)?.copy_from_slice(&guk_id.to_be_bytes());
            }
        }
        Some(self.length().octets())
    }
}

impl fmt::Display for Mki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "{id:08x}"),
            Self::Group { gmk_id, guk_id } => write!(f, "{gmk_id:08x}{guk_id:08x}"),
        }
    }
}

impl fmt::Debug for Mki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mki({self})")
    }
}
