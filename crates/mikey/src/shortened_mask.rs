//! The defect that one message in 256 shows: g^r hashed without its leading zero octets.

use mikey_sakke::sakke::{PublicKey, ReceiverSecretKey, Ssv};
use mikey_sakke::{SED_OCTETS, SSV_OCTETS};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The key, if the data was made by a peer with this defect. Checked as RFC 6508 6.2.2 asks, by
/// encapsulating again: a wrong key has another R.
pub(crate) fn decapsulate(
    keys: &ReceiverSecretKey,
    kms: &PublicKey,
    uid: &[u8],
    sealed: &[u8; SED_OCTETS],
) -> Option<Ssv> {
    let w = keys.shared_value(sealed).ok()?;
    let zeros = w.iter().take_while(|octet| **octet == 0).count();
    if zeros == 0 {
        return None;
    }
    let (point, hidden) = sealed.split_at_checked(SED_OCTETS - SSV_OCTETS)?;
    let mask = mask(w.get(zeros..)?);
    let mut ssv = Ssv::new([0; SSV_OCTETS]);
    for ((out, hidden), mask) in ssv.iter_mut().zip(hidden).zip(mask.iter()) {
        *out = hidden ^ mask;
    }
    let again = kms.encapsulate(uid, &ssv).ok()?;
    (again.get(..point.len())? == point).then_some(ssv)
}

/// `HashToIntegerRange(w, 2^128)` (RFC 6508 5.1) of whatever octets the peer took for g^r.
fn mask(w: &[u8]) -> Zeroizing<[u8; SSV_OCTETS]> {
    let a = Sha256::digest(w);
    let h = Sha256::digest([0; 32]);
    let v: [u8; 32] = Sha256::new()
        .chain_update(h)
        .chain_update(a)
        .finalize()
        .into();
    let mut mask = Zeroizing::new([0; SSV_OCTETS]);
    for (out, octet) in mask.iter_mut().zip(v.iter().skip(SSV_OCTETS)) {
        *out = *octet;
    }
    mask
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a peer with the defect sends: `sealed` with the mask of the shortened g^r. `None` when
    /// g^r has no leading zero octet, and the defect does not show.
    pub(crate) fn as_the_peer_seals(
        keys: &ReceiverSecretKey,
        sealed: &[u8; SED_OCTETS],
        ssv: &[u8; SSV_OCTETS],
    ) -> Option<[u8; SED_OCTETS]> {
        let w = keys.shared_value(sealed).unwrap();
        let zeros = w.iter().take_while(|octet| **octet == 0).count();
        let mask = mask(&w[zeros..]);
        let mut defective = *sealed;
        for (at, octet) in defective[SED_OCTETS - SSV_OCTETS..].iter_mut().enumerate() {
            *octet = ssv[at] ^ mask[at];
        }
        (zeros > 0).then_some(defective)
    }
}
