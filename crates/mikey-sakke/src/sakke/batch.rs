//! Issue and encapsulation for many identifiers at once: eight in the time of two or three on
//! processors with AVX-512 IFMA. The results are those of one call each.

use super::{MasterSecret, PublicKey, ReceiverSecretKey, Ssv, base, ephemeral, identifier, sealed};
use crate::CryptoError;
use crate::comb::{base_power_eight, multiply, multiply_eight};
use crate::curve::{Affine, Jacobian};
use crate::fp::Fp;
use crate::params::SED_OCTETS;
use crate::scalar::Scalar;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// Operations at once.
const EIGHT: usize = 8;
/// Fewer are done one by one: eight at once take about as long as two.
const WORTHWHILE: usize = 3;

impl MasterSecret {
    /// Issues the Receiver Secret Keys of many identifiers and checks them: each inverse by its
    /// product, each eight keys by their sum.
    ///
    /// # Errors
    /// As [`MasterSecret::issue`], for the first identifier without a key; none is issued then.
    //= RFC 6508 6.1.1
    pub fn issue_batch(&self, ids: &[&[u8]]) -> Result<Vec<ReceiverSecretKey>, CryptoError> {
        let mut keys = Vec::with_capacity(ids.len());
        for ids in ids.chunks(EIGHT) {
            if ids.len() < WORTHWHILE {
                for id in ids {
                    keys.push(self.issue(id)?);
                }
            } else {
                let eight = self.issue_eight(&filled(ids)?)?;
                keys.extend(eight.into_iter().take(ids.len()));
            }
        }
        Ok(keys)
    }

    fn issue_eight(&self, ids: &[&[u8]; EIGHT]) -> Result<[ReceiverSecretKey; EIGHT], CryptoError> {
        let mut sums = Zeroizing::new([Scalar::ONE; EIGHT]);
        let z = Zeroizing::new(self.scalar());
        for (sum, id) in sums.iter_mut().zip(ids) {
            *sum = identifier(id)?.add(&z);
        }
        let inverses = Scalar::invert_all(&sums).map(Zeroizing::new);
        let inverses = inverses.ok_or(CryptoError::Unissuable)?;
        let inverts = |(sum, inverse): (&Scalar, &Scalar)| sum.mul(inverse).ct_eq(&Scalar::ONE);
        let pairs = sums.iter().zip(inverses.iter());
        let mut holds = pairs
            .map(inverts)
            .fold(Choice::from(1), |all, one| all & one);

        let base = base()?;
        let points = Zeroizing::new(multiply_eight(&inverses.each_ref().map(|i| [(base, i)])));
        let points = Jacobian::to_affine_all(points.as_slice()).map(Zeroizing::new);
        let points = points.ok_or(CryptoError::Fault)?;
        // The keys' sum is checked: a multiple of other digits.
        let mut total = Zeroizing::new(Scalar::ONE);
        let mut expected = Zeroizing::new(Affine::BASE.to_jacobian());
        for (point, inverse) in points.iter().zip(inverses.iter()) {
            *total = total.add(inverse);
            *expected = expected.add_affine(point);
        }
        holds &= multiply(&[(base, &*total)]).ct_eq(&expected);
        if !bool::from(holds) {
            return Err(CryptoError::Fault);
        }
        let keys: Vec<_> = points.iter().copied().map(ReceiverSecretKey::new).collect();
        keys.try_into().map_err(|_| CryptoError::Fault)
    }
}

impl PublicKey {
    /// Encapsulates shared secret values to identifiers, each to its own.
    ///
    /// # Errors
    /// As [`PublicKey::encapsulate`], for the first identifier that is refused.
    //= RFC 6508 6.2.1
    pub fn encapsulate_batch(
        &self,
        recipients: &[(&[u8], &Ssv)],
    ) -> Result<Vec<[u8; SED_OCTETS]>, CryptoError> {
        let mut data = Vec::with_capacity(recipients.len());
        for recipients in recipients.chunks(EIGHT) {
            if recipients.len() < WORTHWHILE {
                for (id, ssv) in recipients {
                    data.push(self.encapsulate(id, ssv)?);
                }
            } else {
                let eight = self.encapsulate_eight(&filled(recipients)?)?;
                data.extend(eight.into_iter().take(recipients.len()));
            }
        }
        Ok(data)
    }

    fn encapsulate_eight(
        &self,
        recipients: &[(&[u8], &Ssv); EIGHT],
    ) -> Result<Vec<[u8; SED_OCTETS]>, CryptoError> {
        let mut scalars = Zeroizing::new([[Scalar::ONE; 2]; EIGHT]);
        for (scalars, (id, ssv)) in scalars.iter_mut().zip(recipients) {
            let (b, r) = (identifier(id)?, ephemeral(ssv, id));
            *scalars = [r.mul(&b), r];
        }
        let (base, table) = (base()?, self.table()?);
        let sums = scalars.each_ref();
        let points = multiply_eight(&sums.map(|[rb, r]| [(base, rb), (table, r)]));
        let powers = base_power_eight(&sums.map(|[_, r]| r)).ok_or(CryptoError::Fault)?;
        let (points, powers) = (Zeroizing::new(points), Zeroizing::new(powers));
        // Both need inverses, the points those of z: infinity has none.
        let denominators: Vec<Fp> = points
            .iter()
            .map(|point| point.z)
            .chain(powers.iter().map(|power| power.a))
            .collect();
        let inverses = Fp::invert_all(&Zeroizing::new(denominators)).map(Zeroizing::new);
        let inverses = inverses.ok_or(CryptoError::Unissuable)?;
        let (zs, denominators) = inverses.split_at(EIGHT);
        let (points, powers) = (points.iter().zip(zs), powers.iter().zip(denominators));
        let data = points.zip(powers).zip(recipients);
        Ok(data
            .map(|(((point, z), (power, a)), (_, ssv))| {
                sealed(&point.scale(z), power.b.mul(a), ssv)
            })
            .collect())
    }
}

/// As many as are done at once: the last is repeated.
fn filled<T: Copy>(items: &[T]) -> Result<[T; EIGHT], CryptoError> {
    let last = items.last().ok_or(CryptoError::Fault)?;
    let mut items = items.iter();
    Ok([(); EIGHT].map(|()| *items.next().unwrap_or(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u8) -> Vec<[u8; 32]> {
        (0..count).map(|i| [i.wrapping_mul(29); 32]).collect()
    }

    #[test]
    fn batches_are_what_single_calls_give() {
        let z = MasterSecret::from_octets(&[0x5A; 100]).unwrap();
        let kms = z.public_key().unwrap();
        for count in [0, 1, 2, 3, 7, 8, 9, 11] {
            let ids = ids(count);
            let slices: Vec<&[u8]> = ids.iter().map(|id| &id[..]).collect();
            let keys = z.issue_batch(&slices).unwrap();
            assert_eq!(keys.len(), slices.len());
            let ssvs: Vec<_> = (0..count).map(|i| Ssv::new([i; 16])).collect();
            let recipients: Vec<_> = slices.iter().copied().zip(&ssvs).collect();
            let data = kms.encapsulate_batch(&recipients).unwrap();
            assert_eq!(data.len(), slices.len());
            for ((id, key), (data, ssv)) in slices.iter().zip(&keys).zip(data.iter().zip(&ssvs)) {
                assert!(*key == z.issue(id).unwrap());
                assert_eq!(*data, kms.encapsulate(id, ssv).unwrap());
                assert_eq!(key.decapsulate(&kms, id, data).unwrap(), *ssv);
            }
        }
    }

    #[test]
    fn one_bad_identifier_refuses_the_batch() {
        let z = MasterSecret::from_octets(&[2]).unwrap();
        let kms = z.public_key().unwrap();
        let mut collides: [u8; 128] = hex::decode(crate::params::Q_ORDER)
            .unwrap()
            .try_into()
            .unwrap();
        collides[127] -= 2;
        let large = [0xFF; 128];
        let ssv = Ssv::new([1; 16]);
        for (bad, reason) in [
            (collides, CryptoError::Unissuable),
            (large, CryptoError::ScalarRange("identifier")),
        ] {
            let ids: [&[u8]; 4] = [&[1; 32], &[2; 32], &bad, &[3; 32]];
            assert_eq!(z.issue_batch(&ids).map(|_| ()), Err(reason));
            let refused = kms.encapsulate_batch(&ids.map(|id| (id, &ssv)));
            assert_eq!(refused.map(|_| ()), Err(reason));
        }
    }
}
