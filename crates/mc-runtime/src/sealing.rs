//! Secrets at rest: AES-256-GCM under a key that comes from the environment or a file.
//!
//! A sealed value is `nonce(12) || ciphertext || tag(16)`; its purpose is authenticated with it, so
//! a value sealed for one column cannot be put into another.

use std::fmt;
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::files;

const NONCE: usize = 12;

/// Why a sealing key or a sealed value could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// The key file could not be read or created.
    #[error("{path}: {source}")]
    KeyFile {
        /// The configured file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The key is not 64 hexadecimal digits.
    #[error("{origin}: a sealing key is 64 hexadecimal digits")]
    MalformedKey {
        /// The file or variable the key came from.
        origin: String,
    },
    /// The value was not sealed under this key for this purpose, or was changed.
    #[error("a sealed value does not open: wrong key, wrong purpose or changed")]
    Opening,
    /// The value is too long for the cipher.
    #[error("a value is too long to seal")]
    Sealing,
}

/// The key that seals a service's secrets at rest.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    /// Takes over key octets.
    #[must_use]
    pub fn from_octets(octets: [u8; 32]) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The key named by the environment `variable`, or else the one in `file`, which is created
    /// for its owner only with a new key when it does not exist.
    ///
    /// # Errors
    /// [`SealingError`] naming the file or variable.
    pub fn load(
        variable: &str,
        file: &Path,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealingError> {
        if let Ok(text) = std::env::var(variable) {
            return Self::from_hex(&Zeroizing::new(text), variable);
        }
        let failed = |source| SealingError::KeyFile {
            path: file.to_owned(),
            source,
        };
        let text = files::secret(file, rng).map_err(failed)?;
        Self::from_hex(&text, &file.display().to_string())
    }

    fn from_hex(text: &str, origin: &str) -> Result<Self, SealingError> {
        let malformed = || SealingError::MalformedKey {
            origin: origin.to_owned(),
        };
        let text = text.trim();
        if text.len() != 64 || !text.is_ascii() {
            return Err(malformed());
        }
        let mut octets = Zeroizing::new([0u8; 32]);
        for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| malformed())?;
            *octet = u8::from_str_radix(digits, 16).map_err(|_| malformed())?;
        }
        Ok(Self(octets))
    }

    /// Seals `secret` for `purpose`.
    ///
    /// # Errors
    /// [`SealingError::Sealing`] beyond the cipher's length limit.
    pub fn seal(
        &self,
        purpose: &str,
        secret: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, SealingError> {
        let mut nonce = [0u8; NONCE];
        rng.fill_bytes(&mut nonce);
        let payload = Payload {
            msg: secret,
            aad: purpose.as_bytes(),
        };
        let sealed = Aes256Gcm::new(&(*self.0).into())
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| SealingError::Sealing)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens a value sealed for `purpose`.
    ///
    /// # Errors
    /// [`SealingError::Opening`] for any change of key, purpose or value.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE>()
            .ok_or(SealingError::Opening)?;
        let payload = Payload {
            msg: sealed,
            aad: purpose.as_bytes(),
        };
        Aes256Gcm::new(&(*self.0).into())
            .decrypt(&Nonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| SealingError::Opening)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[32 bytes]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_unchanged_for_the_same_purpose() {
        let mut rng = crate::rng();
        let key = SealingKey::from_octets([7; 32]);
        let sealed = key.seal("gmk", b"secret", &mut rng).unwrap();
        assert_eq!(key.open("gmk", &sealed).unwrap().as_slice(), b"secret");
        assert!(key.open("csk", &sealed).is_err());
        assert!(
            SealingKey::from_octets([8; 32])
                .open("gmk", &sealed)
                .is_err()
        );
        assert!(key.open("gmk", &sealed[..11]).is_err());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(key.open("gmk", &changed).is_err(), "octet {index}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_for_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sealing.key");
        let mut rng = crate::rng();
        let first = SealingKey::load("MCBOX_NO_SUCH_VARIABLE", &file, &mut rng).unwrap();
        let again = SealingKey::load("MCBOX_NO_SUCH_VARIABLE", &file, &mut rng).unwrap();
        assert_eq!(*first.0, *again.0);
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::write(&file, "zz").unwrap();
        let refused = SealingKey::load("MCBOX_NO_SUCH_VARIABLE", &file, &mut rng).unwrap_err();
        assert!(refused.to_string().contains("sealing.key"), "{refused}");
    }
}
