//! The peer: a process that measures itself.

use crate::operations::Fixture;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running peer.
#[derive(Debug)]
pub(crate) struct Peer {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start(binary: &str, fixture: &Fixture) -> Result<Self> {
        let mut process = Command::new(binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {binary}"))?;
        let input = process.stdin.take().context("the peer's input")?;
        let output = process.stdout.take().context("the peer's output")?;
        let output = BufReader::new(output);
        let mut peer = Self {
            process,
            input,
            output,
        };
        for (name, octets) in fixture.for_peer() {
            writeln!(peer.input, "set {name} {}", hex::encode(octets))?;
        }
        Ok(peer)
    }

    pub(crate) fn version(&mut self) -> Result<String> {
        self.ask("version")
    }

    /// Whether the peer accepts what we made: keys, a signature, an encapsulation.
    pub(crate) fn check(&mut self) -> Result<bool> {
        Ok(self.ask("check")? == "ok")
    }

    /// Nanoseconds of CPU time per operation; `None` if the peer has no such operation.
    pub(crate) fn run(&mut self, operation: Option<&str>, count: u32) -> Result<Option<f64>> {
        let Some(operation) = operation else {
            return Ok(None);
        };
        let answer = self.ask(&format!("run {operation} {count}"))?;
        Ok(answer.parse().ok())
    }

    fn ask(&mut self, line: &str) -> Result<String> {
        writeln!(self.input, "{line}")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
