//! Whether each program takes the configuration and the environment it would be started with: nobody
//! knows its fields better.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Finding;
use crate::configure;
use crate::process;
use crate::render::render;
use crate::supervisor::Setup;
use crate::topology::Service;

/// Runs the `check-config` of every service's program; one that is missing is somebody else's finding.
pub(super) fn examine(setup: &Setup, binaries: &Path) -> Vec<Finding> {
    let values = configure::without_state(setup);
    let services = setup.services();
    let there = services.filter(|service| binaries.join(service.binary).is_file());
    let examined = there.map(|service| {
        let refused = match render(service.template, &values) {
            Ok(text) => refusal(&binaries.join(service.binary), &text).err(),
            Err(error) => Some(error.to_string()),
        };
        let problem = refused.map(|why| (why, cure(service)));
        let check = format!("configuration of {}", service.name);
        Finding::new(check, problem, "taken")
    });
    examined.collect()
}

/// What the program says against a configuration.
fn refusal(program: &Path, text: &str) -> Result<(), String> {
    let run = || {
        let mut child = Command::new(program)
            .args(["--config", "/dev/stdin", "check-config"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = run().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(process::last_words(&String::from_utf8_lossy(
        &output.stderr,
    )))
}

fn cure(service: &Service) -> String {
    let start = format!("{}__", service.prefix());
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let names: Vec<String> = names.filter(|name| name.starts_with(&start)).collect();
    match names.is_empty() {
        true => format!("correct the template of {} in deploy/lab", service.name),
        false => format!("correct or unset {}", names.join(", ")),
    }
}
