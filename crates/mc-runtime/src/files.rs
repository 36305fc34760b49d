//! Files that a service keeps: secrets made once, and small files that survive a crash.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The secret in a file; one that does not exist is created, readable by its owner only, with 32
/// random octets in hexadecimal.
///
/// # Errors
/// When the file can be neither read nor created.
pub fn secret(file: &Path, rng: &mut impl CryptoRng) -> std::io::Result<Zeroizing<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(missing) if missing.kind() == ErrorKind::NotFound => create(file, rng),
        Err(other) => Err(other),
    }
}

fn create(file: &Path, rng: &mut impl CryptoRng) -> std::io::Result<Zeroizing<String>> {
    let mut octets = Zeroizing::new([0u8; 32]);
    rng.fill_bytes(octets.as_mut());
    let text: Zeroizing<String> =
        Zeroizing::new(octets.iter().map(|octet| format!("{octet:02x}")).collect());
    let mut options = std::fs::OpenOptions::new();
    let mut handle = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    handle.write_all(text.as_bytes())?;
    handle.sync_all()?;
    Ok(text)
}

/// Replaces a file so that after a crash either the old or the new content is there.
///
/// # Errors
/// The operating system's; the old content is there then.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = std::fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    if let Some(dir) = path.parent() {
        std::fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_is_made_once_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        let made = secret(&file, &mut crate::rng()).unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!(secret(&file, &mut crate::rng()).unwrap(), made);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(secret(&dir.path().join("no/such/dir"), &mut crate::rng()).is_err());
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("list");
        for text in ["one\ntwo\n", "three\n"] {
            replace(&file, text).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
