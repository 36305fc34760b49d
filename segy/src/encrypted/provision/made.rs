//! What of users made on the fly survives a restart: who they are, so that never more are made than
//! are allowed, and the secret that the password of each comes from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use mc_ids::McServiceId;
use mc_runtime::config::Secret;
use mc_runtime::files;
use sha2::Sha256;
use zeroize::Zeroizing;

/// One MCPTT ID a line.
const USERS: &str = "made";
const SECRET: &str = "password-secret";

/// The state directory of `[provision]`.
#[derive(Debug)]
pub(super) struct Made {
    file: PathBuf,
    users: BTreeSet<McServiceId>,
    secret: PasswordSecret,
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {detail}")]
pub(in crate::encrypted) struct MadeError {
    path: PathBuf,
    detail: String,
}

/// 32 octets in hexadecimal.
struct PasswordSecret(Zeroizing<String>);

impl std::fmt::Debug for PasswordSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

impl Made {
    /// Opens or creates the directory.
    pub(super) fn open(dir: &Path) -> Result<Self, MadeError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| MadeError {
                path,
                detail: error.to_string(),
            }
        };
        std::fs::create_dir_all(dir).map_err(failed(dir))?;
        let (file, secret) = (dir.join(USERS), dir.join(SECRET));
        let text = files::secret(&secret, &mut mc_runtime::rng()).map_err(failed(&secret))?;
        let listed = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(failed(&file))?,
        };
        let user = |line: &str| {
            line.parse().map_err(|error| MadeError {
                path: file.clone(),
                detail: format!("{line:?}: {error}"),
            })
        };
        let users = listed.lines().map(user).collect::<Result<_, _>>()?;
        Ok(Self {
            file,
            users,
            secret: PasswordSecret(text),
        })
    }

    /// Whether a user is one of them.
    pub(super) fn contains(&self, user: &McServiceId) -> bool {
        self.users.contains(user)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// One more, stored before anything is made: after a crash in between he counts.
    pub(super) fn add(&mut self, user: &McServiceId) -> Result<(), MadeError> {
        if self.contains(user) {
            return Ok(());
        }
        let lines = self.users.iter().chain([user]);
        let lines: String = lines.map(|user| format!("{user}\n")).collect();
        files::replace(&self.file, &lines).map_err(|error| MadeError {
            path: self.file.clone(),
            detail: error.to_string(),
        })?;
        self.users.insert(user.clone());
        Ok(())
    }

    /// The password of a user: his alone, and the same after a restart, since the account keeps it.
    /// `None` never: HMAC takes a key of any length.
    pub(super) fn password(&self, user: &McServiceId) -> Option<Secret> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.0.trim().as_bytes()).ok()?;
        mac.update(user.as_str().as_bytes());
        let octets = mac.finalize().into_bytes();
        let text = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        Some(Secret::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(unit: u32) -> McServiceId {
        McServiceId::new(format!("sip:unit-{unit}@segy.example")).unwrap()
    }

    fn password(made: &Made, unit: u32) -> String {
        made.password(&id(unit)).unwrap().expose().to_owned()
    }

    #[test]
    fn each_has_a_password_of_his_own_that_outlives_a_restart() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let made = Made::open(one.path()).unwrap();
        assert_eq!(password(&made, 1).len(), 64);
        assert_ne!(password(&made, 1), password(&made, 2));
        let again = Made::open(one.path()).unwrap();
        assert_eq!(password(&made, 1), password(&again, 1));
        let foreign = Made::open(other.path()).unwrap();
        assert_ne!(password(&made, 1), password(&foreign, 1));
        assert!(!format!("{made:?}").contains(&*made.secret.0));
    }

    #[test]
    fn whoever_was_made_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut made = Made::open(&dir.path().join("state")).unwrap();
        for unit in [1, 2, 1] {
            made.add(&id(unit)).unwrap();
        }
        let again = Made::open(&dir.path().join("state")).unwrap();
        assert_eq!(again.len(), 2);
        assert!(again.contains(&id(1)) && !again.contains(&id(3)));
        std::fs::write(dir.path().join("state/made"), "nobody\n").unwrap();
        let refused = Made::open(&dir.path().join("state")).unwrap_err();
        assert!(refused.to_string().contains("nobody"), "{refused}");
    }
}
