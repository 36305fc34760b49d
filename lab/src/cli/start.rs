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
                let all = lab.setup().approaches.clone();
                (lab, if chosen.is_empty() { all } else { chosen })
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
    let obstacles = shown::wrong(&doctor::before_start(&setup, &binaries, state));
    if !obstacles.is_empty() {
        bail!("the lab cannot start:\n{}", obstacles.trim_end());
    }
    let bar = progress()?;
    let told = |what: &str| bar.set_message(format!("starting: {what}"));
    let lab = Lab::start(StateDir::open(state)?, setup.clone(), &binaries, told).await;
    bar.finish_and_clear();
    lab.map_err(|error| explained(&error, &setup, &binaries))
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
