//! The state directory: everything a lab writes is below it.

use crate::site::Approach;
use crate::supervisor::Setup;
use crate::topology::{Addresses, Domain};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Marks a directory as ours, so that `down --purge` never removes somebody else's.
const MARKER: &str = "mcbox-state";

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory exists, has content and was not made by mcbox.
    #[error("{0} is not empty and not a state directory of mcbox; name another with --state")]
    Foreign(PathBuf),
    /// No lab runs from there.
    #[error("no lab runs from {0}: `mcbox up` starts one, --state names the directory of another")]
    NoLab(PathBuf),
    /// A file or directory could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The record of the running lab is not readable.
    #[error("{path}: {source}; `mcbox down --purge` starts afresh")]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// One process of a running lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Name of the service.
    pub service: String,
    /// Process id.
    pub pid: u32,
    /// The executable that was started.
    pub executable: PathBuf,
}

/// What is written down about a running lab, for `status` and `down`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabRecord {
    /// Where the services listen.
    pub addresses: Addresses,
    /// Whether keys are exported.
    pub lab_keys: bool,
    /// The domains that run.
    pub domains: Vec<Domain>,
    /// The approaches whose sites run.
    pub approaches: Vec<Approach>,
    /// Whether the servers of the gateway's domain run in a gateway's process.
    pub integrated: bool,
    /// The processes, in start order.
    pub processes: Vec<ProcessRecord>,
}

impl LabRecord {
    /// What the lab was started with.
    #[must_use]
    pub fn setup(&self) -> Setup {
        Setup {
            addresses: self.addresses.clone(),
            lab_keys: self.lab_keys,
            domains: self.domains.clone(),
            approaches: self.approaches.clone(),
            integrated: self.integrated,
        }
    }
}

/// Paths of one state directory.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Opens or makes the directory, readable by its owner only: it holds keys.
    ///
    /// # Errors
    /// When the directory holds something else, or cannot be made.
    pub fn open(root: &Path) -> Result<Self, StateError> {
        let error = |source| StateError::Io {
            path: root.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(error)?;
        let root = root.canonicalize().map_err(error)?;
        let state = Self { root };
        let marker = state.root.join(MARKER);
        if !marker.exists() {
            if fs::read_dir(&state.root).map_err(error)?.next().is_some() {
                return Err(StateError::Foreign(state.root));
            }
            state.write(
                &marker,
                b"The state of an mcbox lab; `mcbox down --purge` removes it.\n",
            )?;
        }
        for dir in [
            "certificates",
            "configurations",
            "data",
            "logs",
            "secrets",
            "trust",
            "runs",
        ] {
            let path = state.root.join(dir);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(|source| StateError::Io { path, source })?;
        }
        Ok(state)
    }

    /// The directory of a lab that was started before; nothing is made.
    ///
    /// # Errors
    /// When there is something else, or it cannot be read.
    pub fn find(root: &Path) -> Result<Option<Self>, StateError> {
        let is_empty = fs::read_dir(root).map_or(true, |mut content| content.next().is_none());
        if is_empty {
            return Ok(None);
        }
        Self::open(root).map(Some)
    }

    /// The directory of a lab that runs, and what was written down about it.
    ///
    /// # Errors
    /// [`StateError::NoLab`], or that its record cannot be read.
    pub fn running(root: &Path) -> Result<(Self, LabRecord), StateError> {
        let none = || StateError::NoLab(root.to_owned());
        let state = Self::find(root)?.ok_or_else(none)?;
        let record = state.record()?.ok_or_else(none)?;
        Ok((state, record))
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file below a sub-directory.
    #[must_use]
    pub fn file(&self, dir: &str, name: &str) -> PathBuf {
        self.root.join(dir).join(name)
    }

    /// Log file of a service.
    #[must_use]
    pub fn log(&self, service: &str) -> PathBuf {
        self.file("logs", &format!("{service}.log"))
    }

    /// Configuration file of a service.
    #[must_use]
    pub fn configuration(&self, service: &str) -> PathBuf {
        self.file("configurations", &format!("{service}.toml"))
    }

    /// Writes a file that only the owner can read.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, content: &[u8]) -> Result<(), StateError> {
        let error = |source| StateError::Io {
            path: path.to_owned(),
            source,
        };
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(path).map_err(error)?;
        io::Write::write_all(&mut file, content).map_err(error)
    }

    /// The password of every user of this lab, drawn at its first start and kept.
    ///
    /// # Errors
    /// When the file cannot be read or written, or the system gives no randomness.
    pub fn password(&self) -> Result<String, StateError> {
        self.secret("password")
    }

    /// A secret of 32 hexadecimal digits, drawn when it is first asked for and kept.
    ///
    /// # Errors
    /// When the file cannot be read or written, or the system gives no randomness.
    pub fn secret(&self, name: &str) -> Result<String, StateError> {
        let path = self.file("secrets", name);
        let error = |source| StateError::Io {
            path: path.clone(),
            source,
        };
        if !path.exists() {
            let mut octets = [0; 16];
            getrandom::fill(&mut octets).map_err(|e| error(io::Error::other(e)))?;
            self.write(&path, hex::encode(octets).as_bytes())?;
        }
        fs::read_to_string(&path).map_err(error)
    }

    fn record_path(&self) -> PathBuf {
        self.root.join("lab.json")
    }

    /// The record of the lab that was started here, if any.
    ///
    /// # Errors
    /// When the record exists and is not readable.
    pub fn record(&self) -> Result<Option<LabRecord>, StateError> {
        let path = self.record_path();
        match fs::read(&path) {
            Ok(json) => match serde_json::from_slice(&json) {
                Ok(record) => Ok(Some(record)),
                Err(source) => Err(StateError::Record { path, source }),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::Io { path, source }),
        }
    }

    /// Writes the record down.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_record(&self, record: &LabRecord) -> Result<(), StateError> {
        let path = self.record_path();
        let json = serde_json::to_vec_pretty(record).map_err(|source| StateError::Record {
            path: path.clone(),
            source,
        })?;
        self.write(&path, &json)
    }

    /// Forgets the record: the lab is down.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn forget_record(&self) -> Result<(), StateError> {
        let path = self.record_path();
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Removes the whole directory.
    ///
    /// # Errors
    /// When something below it cannot be removed.
    pub fn purge(self) -> Result<(), StateError> {
        fs::remove_dir_all(&self.root).map_err(|source| StateError::Io {
            path: self.root.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn never_takes_over_a_foreign_directory() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "mine").unwrap();
        assert!(matches!(
            StateDir::open(dir.path()),
            Err(StateError::Foreign(_))
        ));
        assert!(dir.path().join("thesis.txt").exists());
    }

    #[test]
    fn asking_for_a_lab_makes_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("nope");
        let error = StateDir::running(&root).unwrap_err().to_string();
        assert!(
            error.contains("nope") && error.contains("mcbox up"),
            "{error}"
        );
        assert!(!root.exists());
    }

    #[test]
    fn the_password_is_drawn_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("lab")).unwrap();
        let first = state.password().unwrap();
        assert_eq!(first.len(), 32);
        let mode = fs::metadata(state.file("secrets", "password"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(state.password().unwrap(), first);
    }

    #[test]
    fn the_record_survives_and_purge_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("lab")).unwrap();
        assert_eq!(state.record().unwrap(), None);
        let record = LabRecord {
            addresses: Addresses::default(),
            lab_keys: false,
            domains: vec![Domain::Primary, Domain::Gateway],
            approaches: vec![Approach::MigratedClients],
            integrated: false,
            processes: Vec::new(),
        };
        state.keep_record(&record).unwrap();
        let again = StateDir::open(&dir.path().join("lab")).unwrap();
        assert_eq!(again.record().unwrap(), Some(record));
        again.purge().unwrap();
        assert!(!dir.path().join("lab").exists());
    }
}
