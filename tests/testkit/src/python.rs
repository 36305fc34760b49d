//! The Python interpreter with the foreign judges of the tests (Authlib, pystoi, ...).

use std::path::{Path, PathBuf};

use anyhow::ensure;

/// `MCBOX_PYTHON`, or else the virtual environment at the workspace root.
///
/// # Errors
/// When there is none; `make deps` makes it.
pub fn python() -> anyhow::Result<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let path = std::env::var_os("MCBOX_PYTHON").map_or_else(default, PathBuf::from);
    ensure!(
        path.is_file(),
        "{} does not exist: run `make deps`",
        path.display()
    );
    Ok(path)
}
