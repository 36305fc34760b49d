//! Distributed 128-bit keys (TS 33.180 E.1.1): zeroised on drop, never printed.

use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The octets given are not 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key has 16 octets, {0} were given")]
pub struct KeyLengthError(pub usize);

/// What GMK, PCK, CSK and SPK have in common: 16 secret octets.
pub trait Key128: Sized {
    /// Takes the 16 octets.
    fn from_octets(octets: [u8; 16]) -> Self;
    /// The secret octets, for a cipher or derivation.
    fn octets(&self) -> &[u8; 16];
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Draws a new key.
            pub fn random(rng: &mut impl CryptoRng) -> Self {
                let mut octets = [0; 16];
                rng.fill_bytes(&mut octets);
                Self(octets)
            }
        }

        impl Key128 for $name {
            fn from_octets(octets: [u8; 16]) -> Self {
                Self(octets)
            }
            fn octets(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = KeyLengthError;
            fn try_from(octets: &[u8]) -> Result<Self, Self::Error> {
                octets.try_into().map(Self).map_err(|_| KeyLengthError(octets.len()))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), " [16 bytes]"))
            }
        }
    };
}

key! {
    /// Group Master Key (TS 33.180 5.7): protects the media of one or more groups.
    Gmk
}
key! {
    /// Private Call Key (TS 33.180 5.6): protects the media of one private call.
    Pck
}
key! {
    /// Client-Server Key (TS 33.180 5.4): protects a client's signalling and floor control.
    Csk
}
key! {
    /// Signalling Protection Key (TS 33.180 5.5): protects signalling between MCX servers.
    Spk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_prints_octets() {
        assert_eq!(
            format!("{:?}", Gmk::from_octets([0xAB; 16])),
            "Gmk [16 bytes]"
        );
    }

    #[test]
    fn only_sixteen_octets_make_a_key() {
        assert_eq!(Csk::try_from(&[0u8; 15][..]), Err(KeyLengthError(15)));
        assert_eq!(Csk::try_from(&[1u8; 16][..]).unwrap().octets(), &[1; 16]);
    }
}
