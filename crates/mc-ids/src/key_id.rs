//! 32-bit key identifiers with their purpose tag (TS 33.180 Annex G).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand_core::CryptoRng;
use std::fmt;

/// The purpose tag: the four most significant bits of a key identifier (TS 33.180 Annex G).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KeyPurpose {
    /// Group Master Key; the only purpose with end point diversity (TS 33.180 5.2.3).
    Gmk = 0,
    /// Private Call Key.
    Pck = 1,
    /// Client-Server Key.
    Csk = 2,
    /// Signalling Protection Key.
    Spk = 3,
    /// Multicast Floor Control Key (Rel-13).
    Mkfc = 4,
    /// MBMS Sub-Channel Control Key.
    Mscck = 5,
    /// Multicast Signalling Key.
    Musik = 6,
}

impl KeyPurpose {
    const ALL: [Self; 7] = [
        Self::Gmk,
        Self::Pck,
        Self::Csk,
        Self::Spk,
        Self::Mkfc,
        Self::Mscck,
        Self::Musik,
    ];
}

/// Why a number or text is not the key identifier asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyIdError {
    /// The purpose tag is not the one of the key type.
    #[error("key id {id} has purpose tag {found}, {expected:?} was expected (TS 33.180 Annex G)")]
    WrongPurpose {
        /// The identifier found.
        id: KeyId,
        /// Its tag, 0 to 15.
        found: u8,
        /// The purpose expected.
        expected: KeyPurpose,
    },
    /// The text is not base64 of four octets.
    #[error("key id text is not base64 of four octets")]
    Text,
}

/// A key identifier of any purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u32);

impl KeyId {
    /// The purpose tag's four bits, 0 to 15.
    #[must_use]
    pub const fn tag(self) -> u8 {
        self.0.to_be_bytes()[0] >> 4
    }

    /// The purpose; `None` for the tags 7 to 15, which are not defined.
    #[must_use]
    pub fn purpose(self) -> Option<KeyPurpose> {
        KeyPurpose::ALL.into_iter().find(|p| *p as u8 == self.tag())
    }

    /// The four octets, big endian.
    #[must_use]
    pub const fn octets(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// Draws a new identifier of a purpose: 28 random bits under its tag.
    pub fn random(purpose: KeyPurpose, rng: &mut impl CryptoRng) -> Self {
        let mut octets = [0; 4];
        rng.fill_bytes(&mut octets);
        Self(((purpose as u32) << 28) | (u32::from_be_bytes(octets) & 0x0FFF_FFFF))
    }

    /// The text form of XML bodies (`KeyName`, `key-id`): standard base64 of the four octets.
    #[must_use]
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.octets())
    }

    /// Reads the base64 text form.
    ///
    /// # Errors
    /// When the text is not base64 of four octets.
    pub fn from_base64(text: &str) -> Result<Self, KeyIdError> {
        let octets = STANDARD.decode(text.trim()).map_err(|_| KeyIdError::Text)?;
        let octets = <[u8; 4]>::try_from(octets.as_slice()).map_err(|_| KeyIdError::Text)?;
        Ok(Self(u32::from_be_bytes(octets)))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

macro_rules! key_id {
    ($(#[$doc:meta])* $name:ident, $purpose:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(KeyId);

        impl $name {
            /// Draws a new identifier.
            pub fn random(rng: &mut impl CryptoRng) -> Self {
                Self(KeyId::random($purpose, rng))
            }

            /// The untyped identifier.
            #[must_use]
            pub const fn key_id(self) -> KeyId {
                self.0
            }

            /// The four octets, big endian.
            #[must_use]
            pub const fn octets(self) -> [u8; 4] {
                self.0.octets()
            }
        }

        impl TryFrom<KeyId> for $name {
            type Error = KeyIdError;
            fn try_from(id: KeyId) -> Result<Self, Self::Error> {
                if id.tag() == $purpose as u8 {
                    Ok(Self(id))
                } else {
                    Err(KeyIdError::WrongPurpose { id, found: id.tag(), expected: $purpose })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

key_id! {
    /// Identifier of a GMK, tag 0. On the wire it appears in the MKI; MIKEY carries [`GukId`].
    GmkId, KeyPurpose::Gmk
}
key_id! {
    /// Group User Key identifier: a [`GmkId`] diversified for one member (TS 33.180 5.2.3).
    GukId, KeyPurpose::Gmk
}
key_id! {
    /// Identifier of a PCK, tag 1.
    PckId, KeyPurpose::Pck
}
key_id! {
    /// Identifier of a CSK, tag 2.
    CskId, KeyPurpose::Csk
}
key_id! {
    /// Identifier of an SPK, tag 3.
    SpkId, KeyPurpose::Spk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_tells_the_purpose() {
        let id = KeyId(0x2DDD_5BF0);
        assert_eq!(id.purpose(), Some(KeyPurpose::Csk));
        assert_eq!(id.to_base64(), "Ld1b8A==");
        assert_eq!(KeyId::from_base64("Ld1b8A=="), Ok(id));
        assert!(CskId::try_from(id).is_ok());
        assert!(matches!(
            PckId::try_from(id),
            Err(KeyIdError::WrongPurpose { found: 2, .. })
        ));
        assert_eq!(KeyId(0x7000_0000).purpose(), None);
        assert_eq!(KeyId::from_base64("Ld1b"), Err(KeyIdError::Text));
    }
}
