//! What must survive a restart: which SSRCs were used under which key, and the client identifier.

use std::path::{Path, PathBuf};

use mc_ids::ClientId;
use mc_media::{LedgerError, Mki, SsrcHalf, SsrcLease, SsrcLedger};

const LEDGER: &str = "ssrc-ledger";
const CLIENT_ID: &str = "client-id";

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file holds something else than what was written.
    #[error("{path}: {detail}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

/// The state of one client.
#[derive(Debug)]
pub(crate) struct StateDir {
    dir: PathBuf,
    ledger: SsrcLedger,
}

impl StateDir {
    /// Opens or creates the directory.
    pub(crate) fn open(dir: &Path) -> Result<Self, StateError> {
        let file = |source| StateError::File {
            path: dir.to_owned(),
            source,
        };
        std::fs::create_dir_all(dir).map_err(file)?;
        let path = dir.join(LEDGER);
        let stored = read_if_there(&path)?.unwrap_or_default();
        let ledger =
            SsrcLedger::read::<StateError>(&stored).map_err(|error| StateError::Content {
                path,
                detail: error.to_string(),
            })?;
        Ok(Self {
            dir: dir.to_owned(),
            ledger,
        })
    }

    /// The configured client identifier, the stored one, or a new one that is stored.
    pub(crate) fn client_id(&self, configured: Option<&ClientId>) -> Result<ClientId, StateError> {
        if let Some(id) = configured {
            return Ok(id.clone());
        }
        let path = self.dir.join(CLIENT_ID);
        if let Some(stored) = read_if_there(&path)? {
            let stored = ClientId::new(stored.trim());
            return stored.map_err(|error| StateError::Content {
                path,
                detail: error.to_string(),
            });
        }
        let id = format!("urn:uuid:{}", uuid::Uuid::new_v4());
        write_durably(&path, &id)?;
        ClientId::new(id).map_err(|error| StateError::Content {
            path,
            detail: error.to_string(),
        })
    }

    /// Permission to send with a fresh SSRC under a key, stored before it is given.
    pub(crate) fn lease(
        &mut self,
        mki: Mki,
        taken: &[u32],
    ) -> Result<SsrcLease, LedgerError<StateError>> {
        let path = self.dir.join(LEDGER);
        self.ledger
            .lease(mki, taken, &mut mc_runtime::rng(), |text| {
                write_durably(&path, text)
            })
    }

    /// As [`Self::lease`], with an SSRC of this end's half.
    pub(crate) fn lease_of(
        &mut self,
        half: SsrcHalf,
        mki: Mki,
        taken: &[u32],
    ) -> Result<SsrcLease, LedgerError<StateError>> {
        let path = self.dir.join(LEDGER);
        let rng = &mut mc_runtime::rng();
        self.ledger
            .lease_of(half, mki, taken, rng, |text| write_durably(&path, text))
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, StateError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

fn write_durably(path: &Path, text: &str) -> Result<(), StateError> {
    mc_runtime::files::replace(path, text).map_err(|source| StateError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_id_and_used_ssrcs_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mki = Mki::Key(7);
        let mut state = StateDir::open(dir.path()).unwrap();
        let id = state.client_id(None).unwrap();
        let lease = state.lease(mki, &[]).unwrap();
        let stored = std::fs::read_to_string(dir.path().join(LEDGER)).unwrap();
        assert_eq!(stored, format!("00000007 {:08x}\n", lease.ssrc()));
        drop(state);
        let state = StateDir::open(dir.path()).unwrap();
        assert_eq!(state.client_id(None).unwrap(), id);
        assert_eq!(state.ledger.to_text(), stored);
    }

    #[test]
    fn a_damaged_ledger_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(LEDGER), "garbage").unwrap();
        let error = StateDir::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(LEDGER), "{error}");
    }

    #[test]
    fn no_lease_when_it_cannot_be_stored() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = StateDir::open(dir.path()).unwrap();
        std::fs::remove_dir_all(dir.path()).unwrap();
        assert!(matches!(
            state.lease(Mki::Key(7), &[]),
            Err(LedgerError::LocalStore(_))
        ));
    }
}
