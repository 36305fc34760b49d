//! The radio network service.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    mc_runtime::service::run("lmr-sim", lmr_sim::run)
}
