//! The `mcbox` command.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match lab::cli::run(lab::cli::Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            // If standard error is gone there is nobody left to tell.
            let _told = writeln!(std::io::stderr(), "mcbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}
