//! Half of `make timing`: does the time of an operation depend on its secret? Times a fixed secret
//! against random ones in random order and compares both by Welch's t-test (dudect; Reparaz,
//! Balasch and Verbauwhede 2017), with the kernels that this processor gets.
//!
//! Prints t of the whole and of the lower part of the distribution, which the noise of a loaded
//! machine reaches least. |t| above 4.5 that grows with the samples is a leak; above 10 the program
//! fails. Argument: seconds per operation.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use anyhow::{Context, Result, ensure};
use getrandom::SysRng;
use mikey_sakke::SED_OCTETS;
use mikey_sakke::eccsi::{AuthenticationSecret, SigningKey};
use mikey_sakke::sakke::{MasterSecret, PublicKey, ReceiverSecretKey, Ssv};
use rand_core::{Rng, UnwrapErr};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Secrets of a kind that are taken in turn: their keys and tables are made before the clock runs.
const KEYS: usize = 32;
/// |t| from which the program fails.
const LEAK: f64 = 10.0;
const ID: [u8; 32] = [5; 32];

fn main() -> Result<()> {
    let seconds = std::env::args().nth(1);
    let seconds = seconds.map_or(Ok(10), |text| text.parse());
    let time = Duration::from_secs(seconds.context("seconds per operation")?);
    println!(
        "{:34} {:>9} {:>10} {:>8} {:>8}",
        "operation", "samples", "ns", "t", "t lower"
    );
    let control = |length: &usize| {
        black_box((0..*length).fold(0_u64, |sum, n| black_box(sum ^ n as u64)));
    };
    let mut lengths = 0;
    let leak = compare(
        "control: a loop as long as a secret",
        time / 4,
        control,
        || {
            lengths += 1;
            Ok(if lengths == 1 { 1000 } else { 1010 })
        },
    )?;
    ensure!(leak > LEAK, "the control's leak was not found");
    let worst = eccsi(time)?.max(sakke(time)?);
    ensure!(worst < LEAK, "time depends on a secret");
    Ok(())
}

fn random<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    UnwrapErr(SysRng).fill_bytes(&mut octets);
    octets
}

fn eccsi(time: Duration) -> Result<f64> {
    let kms = || AuthenticationSecret::random(&mut UnwrapErr(SysRng));
    let issued = compare(
        "ECCSI: SSK and PVT issued (KSAK, v)",
        time,
        |(key, v): &(AuthenticationSecret, [u8; 32])| {
            let _ = black_box(key.issue_reproducibly(&ID, v));
        },
        || Ok((kms()?, random())),
    )?;
    let secret = kms()?;
    let signed = compare(
        "ECCSI: signed (SSK, j)",
        time,
        |(key, j): &(SigningKey, [u8; 32])| {
            let _ = black_box(key.sign_reproducibly(b"message", j));
        },
        || Ok((secret.issue(&ID, &mut UnwrapErr(SysRng))?, random())),
    )?;
    Ok(issued.max(signed))
}

fn sakke(time: Duration) -> Result<f64> {
    let issued = compare(
        "SAKKE: RSK issued (z)",
        time,
        |key: &MasterSecret| {
            let _ = black_box(key.issue(&ID));
        },
        || Ok(MasterSecret::random(&mut UnwrapErr(SysRng))),
    )?;
    let kms = MasterSecret::random(&mut UnwrapErr(SysRng)).public_key()?;
    let encapsulated = compare(
        "SAKKE: encapsulated (SSV)",
        time,
        |ssv: &Ssv| {
            let _ = black_box(kms.encapsulate(&ID, ssv));
        },
        || Ok(Ssv::new(random())),
    )?;
    let opened = compare(
        "SAKKE: decapsulated (RSK)",
        time,
        |(kms, key, data): &(PublicKey, ReceiverSecretKey, [u8; SED_OCTETS])| {
            let _ = black_box(key.decapsulate(kms, &ID, data));
        },
        || {
            let z = MasterSecret::random(&mut UnwrapErr(SysRng));
            let (kms, key) = (z.public_key()?, z.issue(&ID)?);
            key.prepare()?;
            kms.prepare()?;
            let data = kms.encapsulate(&ID, &Ssv::new(random()))?;
            Ok((kms, key, data))
        },
    )?;
    Ok(issued.max(encapsulated).max(opened))
}

/// Times both classes, prints the row and returns the larger |t|.
///
/// The fixed secret has as many copies as there are random ones: memory is as cold for both.
fn compare<S: Clone>(
    name: &str,
    time: Duration,
    operation: impl Fn(&S),
    mut make: impl FnMut() -> Result<S>,
) -> Result<f64> {
    let fixed = vec![make()?; KEYS];
    let varied = (0..KEYS).map(|_| make()).collect::<Result<Vec<S>>>()?;
    let classes = [&fixed, &varied];
    let mut samples: [Vec<f64>; 2] = Default::default();
    let end = Instant::now() + time;
    while Instant::now() < end {
        for choice in random::<64>() {
            let class = usize::from(choice & 1);
            let secrets = classes.get(class).context("two classes")?;
            let secret = secrets.get(usize::from(choice >> 1) % KEYS);
            let secret = secret.context("as many secrets")?;
            let start = Instant::now();
            operation(secret);
            let taken = start.elapsed().as_secs_f64() * 1e9;
            samples.get_mut(class).context("two classes")?.push(taken);
        }
    }
    let mut all = samples.concat();
    all.sort_by(f64::total_cmp);
    let at = |part: usize| all.get(all.len() * part / 100).copied().unwrap_or(f64::MAX);
    let t = welch(&samples, f64::MAX);
    let lower = welch(&samples, at(75));
    println!(
        "{name:34} {:>9} {:>10.0} {t:>8.2} {lower:>8.2}",
        all.len(),
        at(50)
    );
    Ok(lower.abs())
}

/// Welch's t of the samples below a bound.
fn welch(samples: &[Vec<f64>; 2], bound: f64) -> f64 {
    let [(mean_a, error_a), (mean_b, error_b)] = samples.each_ref().map(|all| {
        let kept = all.iter().filter(|sample| **sample < bound);
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for sample in kept {
            count += 1.0;
            let step: f64 = sample - mean;
            mean += step / count;
            squares += step * (sample - mean);
        }
        (mean, squares / (count - 1.0) / count)
    });
    (mean_a - mean_b) / (error_a + error_b).sqrt()
}
