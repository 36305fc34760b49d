//! The identity management server.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    mc_runtime::service::run("idms", idms::run)
}
