//! Processes by id: is it alive, is it really ours, stop it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Whether `pid` runs `executable`. A process id is reused by the system, so the id alone proves
/// nothing.
#[must_use]
pub fn runs(pid: u32, executable: &Path) -> bool {
    let Ok(actual) = std::fs::read_link(format!("/proc/{pid}/exe")) else {
        return false;
    };
    // A rebuilt binary shows as "(deleted)" while the old process lives.
    let replaced = format!("{} (deleted)", executable.display());
    (actual == executable || actual.as_os_str() == replaced.as_str()) && !is_zombie(pid)
}

fn is_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, fields)| fields.starts_with('Z'))
}

fn signal(pid: u32, name: &str) {
    // The exit status says only that the process is already gone.
    let _status = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
}

/// Asks a process to end and waits for it; ends it by force after `patience`. Returns whether it
/// ended by itself.
#[must_use]
pub fn stop(pid: u32, executable: &Path, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    if runs(pid, executable) {
        signal(pid, "TERM");
    }
    while runs(pid, executable) {
        if Instant::now() > deadline {
            signal(pid, "KILL");
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_only_what_it_started() {
        let sleep = std::fs::canonicalize("/bin/sleep").unwrap();
        let mut child = Command::new(&sleep).arg("60").spawn().unwrap();
        assert!(runs(child.id(), &sleep));
        assert!(!runs(child.id(), Path::new("/usr/bin/somebody-else")));
        assert!(stop(child.id(), &sleep, Duration::from_secs(10)));
        child.wait().unwrap();
        assert!(!runs(child.id(), &sleep));
    }
}
