//! Known answers, recomputed at start-up: a service whose constants or arithmetic are broken must
//! not issue or open a single key.

use crate::{eccsi, sakke};

/// Which known answer was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("self test: {0} gives a wrong result")]
pub struct SelfTestError(pub &'static str);

/// The identifier of both RFCs' appendices: a month and a telephone number.
const ID: &[u8] = b"2011-02\0tel:+447700900123\0";
/// First octets of the encapsulated data's masked value, RFC 6508 Appendix A.
const MASKED: [u8; 16] = [
    0x89, 0xe0, 0xbc, 0x66, 0x1a, 0xa1, 0xe9, 0x16, 0x38, 0xe6, 0xac, 0xc8, 0x4e, 0x49, 0x65, 0x07,
];
/// The shared secret value of RFC 6508 Appendix A.
const SSV: [u8; 16] = [
    0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
];
/// z of RFC 6508 Appendix A.
const Z: [u8; 20] = [
    0xaf, 0xf4, 0x29, 0xd3, 0x5f, 0x84, 0xb1, 0x10, 0xd0, 0x94, 0x80, 0x3b, 0x35, 0x95, 0xa6, 0xe2,
    0x99, 0x8b, 0xc9, 0x9f,
];
/// s of the signature in RFC 6507 Appendix A.
const S: [u8; 32] = [
    0xe0, 0x9b, 0x52, 0x8d, 0x0e, 0xf8, 0xd6, 0xdf, 0x1a, 0xa3, 0xec, 0xbf, 0x80, 0x11, 0x0c, 0xfc,
    0xec, 0x9f, 0xc6, 0x82, 0x52, 0xce, 0xbb, 0x67, 0x9f, 0x41, 0x34, 0x84, 0x69, 0x40, 0xcc, 0xfd,
];

/// Recomputes the appendices of RFC 6507 and RFC 6508, each way there is to compute them: about 60 ms.
///
/// # Errors
/// The first answer that is wrong.
pub fn self_test() -> Result<(), SelfTestError> {
    eccsi_answers().ok_or(SelfTestError("ECCSI"))?;
    sakke_answers().ok_or(SelfTestError("SAKKE"))
}

fn eccsi_answers() -> Option<()> {
    let small = |last: [u8; 3]| {
        let mut octets = [0; 32];
        octets.get_mut(29..)?.copy_from_slice(&last);
        Some(octets)
    };
    let ksak = eccsi::AuthenticationSecret::from_octets(&small([0x01, 0x23, 0x45])?).ok()?;
    let key = ksak
        .issue_reproducibly(ID, &small([0x02, 0x34, 0x56])?)
        .ok()?;
    let signature = key
        .sign_reproducibly(b"message\0", &small([0x03, 0x45, 0x67])?)
        .ok()?;
    ksak.public_key()
        .verify(ID, b"message\0", &signature)
        .ok()?;
    (signature.get(32..64)? == S).then_some(())
}

fn sakke_answers() -> Option<()> {
    let z = sakke::MasterSecret::from_octets(&Z).ok()?;
    let kms = z.public_key().ok()?;
    let (key, ssv) = (z.issue(ID).ok()?, sakke::Ssv::new(SSV));
    let data = kms.encapsulate(ID, &ssv).ok()?;
    key.validate(&kms, ID).ok()?;
    let first = key.decapsulate(&kms, ID, &data).ok()?;
    key.prepare().ok()?;
    let later = key.decapsulate(&kms, ID, &data).ok()?;
    // Batches have kernels of their own.
    let keys = z.issue_batch(&[ID; 3]).ok()?;
    let batch = kms.encapsulate_batch(&[(ID, &ssv); 3]).ok()?;
    let same = keys.iter().all(|one| *one == key) && batch.iter().all(|one| *one == data);
    (data.ends_with(&MASKED) && first == ssv && later == ssv && same).then_some(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_known_answers_hold() {
        assert_eq!(super::self_test(), Ok(()));
    }
}
