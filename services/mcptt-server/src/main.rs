//! The MCPTT server.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    mc_runtime::service::run("mcptt-server", mcptt_server::run)
}
