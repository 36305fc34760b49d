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
/// Those of a batch.
const IDS: [[u8; 32]; 8] = [
    [1; 32], [2; 32], [3; 32], [4; 32], [5; 32], [6; 32], [7; 32], [8; 32],
];

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
    let worst = eccsi(time)?.max(sakke(time)?).max(batches(time)?);
    let worst = worst.max(tables(time)?);
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
        |receiver: &Receiver| {
            let _ = black_box(receiver.key.decapsulate(&receiver.kms, &ID, &receiver.data));
        },
        Receiver::random,
    )?;
    let first = compare(
        "SAKKE: decapsulated without tables",
        time,
        |receiver: &Receiver| {
            // A key that has just been read has none.
            let key = ReceiverSecretKey::from_octets(receiver.key.octets().as_slice());
            let _ =
                black_box(key.and_then(|key| key.decapsulate(&receiver.kms, &ID, &receiver.data)));
        },
        Receiver::random,
    )?;
    let validated = compare(
        "SAKKE: RSK validated",
        time,
        |receiver: &Receiver| {
            let _ = black_box(receiver.key.validate(&receiver.kms, &ID));
        },
        Receiver::random,
    )?;
    let used = opened.max(first).max(validated);
    Ok(issued.max(encapsulated).max(used))
}

/// A key with all that decapsulation uses.
struct Receiver {
    z: MasterSecret,
    ssv: Ssv,
    kms: PublicKey,
    key: ReceiverSecretKey,
    data: [u8; SED_OCTETS],
}

impl Receiver {
    fn random() -> Result<Self> {
        Self::new(
            MasterSecret::random(&mut UnwrapErr(SysRng)),
            Ssv::new(random()),
        )
    }

    fn new(z: MasterSecret, ssv: Ssv) -> Result<Self> {
        let (kms, key) = (z.public_key()?, z.issue(&ID)?);
        key.prepare()?;
        kms.prepare()?;
        let data = kms.encapsulate(&ID, &ssv)?;
        Ok(Self {
            z,
            ssv,
            kms,
            key,
            data,
        })
    }
}

/// The same secret in memory of its own: clones of keys share their tables, which would be warm for the
/// fixed one only.
trait Copied: Sized {
    fn copied(&self) -> Result<Self>;
}

impl<T: Clone> Copied for T {
    fn copied(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl Copied for Receiver {
    fn copied(&self) -> Result<Self> {
        Self::new(self.z.clone(), self.ssv.clone())
    }
}

fn batches(time: Duration) -> Result<f64> {
    let ids = IDS.each_ref().map(|id| id.as_slice());
    let issued = compare(
        "SAKKE: eight RSKs issued (z)",
        time,
        |key: &MasterSecret| {
            let _ = black_box(key.issue_batch(&ids));
        },
        || Ok(MasterSecret::random(&mut UnwrapErr(SysRng))),
    )?;
    let kms = MasterSecret::random(&mut UnwrapErr(SysRng)).public_key()?;
    let encapsulated = compare(
        "SAKKE: encapsulated to eight (SSV)",
        time,
        |ssv: &Ssv| {
            let _ = black_box(kms.encapsulate_batch(&ids.map(|id| (id, ssv))));
        },
        || Ok(Ssv::new(random())),
    )?;
    Ok(issued.max(encapsulated))
}

/// What is computed once for a key. Tables of a KMS are of public data only.
fn tables(time: Duration) -> Result<f64> {
    let rsk = compare(
        "SAKKE: tables of an RSK",
        time,
        |octets: &Vec<u8>| {
            let key = ReceiverSecretKey::from_octets(octets);
            let _ = black_box(key.and_then(|key| key.prepare()));
        },
        || {
            let z = MasterSecret::random(&mut UnwrapErr(SysRng));
            Ok(z.issue(&ID)?.octets().to_vec())
        },
    )?;
    let kms = AuthenticationSecret::random(&mut UnwrapErr(SysRng))?;
    let (kpak, key) = (kms.public_key(), kms.issue(&ID, &mut UnwrapErr(SysRng))?);
    let pvt = key.pvt();
    // All are of one PVT, so none is the right one: that is told after the secret was used.
    let ssk = compare(
        "ECCSI: SSK checked against its PVT",
        time,
        |ssk: &[u8; 32]| {
            let _ = black_box(SigningKey::validated(&kpak, &ID, ssk, pvt));
        },
        || Ok(random()),
    )?;
    Ok(rsk.max(ssk))
}

/// Times both classes, prints the row and returns the larger |t|.
///
/// The fixed secret has as many copies as there are random ones: memory is as cold for both.
fn compare<S: Copied>(
    name: &str,
    time: Duration,
    operation: impl Fn(&S),
    mut make: impl FnMut() -> Result<S>,
) -> Result<f64> {
    let first = make()?;
    let fixed = (0..KEYS)
        .map(|_| first.copied())
        .collect::<Result<Vec<S>>>()?;
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
