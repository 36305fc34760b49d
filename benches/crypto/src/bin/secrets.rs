//! Half of `make timing`: marks secrets as undefined for valgrind's memcheck, which then reports
//! every branch and address that depends on one, and counts the reports of each operation.
//!
//! Valgrind 3.19 knows no AVX-512, so this is about the portable kernels. A report is no leak when
//! all that the branch tells is whether a result exists at all; `docs/decisions/0005-constant-time.md`
//! lists those.

#![expect(
    unsafe_code,
    reason = "the request to valgrind is four instructions that do nothing outside of it"
)]
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use anyhow::{Result, ensure};
use mikey_sakke::eccsi::AuthenticationSecret;
use mikey_sakke::sakke::{MasterSecret, ReceiverSecretKey};
use std::arch::asm;
use std::hint::black_box;

const COUNT_ERRORS: u64 = 0x1201;
const RUNNING_ON_VALGRIND: u64 = 0x1001;
/// `'M' << 24 | 'C' << 16`, and the number of the request.
const MAKE_UNDEFINED: u64 = 0x4D43_0001;
const MAKE_DEFINED: u64 = 0x4D43_0002;

/// A request to valgrind (`valgrind.h`); zero without it.
fn request(number: u64, octets: &[u8]) -> u64 {
    let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
    let arguments = [number, octets.as_ptr().addr() as u64, length, 0, 0, 0];
    let mut answer = 0_u64;
    // SAFETY: rotations by 128 bits in all and an exchange with itself change nothing.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") answer,
        );
    }
    answer
}

/// The octets as a secret.
fn secret<const N: usize>(octets: [u8; N]) -> [u8; N] {
    let octets = black_box(octets);
    request(MAKE_UNDEFINED, &octets);
    octets
}

fn public(octets: &[u8]) {
    request(MAKE_DEFINED, octets);
}

/// Prints how many reports the operation causes.
fn count<T>(name: &str, operation: impl FnOnce() -> T) -> T {
    let before = request(COUNT_ERRORS, &[]);
    let result = black_box(operation());
    println!("{name:40} {:>6}", request(COUNT_ERRORS, &[]) - before);
    result
}

fn main() -> Result<()> {
    ensure!(
        request(RUNNING_ON_VALGRIND, &[]) != 0,
        "runs under valgrind only: make timing"
    );
    println!("{:40} {:>6}", "operation", "reports");
    let control = count("control: an address made of a secret", || {
        let [index] = secret([7]);
        black_box(&[1_u8; 256]).get(usize::from(index)).copied()
    });
    ensure!(control.is_some(), "256 entries, one octet");
    eccsi()?;
    sakke()?;
    batches()
}

fn eccsi() -> Result<()> {
    let id = [5; 32];
    // Everything public is computed before; tables are built from it.
    let plain = AuthenticationSecret::from_octets(&[0x11; 32])?;
    let mut pair = plain.issue_reproducibly(&id, &[0x22; 32])?;
    let kpak = plain.public_key();
    pair.sign_reproducibly(b"warm", &[3; 32])?;
    let (ssk, pvt) = (secret(*pair.ssk()), *pair.pvt());

    let key = count("ECCSI: KSAK read, KPAK computed", || {
        AuthenticationSecret::from_octets(&secret([0x11; 32]))
    })?;
    count("ECCSI: SSK and PVT issued (KSAK, v)", || {
        key.issue_reproducibly(&id, &secret([0x22; 32]))
    })?;
    pair = count("ECCSI: SSK validated", || {
        mikey_sakke::eccsi::SigningKey::validated(&kpak, &id, &ssk, &pvt)
    })?;
    let signature = count("ECCSI: signed (SSK, j)", || {
        pair.sign_reproducibly(b"message", &secret([0x33; 32]))
    })?;
    public(&signature);
    Ok(kpak.verify(&id, b"message", &signature)?)
}

fn sakke() -> Result<()> {
    let id = [5; 32];
    let plain = MasterSecret::from_octets(&[0x11; 127])?;
    let kms = plain.public_key()?;
    kms.prepare()?;
    let rsk = secret(*plain.issue(&id)?.octets());
    let ssv = mikey_sakke::sakke::Ssv::new([0x44; 16]);
    let data = kms.encapsulate(&id, &ssv)?;

    let key = count("SAKKE: z read", || {
        MasterSecret::from_octets(&secret([0x11; 127]))
    })?;
    count("SAKKE: RSK issued (z)", || key.issue(&id))?;
    let rsk = count("SAKKE: RSK read", || ReceiverSecretKey::from_octets(&rsk))?;
    count("SAKKE: RSK validated", || rsk.validate(&kms, &id))?;
    count("SAKKE: tables of the RSK", || rsk.prepare())?;
    let opened = count("SAKKE: decapsulated (RSK)", || {
        rsk.decapsulate(&kms, &id, &data)
    })?;
    public(opened.as_slice());
    let hidden = mikey_sakke::sakke::Ssv::new(secret([0x44; 16]));
    let sent = count("SAKKE: encapsulated (SSV)", || {
        kms.encapsulate(&id, &hidden)
    })?;
    public(&sent);
    ensure!(
        opened == ssv && sent == data,
        "wrong results under valgrind"
    );
    Ok(())
}

fn batches() -> Result<()> {
    let ids: [[u8; 32]; 8] = std::array::from_fn(|n| [u8::try_from(n).unwrap_or(0); 32]);
    let ids = ids.each_ref().map(|id| id.as_slice());
    let plain = MasterSecret::from_octets(&[0x11; 127])?;
    let kms = plain.public_key()?;
    kms.prepare()?;
    let ssv = mikey_sakke::sakke::Ssv::new([0x44; 16]);
    let (keys, data) = (
        plain.issue_batch(&ids)?,
        kms.encapsulate_batch(&ids.map(|id| (id, &ssv)))?,
    );

    let key = MasterSecret::from_octets(&secret([0x11; 127]))?;
    let issued = count("SAKKE: eight RSKs issued (z)", || key.issue_batch(&ids))?;
    let hidden = mikey_sakke::sakke::Ssv::new(secret([0x44; 16]));
    let sent = count("SAKKE: encapsulated to eight (SSV)", || {
        kms.encapsulate_batch(&ids.map(|id| (id, &hidden)))
    })?;
    for (issued, key) in issued.iter().zip(&keys) {
        let octets = issued.octets();
        public(octets.as_slice());
        ensure!(octets == key.octets(), "wrong results under valgrind");
    }
    sent.iter().for_each(|sent| public(sent));
    ensure!(sent == data, "wrong results under valgrind");
    Ok(())
}
