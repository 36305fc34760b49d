//! `target/scenarios/<approach>/<name>`: what each of the 20 calls and each claim leaves, also when it
//! fails: `logs` with trace and key log, `capture.pcapng` as it was on the wire, `clear.pcapng` with
//! media and floor control opened, and `heard` with the speech that arrived, where it is kept.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lab::site::Approach;
use mc_trace::pcapng::View;
use testkit::recording::Recording;

/// A folder with the state of a lab in it; what is worth keeping of that is kept at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    pub(crate) fn new(approach: Approach, name: &str) -> Self {
        let scenarios = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/scenarios");
        let folder = Path::new(scenarios)
            .join(approach.site().approach)
            .join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The state directory of the lab.
    pub(crate) fn lab(&self) -> PathBuf {
        self.0.join("lab")
    }

    /// Keeps what is worth keeping of the lab, which has stopped.
    pub(crate) fn keep(&self) -> anyhow::Result<Recording> {
        let (lab, logs) = (self.lab(), self.0.join("logs"));
        fs::rename(lab.join("logs"), &logs).context("logs")?;
        if lab.join("runs").exists() {
            fs::rename(lab.join("runs"), self.0.join("heard")).context("runs")?;
        }
        fs::remove_dir_all(&lab).context("lab")?;
        let run = Recording::read(&logs)?;
        for (name, view) in [("capture", View::Wire), ("clear", View::Clear)] {
            fs::write(self.0.join(format!("{name}.pcapng")), run.capture(view))?;
        }
        Ok(run)
    }
}

/// The lab was made after its folder, so it has stopped.
impl Drop for Folder {
    fn drop(&mut self) {
        if self.lab().exists() {
            let kept = self.keep();
            let is_told = kept.is_ok() || std::thread::panicking();
            assert!(is_told, "{}: {:?}", self.0.display(), kept.err());
        }
    }
}
