//! The MC security gateway.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    mc_runtime::service::run("segy", segy::run)
}
