//! Processes by id: is it alive, is it really ours, stop it.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

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

/// Sends a signal; without the tool `kill`, so that nothing is left running where that is missing.
fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // An error says only that the process is already gone.
        let _gone = kill_process(pid, signal);
    }
}

/// Asks a process to end and waits for it; ends it by force after `patience`. Returns whether it
/// ended by itself.
#[must_use]
pub fn stop(pid: u32, executable: &Path, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    if runs(pid, executable) {
        send(pid, Signal::TERM);
    }
    while runs(pid, executable) {
        if Instant::now() > deadline {
            send(pid, Signal::KILL);
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The last line that a program said, which names the reason; at most 300 characters of it.
#[must_use]
pub fn last_words(said: &str) -> String {
    // With RUST_BACKTRACE a long way into the program follows, which helps nobody here.
    let said = said.split("\nStack backtrace:").next().unwrap_or(said);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    let last = last.unwrap_or("none").trim_start_matches("Error: ");
    last.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

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

    #[test]
    fn the_last_words_are_the_reason_and_no_backtrace() {
        let said = "started\nError: kms.toml: line 3\nunknown field `nope`\n\nStack backtrace:\n  0: main\n";
        assert_eq!(last_words(said), "unknown field `nope`");
        assert_eq!(last_words("Error: taken\n"), "taken");
        assert_eq!(last_words(""), "none");
    }
}
