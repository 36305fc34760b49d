//! Password hashes: argon2id in PHC string form, computed off the async workers.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Longest password read, octets: long enough for a passphrase, short enough to bound the work.
pub const MAX_PASSWORD: usize = 256;

/// Why a password could not be hashed or checked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PasswordError {
    /// The hash of a seed or of the store is not an argon2id PHC string.
    #[error("not an argon2id hash: {0}")]
    MalformedHash(String),
    /// The computation was not possible.
    #[error("password hashing failed: {0}")]
    Computation(String),
}

/// Computes password hashes with bounded parallelism, so that a flood of logins cannot take all
/// memory and processors.
#[derive(Clone, Debug)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    decoy: Arc<String>,
}

impl Passwords {
    /// Prepares with `parallel` computations at most.
    ///
    /// # Errors
    /// [`PasswordError::Computation`] when hashing does not work at all.
    pub fn new(parallel: usize) -> Result<Self, PasswordError> {
        let decoy = compute(b"a password nobody has")?;
        Ok(Self {
            slots: Arc::new(Semaphore::new(parallel.max(1))),
            decoy: Arc::new(decoy),
        })
    }

    /// The argon2id hash of a password under a random salt.
    ///
    /// # Errors
    /// [`PasswordError::Computation`].
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, PasswordError> {
        self.off_worker(move || compute(password.as_bytes())).await
    }

    /// Checks a password; with no stored hash (unknown account) it works as long as with one, so
    /// that time does not tell which accounts exist.
    ///
    /// # Errors
    /// [`PasswordError`] when the stored hash is unusable or the computation fails.
    pub async fn verify(
        &self,
        password: Zeroizing<String>,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let hash = stored.unwrap_or_else(|| self.decoy.as_ref().clone());
        let matches = self
            .off_worker(move || check(password.as_bytes(), &hash))
            .await?;
        Ok(known && matches)
    }

    async fn off_worker<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let failed = |e: &dyn std::fmt::Display| PasswordError::Computation(e.to_string());
        let _slot = self.slots.acquire().await.map_err(|e| failed(&e))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| failed(&e))?
    }
}

/// True when `text` is an argon2id PHC string.
#[must_use]
pub fn is_argon2id(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| hash.algorithm.as_str() == "argon2id")
}

fn compute(password: &[u8]) -> Result<String, PasswordError> {
    Argon2::default()
        .hash_password(password)
        .map(|hash| hash.to_string())
        .map_err(|e| PasswordError::Computation(e.to_string()))
}

fn check(password: &[u8], hash: &str) -> Result<bool, PasswordError> {
    let hash = PasswordHash::new(hash).map_err(|e| PasswordError::MalformedHash(e.to_string()))?;
    Ok(Argon2::default().verify_password(password, &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn verifies_the_right_password_only() {
        let passwords = Passwords::new(1).unwrap();
        let hash = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(is_argon2id(&hash), "{hash}");
        assert!(
            passwords
                .verify(secret("correct horse"), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(secret("Correct horse"), Some(hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(secret("a password nobody has"), None)
                .await
                .unwrap()
        );
        assert!(
            passwords
                .verify(secret("x"), Some("plain".into()))
                .await
                .is_err()
        );
    }
}
