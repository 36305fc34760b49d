//! `mcbox up` and `mcbox demo`: a lab is started, used and stopped. One that cannot start leaves
//! nothing behind and says what stands in its way.

use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use mc_runtime::{CancellationToken, shutdown};

use super::{exit, shown};
use crate::demo::{Report, Runner, Verdict, table};
use crate::doctor::Finding;
use crate::site::Approach;
use crate::speech::Speech;
use crate::state::StateDir;
use crate::supervisor::{self, Lab, Setup, StartError};
use crate::topology::PortName;
use crate::{control, doctor};

/// The lab that calls are made in.
pub(super) enum Whose {
    /// Started for them, and stopped.
    Own(Setup),
    /// One that runs, and these of its approaches (none: all).
    Others(Vec<Approach>),
}

/// Starts the lab and keeps it running until Ctrl-C, or leaves it running.
pub(super) async fn up(
    state: &Path,
    detach: bool,
    setup: Setup,
    speech: &Path,
) -> anyhow::Result<ExitCode> {
    let stop = shutdown::on_signal()?;
    let speech = (!detach).then(|| Speech::load(speech)).transpose()?;
    let lab = unless_stopped(&stop, start(state, setup)).await?;
    shown::health(&lab.health().await, lab.setup(), false)?;
    let Some(speech) = speech else {
        lab.leave_running();
        return Ok(ExitCode::SUCCESS);
    };
    let runner = Arc::new(unless_stopped(&stop, runner(lab, speech)).await?);
    let address = runner.lab().addresses().of(PortName::LabControl);
    let control = control::serve(address, runner.clone(), stop.clone()).await?;
    let (console, root) = {
        let lab = runner.lab();
        (lab.addresses().of(PortName::Console), lab.state().root())
    };
    writeln!(
        std::io::stdout(),
        "\nopen http://localhost:{}\nThe lab runs; Ctrl-C stops it. State: {}",
        console.port(),
        root.display()
    )?;
    stop.cancelled().await;
    control.wait().await?;
    if let Some(runner) = Arc::into_inner(runner) {
        runner.stop().await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes calls and prints what they came to.
pub(super) async fn demo(
    state: &Path,
    whose: Whose,
    speech: &Path,
    calls: &[&str],
    json: bool,
) -> anyhow::Result<ExitCode> {
    let stop = shutdown::on_signal()?;
    let speech = Speech::load(speech)?;
    let calls = async {
        let (lab, approaches) = match whose {
            Whose::Own(setup) => {
                let approaches = setup.approaches.clone();
                (start(state, setup).await?, approaches)
            }
            Whose::Others(chosen) => {
                let lab = Lab::attach(state)?;
                let approaches = among(chosen, &lab.setup().approaches)?;
                (lab, approaches)
            }
        };
        make_calls(runner(lab, speech).await?, &approaches, calls).await
    };
    let report = unless_stopped(&stop, calls).await?;
    match json {
        true => shown::json(&report)?,
        false => writeln!(std::io::stdout(), "{}", table(&report))?,
    }
    Ok(exit(report.verdict == Verdict::Pass))
}

/// The chosen approaches of those that a lab runs; all without a choice.
fn among(chosen: Vec<Approach>, run: &[Approach]) -> anyhow::Result<Vec<Approach>> {
    if chosen.is_empty() {
        return Ok(run.to_vec());
    }
    if let Some(other) = chosen.iter().find(|approach| !run.contains(approach)) {
        let run: Vec<_> = run
            .iter()
            .map(|approach| approach.site().approach)
            .collect();
        let other = other.site().approach;
        bail!("the lab runs approach {}, not {other}", run.join(", "));
    }
    Ok(chosen)
}

async fn make_calls(
    runner: Runner,
    approaches: &[Approach],
    calls: &[&str],
) -> anyhow::Result<Report> {
    let bar = progress()?;
    let mut rows = Vec::new();
    for approach in approaches {
        let approach = approach.site().approach;
        for call in calls {
            bar.set_message(format!("{approach} {call}"));
            rows.push(runner.run(approach, call).await?);
        }
    }
    bar.finish_and_clear();
    runner.stop().await;
    Ok(Report::over(rows))
}

/// Work that ends early at Ctrl-C or SIGTERM: a lab that is dropped stops its processes.
async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        done = work => done,
        () = stop.cancelled() => bail!("interrupted; what had been started is stopped"),
    }
}

/// Where the services' binaries are: beside this one.
pub(super) fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new(".")).to_owned())
}

/// What is being done, on standard error; nothing where that is no terminal.
fn progress() -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})")?;
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    Ok(bar)
}

async fn start(state: &Path, setup: Setup) -> anyhow::Result<Lab> {
    let binaries = binaries()?;
    if let Some(there) = StateDir::find(state)? {
        supervisor::refuse_second(&there)?;
    }
    unobstructed(&doctor::before_start(&setup, &binaries, state))?;
    let bar = progress()?;
    let told = |what: &str| bar.set_message(format!("starting: {what}"));
    let lab = Lab::start(StateDir::open(state)?, setup.clone(), &binaries, told).await;
    bar.finish_and_clear();
    lab.map_err(|error| explained(&error, &setup, &binaries))
}

/// Names what stands in the way of a start; another lab on the same ports is said in a few lines.
fn unobstructed(findings: &[Finding]) -> anyhow::Result<()> {
    const SHOWN: usize = 3;
    let wrong: Vec<_> = findings.iter().filter(|f| !f.ok).cloned().collect();
    let (first, rest) = wrong.split_at(wrong.len().min(SHOWN));
    let more = match rest.len() {
        0 => String::new(),
        more => format!("\nand {more} more; `mcbox doctor` shows all"),
    };
    anyhow::ensure!(
        wrong.is_empty(),
        "the lab cannot start:\n{}{more}",
        shown::wrong(first).trim_end()
    );
    Ok(())
}

/// A failed start with what doctor knows about it.
fn explained(error: &StartError, setup: &Setup, binaries: &Path) -> anyhow::Error {
    let findings = shown::wrong(&doctor::told(setup, binaries));
    match findings.is_empty() {
        true => anyhow!("{error}"),
        false => anyhow!("{error}\n{}", findings.trim_end()),
    }
}

async fn runner(lab: Lab, speech: Speech) -> anyhow::Result<Runner> {
    let bar = progress()?;
    let told = |what: &str| bar.set_message(format!("waiting for: {what}"));
    let runner = Runner::start(lab, speech, told).await;
    bar.finish_and_clear();
    Ok(runner?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_lab_runs_is_called() {
        let run = [Approach::SingleClient, Approach::ClientPerUser];
        assert_eq!(among(Vec::new(), &run).unwrap(), run);
        let one = vec![Approach::ClientPerUser];
        assert_eq!(among(one.clone(), &run).unwrap(), one);
        let other = among(vec![Approach::MigratedClients], &run).unwrap_err();
        assert_eq!(other.to_string(), "the lab runs approach 7.1, 7.2, not 7.3");
    }

    #[test]
    fn many_obstacles_are_said_in_a_few_lines() {
        let port = |n: usize| Finding {
            check: format!("port {n}"),
            ok: n == 0,
            found: "taken".to_owned(),
            fix: "stop it".to_owned(),
        };
        assert!(unobstructed(&[port(0)]).is_ok());
        let all: Vec<_> = (0..=9).map(port).collect();
        let said = unobstructed(&all).unwrap_err().to_string();
        assert!(
            said.contains("port 3") && !said.contains("port 4"),
            "{said}"
        );
        assert!(said.contains("and 6 more"), "{said}");
    }
}
