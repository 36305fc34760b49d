//! ECCSI and SAKKE against wolfSSL, both ways: each side issues, validates, signs, verifies,
//! encapsulates and decapsulates what the other made; random keys and identifiers, and searched
//! ones whose numbers begin with a zero octet.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unwrap_in_result,
    reason = "a step that fails fails the test"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use getrandom::SysRng;
use mikey_sakke::eccsi::{AuthenticationKey, AuthenticationSecret, SigningKey};
use mikey_sakke::sakke::{MasterSecret, PublicKey, ReceiverSecretKey, Ssv};
use rand_core::{Rng, UnwrapErr};

struct WolfSsl {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl WolfSsl {
    fn start(test: &str) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wolfssl/peer.c");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("wolfssl-{test}-{}", std::process::id()));
        let built = Command::new("cc")
            .args(["-O1", "-o"])
            .arg(&program)
            .arg(source)
            .arg("-lwolfssl")
            .status()
            .expect("a C compiler: run `make test`");
        assert!(built.success(), "libwolfssl-dev is needed: run `make test`");
        let pipes = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = pipes.unwrap();
        std::fs::remove_file(program).unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    /// What the operation gives, or how it was refused.
    fn ask(&mut self, operation: &str, fields: &[&[u8]]) -> Result<Vec<Vec<u8>>, String> {
        let fields: Vec<_> = fields.iter().map(hex::encode).collect();
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{operation} {}", fields.join(" ")).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let mut words = answer.split_whitespace();
        match words.next() {
            Some("ok") => Ok(words.map(|word| hex::decode(word).unwrap()).collect()),
            _ => Err(format!("{operation}: {answer}")),
        }
    }

    /// The one value the operation gives.
    fn value(&mut self, operation: &str, fields: &[&[u8]]) -> Vec<u8> {
        self.ask(operation, fields).unwrap().remove(0)
    }
}

impl Drop for WolfSsl {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    UnwrapErr(SysRng).fill_bytes(&mut octets);
    octets
}

/// The first of random things that is as wanted: one in 256 begins with a zero octet.
fn search<T>(mut make: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let found = (0..10_000).map(|_| make()).find(|made| wanted(made));
    found.expect("odds of e^-39 against it")
}

fn signer(ksak: &AuthenticationSecret, id: &[u8]) -> SigningKey {
    ksak.issue(id, &mut UnwrapErr(SysRng)).unwrap()
}

/// Both sides validate the pair, and sign for the other.
fn assert_both_sign(wolf: &mut WolfSsl, kpak: &AuthenticationKey, id: &[u8], key: &SigningKey) {
    let (ssk, pvt) = (key.ssk(), key.pvt().as_slice());
    let message = random::<40>();
    let theirs = wolf.value(
        "eccsi_sign",
        &[kpak.octets(), id, ssk.as_slice(), pvt, &message],
    );
    kpak.verify(id, &message, &theirs).unwrap();
    let ours = key.sign(&message, &mut UnwrapErr(SysRng)).unwrap();
    assert_verified(wolf, kpak, id, &message, &ours);
}

/// wolfSSL verifies the signature, and refuses it for another message.
fn assert_verified(
    wolf: &mut WolfSsl,
    kpak: &AuthenticationKey,
    id: &[u8],
    message: &[u8],
    signature: &[u8],
) {
    wolf.ask("eccsi_verify", &[kpak.octets(), id, message, signature])
        .unwrap();
    let other = [message, b"."].concat();
    wolf.ask("eccsi_verify", &[kpak.octets(), id, &other, signature])
        .unwrap_err();
}

#[test]
fn each_side_issues_signs_and_verifies_for_the_other() {
    let mut wolf = WolfSsl::start("pairs");
    for _ in 0..20 {
        let (ksak, id) = (random::<32>(), random::<32>());
        let secret = AuthenticationSecret::from_octets(&ksak).unwrap();
        let kpak = secret.public_key();
        assert_eq!(wolf.value("eccsi_public", &[&ksak]), kpak.octets());
        assert_both_sign(&mut wolf, &kpak, &id, &signer(&secret, &id));
        let pair = wolf.ask("eccsi_issue", &[&ksak, &id]).unwrap();
        let key = SigningKey::validated(&kpak, &id, &pair[0], &pair[1]).unwrap();
        assert_both_sign(&mut wolf, &kpak, &id, &key);
        // Somebody else's pair.
        let other = random::<32>();
        SigningKey::validated(&kpak, &other, &pair[0], &pair[1]).unwrap_err();
        let fields: [&[u8]; 4] = [kpak.octets(), &other, &pair[0], &pair[1]];
        wolf.ask("eccsi_validate", &fields).unwrap_err();
    }
}

#[test]
fn signatures_and_pairs_with_leading_zero_octets_hold_on_both_sides() {
    let mut wolf = WolfSsl::start("zeros-in-pairs");
    let mut ksak = random::<32>();
    ksak[0] = 0;
    let secret = AuthenticationSecret::from_octets(&ksak).unwrap();
    let (kpak, id) = (secret.public_key(), random::<32>());
    assert_eq!(wolf.value("eccsi_public", &[&ksak]), kpak.octets());
    // r, s and both coordinates of the PVT; then SSK.
    let key = signer(&secret, &id);
    let message = random::<40>();
    for at in [0, 32] {
        let sign = || key.sign(&message, &mut UnwrapErr(SysRng)).unwrap();
        let signature = search(sign, |signature| signature[at] == 0);
        assert_verified(&mut wolf, &kpak, &id, &message, &signature);
    }
    for at in [1, 33] {
        let key = search(|| signer(&secret, &id), |key| key.pvt()[at] == 0);
        assert_both_sign(&mut wolf, &kpak, &id, &key);
    }
    let key = search(|| signer(&secret, &id), |key| key.ssk()[0] == 0);
    assert_both_sign(&mut wolf, &kpak, &id, &key);
}

/// Both sides validate the key, and each opens what the other made for it.
fn assert_both_open(wolf: &mut WolfSsl, kms: &PublicKey, id: &[u8], rsk: &ReceiverSecretKey) {
    let octets = rsk.octets();
    rsk.validate(kms, id).unwrap();
    wolf.ask("sakke_validate", &[kms.octets(), id, octets.as_slice()])
        .unwrap();
    let ssv = Ssv::new(random());
    let theirs = wolf.value("sakke_encapsulate", &[kms.octets(), id, ssv.as_slice()]);
    assert_eq!(rsk.decapsulate(kms, id, &theirs).unwrap(), ssv);
    // Nothing of it is random but the SSV.
    let ours = kms.encapsulate(id, &ssv).unwrap();
    assert_eq!(theirs, ours);
    assert_opened(wolf, kms, id, rsk, &ssv, &ours);
}

fn assert_opened(
    wolf: &mut WolfSsl,
    kms: &PublicKey,
    id: &[u8],
    rsk: &ReceiverSecretKey,
    ssv: &Ssv,
    data: &[u8],
) {
    let octets = rsk.octets();
    let mut open = |data: &[u8]| {
        wolf.ask(
            "sakke_decapsulate",
            &[kms.octets(), id, octets.as_slice(), data],
        )
    };
    assert_eq!(open(data).unwrap(), [ssv.as_slice()]);
    let mut damaged = data.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    open(&damaged).unwrap_err();
    rsk.decapsulate(kms, id, &damaged).unwrap_err();
}

#[test]
fn each_side_issues_encapsulates_and_decapsulates_for_the_other() {
    let mut wolf = WolfSsl::start("keys");
    for _ in 0..4 {
        // Below the order of 1022 bits.
        let (mut z, id) = (random::<128>(), random::<32>());
        z[0] &= 0x0F;
        let secret = MasterSecret::from_octets(&z).unwrap();
        let kms = secret.public_key().unwrap();
        assert_eq!(wolf.value("sakke_public", &[&z]), kms.octets());
        let rsk = secret.issue(&id).unwrap();
        let theirs = wolf.value("sakke_issue", &[&z, &id]);
        assert_eq!(theirs, rsk.octets().as_slice());
        assert_both_open(&mut wolf, &kms, &id, &rsk);
        // Somebody else's key.
        let other = random::<32>();
        rsk.validate(&kms, &other).unwrap_err();
        wolf.ask("sakke_validate", &[kms.octets(), &other, &theirs])
            .unwrap_err();
    }
}

#[test]
fn keys_and_data_with_leading_zero_octets_are_opened_by_both_sides() {
    let mut wolf = WolfSsl::start("zeros-in-keys");
    let mut z = random::<128>();
    z[0] = 0;
    let secret = MasterSecret::from_octets(&z).unwrap();
    let kms = secret.public_key().unwrap();
    assert_eq!(wolf.value("sakke_public", &[&z]), kms.octets());
    // The RSK's coordinates.
    for at in [1, 129] {
        let issue = || {
            let ids: [[u8; 32]; 8] = std::array::from_fn(|_| random());
            let keys = secret.issue_batch(&ids.each_ref().map(|id| id.as_slice()));
            let mut issued = ids.into_iter().zip(keys.unwrap());
            issued.find(|(_, rsk)| rsk.octets()[at] == 0)
        };
        let (id, rsk) = search(issue, Option::is_some).unwrap();
        assert_both_open(&mut wolf, &kms, &id, &rsk);
    }
    // R's coordinates, the hidden SSV, and g^r.
    let id = random::<32>();
    let rsk = secret.issue(&id).unwrap();
    let encapsulate = || {
        let ssv = Ssv::new(random());
        let data = kms.encapsulate(&id, &ssv).unwrap();
        (ssv, data)
    };
    for at in [1, 129, 257] {
        let (ssv, data) = search(encapsulate, |(_, data)| data[at] == 0);
        assert_eq!(rsk.decapsulate(&kms, &id, &data).unwrap(), ssv);
        assert_opened(&mut wolf, &kms, &id, &rsk, &ssv, &data);
    }
    let (ssv, data) = search(encapsulate, |(_, data)| {
        rsk.shared_value(data).unwrap()[0] == 0
    });
    assert_opened(&mut wolf, &kms, &id, &rsk, &ssv, &data);
}
