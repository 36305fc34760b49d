//! AES key wrap: RFC 3394 (KW) and RFC 5649 (KWP), 256 bit key (`kw-aes256`, TS 33.180 9.3.4.2).

use aes_kw::{KeyInit, KwAes128, KwAes256, KwpAes256};
use zeroize::Zeroizing;

use super::SecurityError;

/// Algorithm identifier of the 256 bit wrap; RFC 5649 is emitted under the same one.
pub const KW_AES256: &str = "http://www.w3.org/2001/04/xmlenc#kw-aes256";
/// Algorithm identifier of the 128 bit wrap.
pub const KW_AES128: &str = "http://www.w3.org/2001/04/xmlenc#kw-aes128";

/// Longest key that is wrapped or unwrapped, in octets (an RSK has 257).
const MAX_KEY: usize = 1024;

/// RFC 3394 wrap; `key` must be a multiple of 8 octets, at least 16.
///
/// # Errors
/// [`SecurityError::LocalLength`] for another length.
pub fn wrap(kek: &[u8; 32], key: &[u8]) -> Result<Vec<u8>, SecurityError> {
    if key.len() < 16 || !key.len().is_multiple_of(8) || key.len() > MAX_KEY {
        return Err(SecurityError::LocalLength(key.len()));
    }
    let mut out = vec![0; key.len() + 8];
    KwAes256::new(kek.into())
        .wrap_key(key, &mut out)
        .map_err(|_| SecurityError::LocalLength(key.len()))?;
    Ok(out)
}

/// RFC 3394 unwrap.
///
/// # Errors
/// [`SecurityError::PeerIntegrity`] when the length or the check value is wrong.
pub fn unwrap(kek: &[u8; 32], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecurityError> {
    let length = plain_length(wrapped)?;
    let mut out = Zeroizing::new(vec![0; length]);
    KwAes256::new(kek.into())
        .unwrap_key(wrapped, &mut out)
        .map_err(|_| SecurityError::PeerIntegrity)?;
    Ok(out)
}

/// RFC 3394 wrap under a 128 bit key.
///
/// # Errors
/// [`SecurityError::LocalLength`] for a length that is no multiple of 8 octets.
pub fn wrap_128(kek: &[u8; 16], key: &[u8]) -> Result<Vec<u8>, SecurityError> {
    if key.len() < 16 || !key.len().is_multiple_of(8) || key.len() > MAX_KEY {
        return Err(SecurityError::LocalLength(key.len()));
    }
    let mut out = vec![0; key.len() + 8];
    KwAes128::new(kek.into())
        .wrap_key(key, &mut out)
        .map_err(|_| SecurityError::LocalLength(key.len()))?;
    Ok(out)
}

/// RFC 3394 unwrap under a 128 bit key.
///
/// # Errors
/// [`SecurityError::PeerIntegrity`] when the length or the check value is wrong.
pub fn unwrap_128(kek: &[u8; 16], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecurityError> {
    let length = plain_length(wrapped)?;
    let mut out = Zeroizing::new(vec![0; length]);
    KwAes128::new(kek.into())
        .unwrap_key(wrapped, &mut out)
        .map_err(|_| SecurityError::PeerIntegrity)?;
    Ok(out)
}

/// RFC 5649 wrap; any length from 1 octet.
///
/// # Errors
/// [`SecurityError::LocalLength`] for an empty or overlong key.
pub fn wrap_padded(kek: &[u8; 32], key: &[u8]) -> Result<Vec<u8>, SecurityError> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(SecurityError::LocalLength(key.len()));
    }
    let mut out = vec![0; key.len().div_ceil(8) * 8 + 8];
    KwpAes256::new(kek.into())
        .wrap_key(key, &mut out)
        .map_err(|_| SecurityError::LocalLength(key.len()))?;
    Ok(out)
}

/// RFC 5649 unwrap.
///
/// # Errors
/// [`SecurityError::PeerIntegrity`] when the length, the check value or the padding is wrong.
pub fn unwrap_padded(kek: &[u8; 32], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecurityError> {
    if wrapped.len() < 16 || !wrapped.len().is_multiple_of(8) || wrapped.len() > MAX_KEY + 16 {
        return Err(SecurityError::PeerIntegrity);
    }
    let mut buffer = Zeroizing::new(vec![0; wrapped.len()]);
    let plain = KwpAes256::new(kek.into())
        .unwrap_key(wrapped, &mut buffer)
        .map_err(|_| SecurityError::PeerIntegrity)?;
    Ok(Zeroizing::new(plain.to_vec()))
}

fn plain_length(wrapped: &[u8]) -> Result<usize, SecurityError> {
    if wrapped.len() < 24 || !wrapped.len().is_multiple_of(8) || wrapped.len() > MAX_KEY + 16 {
        return Err(SecurityError::PeerIntegrity);
    }
    Ok(wrapped.len() - 8)
}
