//! A private PostgreSQL cluster in a temporary directory, reachable by its Unix socket only.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

/// A running cluster; dropping it stops the server and removes its files.
#[derive(Debug)]
pub struct Postgres {
    dir: TempDir,
    bin: PathBuf,
    as_root: bool,
}

impl Postgres {
    /// Makes and starts a cluster.
    ///
    /// # Errors
    /// When PostgreSQL is not installed (`make deps`) or does not start; the log is quoted.
    pub fn start() -> anyhow::Result<Self> {
        let bin = server_programs()?;
        let as_root = output(Command::new("id").arg("-u"))?.trim() == "0";
        let dir = tempfile::Builder::new().prefix("mcbox-pg").tempdir()?;
        if as_root {
            // The server refuses to run as root; the package made an account for it.
            let account = |option: &str| -> anyhow::Result<u32> {
                Ok(output(Command::new("id").args([option, "postgres"]))?
                    .trim()
                    .parse()?)
            };
            std::os::unix::fs::chown(dir.path(), Some(account("-u")?), Some(account("-g")?))?;
        }
        let cluster = Self { dir, bin, as_root };
        cluster.launch()?;
        Ok(cluster)
    }

    fn launch(&self) -> anyhow::Result<()> {
        let data = self.data();
        let mut initdb = self.command("initdb");
        initdb.args([
            "--username=postgres",
            "--auth=trust",
            "--no-sync",
            "--no-instructions",
            "-D",
        ]);
        output(initdb.arg(&data))?;
        let options = format!(
            "-c listen_addresses='' -c fsync=off -c unix_socket_directories='{}'",
            self.dir.path().display()
        );
        let log = self.dir.path().join("log");
        let mut start = self.command("pg_ctl");
        start
            .arg("-D")
            .arg(&data)
            .args(["-w", "-l"])
            .arg(&log)
            .args(["-o", &options, "start"]);
        // The server keeps the file descriptors it inherits: a pipe would never end.
        start
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        if !start.status()?.success() {
            bail!(
                "PostgreSQL does not start: {}",
                std::fs::read_to_string(&log)?
            );
        }
        Ok(())
    }

    /// URL of the cluster's only database.
    #[must_use]
    pub fn url(&self) -> String {
        let socket = self.dir.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@localhost/postgres?host={socket}")
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let path = self.bin.join(program);
        if !self.as_root {
            return Command::new(path);
        }
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(path);
        command.current_dir(self.dir.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = self.command("pg_ctl");
        stop.arg("-D")
            .arg(self.data())
            .args(["-m", "immediate", "-w", "stop"]);
        let _ended = stop.output();
    }
}

/// The folder with `initdb` and `pg_ctl`: Debian keeps it off the path.
fn server_programs() -> anyhow::Result<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| {
            versions
                .flatten()
                .map(|version| version.path().join("bin"))
                .collect()
        })
        .unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path));
    let complete = |dir: &&PathBuf| dir.join("initdb").is_file() && dir.join("pg_ctl").is_file();
    found
        .iter()
        .find(complete)
        .map(|dir: &PathBuf| Path::to_path_buf(dir))
        .context("no PostgreSQL server found: run `make deps`")
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .with_context(|| format!("{command:?}: run `make deps`"))?;
    ensure!(
        status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&stderr)
    );
    Ok(String::from_utf8(stdout)?)
}
