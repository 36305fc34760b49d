//! The operator of one service: who holds the file with its token. Kept apart from the access tokens
//! of users, so that no account of the system it administers, however privileged, can change whom
//! that system trusts.

use std::path::{Path, PathBuf};

use axum::http::HeaderMap;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::auth::bearer_token;
use crate::files;

/// Fewest characters of a token that somebody chose.
const SHORTEST: usize = 32;

/// Why there is no operator token.
#[derive(Debug, thiserror::Error)]
pub enum OperatorTokenError {
    /// The file could not be read or created.
    #[error("{path}: {source}")]
    File {
        /// The configured file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The token is too short to be a secret.
    #[error("{path}: an operator token has at least {SHORTEST} characters")]
    Short {
        /// The configured file.
        path: PathBuf,
    },
}

/// The secret that operators show as a bearer token.
#[derive(Clone)]
pub struct OperatorToken(Zeroizing<String>);

impl OperatorToken {
    /// The token in `file`, which is created for its owner only with a new token when it does not
    /// exist.
    ///
    /// # Errors
    /// [`OperatorTokenError`] naming the file.
    pub fn load(file: &Path, rng: &mut impl CryptoRng) -> Result<Self, OperatorTokenError> {
        let failed = |source| OperatorTokenError::File {
            path: file.to_owned(),
            source,
        };
        let text = files::secret(file, rng).map_err(failed)?;
        let token = Zeroizing::new(text.trim().to_owned());
        if token.len() < SHORTEST {
            let path = file.to_owned();
            return Err(OperatorTokenError::Short { path });
        }
        Ok(Self(token))
    }

    /// Whether a request shows the token in `Authorization: Bearer`.
    #[must_use]
    pub fn is_shown_by(&self, headers: &HeaderMap) -> bool {
        bearer_token(headers)
            .is_ok_and(|shown| bool::from(shown.as_bytes().ct_eq(self.0.as_bytes())))
    }
}

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OperatorToken([{} bytes])", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, header};
    use std::os::unix::fs::PermissionsExt as _;

    fn showing(token: &str) -> HeaderMap {
        let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn made_once_for_its_owner_and_nobody_else_is_the_operator() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("operator-token");
        let token = OperatorToken::load(&file, &mut crate::rng()).unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.len(), 64);
        assert!(token.is_shown_by(&showing(&text)));
        let again = OperatorToken::load(&file, &mut crate::rng()).unwrap();
        assert!(again.is_shown_by(&showing(&text)));
        assert!(!token.is_shown_by(&showing(&text[..63])));
        assert!(!token.is_shown_by(&showing(&format!("{text}0"))));
        assert!(!token.is_shown_by(&HeaderMap::new()));
        assert!(!format!("{token:?}").contains(&text));
    }

    #[test]
    fn a_short_or_empty_file_is_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("operator-token");
        std::fs::write(&file, "secret\n").unwrap();
        let refused = OperatorToken::load(&file, &mut crate::rng());
        assert!(matches!(refused, Err(OperatorTokenError::Short { .. })));
    }
}
