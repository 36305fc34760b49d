//! `make bench`: each operation of ECCSI, SAKKE and MIKEY-SAKKE, ours and wolfSSL's in turn, in CPU
//! time of one thread. Prints a table and writes it as JSON.
//!
//! Arguments: the peer's binary (built from `wolfssl.c`), the JSON file, and optionally the parts of
//! names of operations to run. `BENCH_ROUNDS` is the number of measurements whose median counts.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

mod operations;
mod peer;

use anyhow::{Context, Result, ensure};
use operations::{Fixture, OPERATIONS, Operation};
use peer::Peer;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Measurements of each side.
const ROUNDS: usize = 9;
/// CPU time of one measurement, in nanoseconds.
const SAMPLE: f64 = 60e6;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "arguments: the peer's binary, the JSON file, parts of names of operations";
    let (binary, output) = (
        arguments.next().context(usage)?,
        arguments.next().context(usage)?,
    );
    let wanted: Vec<String> = arguments.collect();
    let rounds = match std::env::var("BENCH_ROUNDS") {
        Ok(rounds) => rounds.parse().context("BENCH_ROUNDS")?,
        Err(_) => ROUNDS,
    };

    let fixture = Fixture::new()?;
    let mut peer = Peer::start(&binary, &fixture)?;
    let name = peer.version()?;
    ensure!(
        peer.check()?,
        "{name} does not open, verify or issue what mcbox made"
    );
    println!(
        "{:26} {:>12} {:>12} {:>8}   peer: {name}",
        "operation", "ours/s", "peer/s", "ratio"
    );
    let mut rows = Vec::new();
    for operation in OPERATIONS {
        if wanted.is_empty()
            || wanted
                .iter()
                .any(|part| operation.name.contains(part.as_str()))
        {
            rows.push(measure(operation, &fixture, &mut peer, rounds, &name)?);
        }
    }
    std::fs::write(&output, serde_json::to_string_pretty(&rows)? + "\n")?;
    println!("{output}");
    Ok(())
}

/// Measures one operation, both sides in turn, prints its row and returns it.
fn measure(
    operation: &Operation,
    fixture: &Fixture,
    peer: &mut Peer,
    rounds: usize,
    name: &str,
) -> Result<Value> {
    let once = |count: u32| -> Result<f64> {
        let start = cpu_time();
        for _ in 0..count {
            (operation.run)(fixture)?;
        }
        Ok((cpu_time() - start) / f64::from(count) / f64::from(operation.batch))
    };
    // The first run computes tables; the second tells how many make a measurement.
    once(1)?;
    let count = repetitions(once(1)? * f64::from(operation.batch));
    let peer_count = peer.run(operation.peer, 1)?.map(repetitions);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(once(count)?);
        if let Some(count) = peer_count {
            theirs.extend(peer.run(operation.peer, count)?);
        }
    }
    let (ours, theirs) = (median(ours).map(per_second), median(theirs).map(per_second));
    let ratio = ours.zip(theirs).map(|(ours, theirs)| ours / theirs);
    let cell = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    println!(
        "{:26} {:>12} {:>12} {:>8}",
        operation.name,
        cell(ours, 0),
        cell(theirs, 0),
        cell(ratio, 2)
    );
    Ok(json!({
        "op": operation.name,
        "ours_per_s": ours,
        "peer": name,
        "peer_per_s": theirs,
        "ratio": ratio,
    }))
}

/// CPU time of this thread, in nanoseconds.
fn cpu_time() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let [seconds, nanoseconds] = [now.tv_sec, now.tv_nsec].map(|part| {
        // Less than 2^32 of either in any bench.
        u32::try_from(part).map_or(f64::MAX, f64::from)
    });
    seconds.mul_add(1e9, nanoseconds)
}

fn repetitions(nanoseconds: f64) -> u32 {
    let count = (SAMPLE / nanoseconds).clamp(1.0, 1e6);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped"
    )]
    let count = count as u32;
    count
}

fn median(mut samples: Vec<f64>) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

fn per_second(nanoseconds: f64) -> f64 {
    1e9 / nanoseconds
}
