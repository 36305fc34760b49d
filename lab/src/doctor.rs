//! `mcbox doctor`: what would keep the lab from starting, each with its cure.

mod agreement;
mod environment;
mod programs;

use crate::state::StateDir;
use crate::supervisor::{self, Setup};
use crate::topology::Addresses;
use serde::Serialize;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// Whether it is in order.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do about it; empty when in order.
    pub fix: String,
}

impl Finding {
    fn new(check: impl Into<String>, problem: Option<(String, String)>, fine: &str) -> Self {
        let (check, ok) = (check.into(), problem.is_none());
        let (found, fix) = problem.unwrap_or_else(|| (fine.to_owned(), String::new()));
        Self {
            check,
            ok,
            found,
            fix,
        }
    }
}

/// Looks at everything the lab needs before it starts.
#[must_use]
pub fn examine(setup: &Setup, binaries: &Path, state: &Path) -> Vec<Finding> {
    let mut findings = before_start(setup, binaries, state);
    let own = own_addresses(state);
    for finding in findings.iter_mut().filter(|finding| !finding.ok) {
        if own
            .iter()
            .any(|address| finding.check.starts_with(&format!("port {address} ")))
        {
            let check = std::mem::take(&mut finding.check);
            *finding = Finding::new(check, None, "used by the lab that runs from --state");
        }
    }
    findings.extend(told(setup, binaries));
    findings.push(clock());
    findings.extend(TOOLS.iter().map(tool_present));
    findings
}

/// What a start looks at first, so that one that cannot succeed changes nothing.
#[must_use]
pub fn before_start(setup: &Setup, binaries: &Path, state: &Path) -> Vec<Finding> {
    let mut findings = ports(&setup.addresses);
    findings.extend(executables(setup, binaries));
    findings.push(space(state));
    findings
}

/// What services are told, in configurations and by the environment: why one may refuse to start.
#[must_use]
pub fn told(setup: &Setup, binaries: &Path) -> Vec<Finding> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut findings = environment::examine(setup, names);
    findings.extend(programs::examine(setup, binaries));
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let variables = std::env::vars_os().filter_map(text);
    findings.extend(agreement::examine(setup, variables));
    findings
}

/// Where the lab that runs from a state directory listens, if one does.
fn own_addresses(state: &Path) -> Vec<SocketAddr> {
    let running = StateDir::running(state).ok();
    let running = running.filter(|(state, _)| supervisor::refuse_second(state).is_err());
    running.map_or_else(Vec::new, |(_, record)| {
        record
            .addresses
            .iter()
            .map(|(_, address)| address)
            .collect()
    })
}

fn ports(addresses: &Addresses) -> Vec<Finding> {
    let check = |(name, address): (crate::topology::PortName, SocketAddr)| {
        let taken = TcpListener::bind(address)
            .and(UdpSocket::bind(address))
            .err();
        let problem = taken.map(|error| {
            let fix = if error.kind() == ErrorKind::AddrInUse {
                "stop what listens there (`ss -ltnup`), or use --ports free"
            } else {
                "use --ports free"
            };
            (error.to_string(), fix.to_owned())
        });
        Finding::new(format!("port {address} ({})", name.name()), problem, "free")
    };
    addresses.iter().map(check).collect()
}

fn executables(setup: &Setup, binaries: &Path) -> Vec<Finding> {
    let check = |name: &'static str| {
        let path = binaries.join(name);
        let missing = (!path.is_file()).then(|| {
            (
                format!("{} is missing", path.display()),
                "run `make lab`".to_owned(),
            )
        });
        Finding::new(format!("executable {name}"), missing, "present")
    };
    let needed: BTreeSet<_> = setup.services().map(|s| s.binary).collect();
    needed.into_iter().map(check).collect()
}

/// Key periods and tokens need a clock that is at least in the right years; the program's own
/// build cannot lie in the future.
fn clock() -> Finding {
    const FIRST_RELEASE_UNIX_S: u64 = 1_790_000_000;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let wrong = (now < FIRST_RELEASE_UNIX_S).then(|| {
        let found = format!("the clock says {now} s since 1970, before this program was written");
        (
            found,
            "set the clock: key periods and tokens follow it".to_owned(),
        )
    });
    Finding::new("clock", wrong, "plausible")
}

fn space(state: &Path) -> Finding {
    const NEEDED_MIB: u64 = 200;
    let place = state
        .ancestors()
        .find(|p| p.exists())
        .unwrap_or(Path::new("."));
    let df = Command::new("df")
        .args(["--output=avail", "-BM"])
        .arg(place)
        .output();
    let available = df.map(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().nth(1).unwrap_or_default().trim();
        line.trim_end_matches('M').parse::<u64>().ok()
    });
    let problem = match available {
        Ok(Some(mib)) if mib >= NEEDED_MIB => None,
        Ok(Some(mib)) => Some((
            format!("{mib} MiB free"),
            format!("free {NEEDED_MIB} MiB, or name another --state"),
        )),
        Ok(None) => Some((
            "df did not answer".to_owned(),
            "check the path of --state".to_owned(),
        )),
        // A tool that is missing keeps no lab from starting.
        Err(error) => return Finding::new("space", None, &format!("unknown: df: {error}")),
    };
    Finding::new(format!("space at {}", place.display()), problem, "enough")
}

/// Tools the demo and the tests call, and what for.
const TOOLS: &[(&str, &str)] = &[
    ("espeak-ng", "speaks the test sentences"),
    ("openssl", "checks certificates and tokens"),
];

fn tool_present((tool, needed_for): &(&str, &str)) -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let present = std::env::split_paths(&path).any(|dir| dir.join(tool).is_file());
    let missing = (!present).then(|| {
        (
            "not installed".to_owned(),
            format!("apt-get install {tool} ({needed_for})"),
        )
    });
    Finding::new(format!("tool {tool}"), missing, "present")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_cure() {
        let addresses = Addresses::free().unwrap();
        let (_, taken) = addresses.iter().next().unwrap();
        let _holder = TcpListener::bind(taken).unwrap();
        let findings = ports(&addresses);
        let finding = findings
            .iter()
            .find(|f| f.check.contains(&taken.to_string()))
            .unwrap();
        assert!(
            !finding.ok && finding.fix.contains("--ports free"),
            "{finding:?}"
        );
        assert_eq!(findings.iter().filter(|f| !f.ok).count(), 1);
    }

    #[test]
    fn the_ports_of_the_lab_that_runs_here_are_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("lab");
        let addresses = Addresses::free().unwrap();
        let (_, taken) = addresses.iter().next().unwrap();
        let _holder = TcpListener::bind(taken).unwrap();
        let setup = Setup {
            addresses: addresses.clone(),
            ..Setup::complete()
        };
        let said = |found: &[Finding]| {
            let port = format!("port {taken} ");
            let finding = found.iter().find(|f| f.check.starts_with(&port)).unwrap();
            (finding.ok, finding.found.clone())
        };
        assert!(!said(&examine(&setup, dir.path(), &root)).0, "no lab runs");
        // This test is the process of a lab.
        let state = StateDir::open(&root).unwrap();
        let process = crate::state::ProcessRecord {
            service: "idms".to_owned(),
            pid: std::process::id(),
            executable: std::env::current_exe().unwrap(),
        };
        let record = crate::state::LabRecord {
            addresses,
            lab_keys: false,
            domains: Vec::new(),
            approaches: Vec::new(),
            integrated: false,
            processes: vec![process],
        };
        state.keep_record(&record).unwrap();
        let (ok, found) = said(&examine(&setup, dir.path(), &root));
        assert!(ok && found.contains("the lab that runs"), "{found}");
    }

    #[test]
    fn a_missing_executable_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            executables(&Setup::complete(), dir.path())
                .iter()
                .all(|f| !f.ok && f.fix.contains("make lab"))
        );
    }
}
