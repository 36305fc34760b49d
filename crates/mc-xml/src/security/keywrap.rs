//! AES key wrap: RFC 3394 (KW) and RFC 5649 (KWP). Documents use the 256-bit key (`kw-aes256`, TS
//! 33.180 9.3.4.2); the RFCs' own examples have keys of all three sizes, and so have these.

use aes_kw::{Error, KeyInit, KwAes128, KwAes192, KwAes256, KwpAes128, KwpAes192, KwpAes256};
use zeroize::Zeroizing;

use super::SecurityError;

/// Algorithm identifier of the 256 bit wrap; RFC 5649 is emitted under the same one.
pub const KW_AES256: &str = "http://www.w3.org/2001/04/xmlenc#kw-aes256";
/// Algorithm identifier of the 128 bit wrap.
pub const KW_AES128: &str = "http://www.w3.org/2001/04/xmlenc#kw-aes128";

/// Longest key that is wrapped or unwrapped, in octets (an RSK has 257).
pub const MAX_KEY: usize = 1024;

/// Calls a method of the cipher whose key has the length of `$kek`; another length is the caller's
/// mistake.
macro_rules! with_kek {
    ($kek:expr, $small:ident, $middle:ident, $large:ident, $method:ident($($argument:expr),*)) => {
        if let Ok(kek) = <&[u8; 16]>::try_from($kek) {
            $small::new(kek.into()).$method($($argument),*).map(<[u8]>::len)
        } else if let Ok(kek) = <&[u8; 24]>::try_from($kek) {
            $middle::new(kek.into()).$method($($argument),*).map(<[u8]>::len)
        } else if let Ok(kek) = <&[u8; 32]>::try_from($kek) {
            $large::new(kek.into()).$method($($argument),*).map(<[u8]>::len)
        } else {
            return Err(SecurityError::LocalLength($kek.len()));
        }
    };
}

/// RFC 3394 wrap under a key of 16, 24 or 32 octets; `key` must be a multiple of 8 octets, at least
/// 16.
///
/// # Errors
/// [`SecurityError::LocalLength`] for another length of either.
pub fn wrap(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, SecurityError> {
    if key.len() < 16 || !key.len().is_multiple_of(8) || key.len() > MAX_KEY {
        return Err(SecurityError::LocalLength(key.len()));
    }
    let mut out = vec![0; key.len() + 8];
    let done = with_kek!(kek, KwAes128, KwAes192, KwAes256, wrap_key(key, &mut out));
    done.map(|_| out)
        .map_err(|_| SecurityError::LocalLength(key.len()))
}

/// RFC 3394 unwrap.
///
/// # Errors
/// [`SecurityError::PeerIntegrity`] when the length or the check value is wrong,
/// [`SecurityError::LocalLength`] for a `kek` of another length than 16, 24 or 32 octets.
pub fn unwrap(kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecurityError> {
    unwrapped(wrapped, 24, |buffer| {
        Ok(with_kek!(
            kek,
            KwAes128,
            KwAes192,
            KwAes256,
            unwrap_key(wrapped, buffer)
        ))
    })
}

/// RFC 5649 wrap under a key of 16, 24 or 32 octets; any length from 1 octet.
///
/// # Errors
/// [`SecurityError::LocalLength`] for an empty or overlong key, or another length of `kek`.
pub fn wrap_padded(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, SecurityError> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(SecurityError::LocalLength(key.len()));
    }
    let mut out = vec![0; key.len().div_ceil(8) * 8 + 8];
    let done = with_kek!(
        kek,
        KwpAes128,
        KwpAes192,
        KwpAes256,
        wrap_key(key, &mut out)
    );
    done.map(|_| out)
        .map_err(|_| SecurityError::LocalLength(key.len()))
}

/// RFC 5649 unwrap.
///
/// # Errors
/// [`SecurityError::PeerIntegrity`] when the length, the check value or the padding is wrong,
/// [`SecurityError::LocalLength`] for a `kek` of another length than 16, 24 or 32 octets.
pub fn unwrap_padded(kek: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecurityError> {
    unwrapped(wrapped, 16, |buffer| {
        Ok(with_kek!(
            kek,
            KwpAes128,
            KwpAes192,
            KwpAes256,
            unwrap_key(wrapped, buffer)
        ))
    })
}

fn unwrapped(
    wrapped: &[u8],
    shortest: usize,
    run: impl FnOnce(&mut [u8]) -> Result<Result<usize, Error>, SecurityError>,
) -> Result<Zeroizing<Vec<u8>>, SecurityError> {
    let right = wrapped.len() >= shortest && wrapped.len().is_multiple_of(8);
    if !right || wrapped.len() > MAX_KEY + 16 {
        return Err(SecurityError::PeerIntegrity);
    }
    let mut buffer = Zeroizing::new(vec![0; wrapped.len()]);
    let length = run(&mut buffer)?.map_err(|_| SecurityError::PeerIntegrity)?;
    buffer.truncate(length);
    Ok(buffer)
}
