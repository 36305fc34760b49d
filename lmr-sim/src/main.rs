//! The radio network service and its command line radio.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use lmr_sim::cli::{COMMANDS, Cli};

fn main() -> anyhow::Result<ExitCode> {
    let is_command = |word: String| COMMANDS.contains(&word.as_str());
    if !std::env::args().skip(1).any(is_command) {
        return mc_runtime::service::run("lmr-sim", lmr_sim::run);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let printed = runtime.block_on(lmr_sim::cli::run(Cli::parse()))?;
    if !printed.is_empty() {
        writeln!(std::io::stdout(), "{printed}")?;
    }
    Ok(ExitCode::SUCCESS)
}
