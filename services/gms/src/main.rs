//! The group management server.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    mc_runtime::service::run("gms", gms::run)
}
