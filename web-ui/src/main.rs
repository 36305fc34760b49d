//! The `web-ui` binary.

fn main() -> anyhow::Result<std::process::ExitCode> {
    mc_runtime::service::run("web-ui", web_ui::run)
}
