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
            let _told = writeln!(std::io::stderr(), "mcbox: {}", in_words(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, each said once: many name their cause themselves.
fn in_words(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
