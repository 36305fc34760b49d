//! SAKKE (RFC 6508): the KMS's master key, users' Receiver Secret Keys, encapsulation of a shared
//! secret value to an identifier, and its decapsulation.

mod batch;
mod shared_value;

use crate::comb::{BASE, PointComb, base_power, multiply, multiply_all};
use crate::curve::{Affine, Jacobian};
use crate::fp::Fp;
use crate::pairing::pairing;
use crate::params::{FIELD_OCTETS, PAIRING_G, POINT_OCTETS, SED_OCTETS, SSV_OCTETS};
use crate::prepared::FixedPoint;
use crate::scalar::Scalar;
use crate::{CryptoError, sized};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// An RSK that is not of the order q.
const WRONG_ORDER: CryptoError = CryptoError::WrongSubgroup("UserDecryptKey");

/// The KMS's master secret z.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterSecret([u8; FIELD_OCTETS]);

/// The KMS's public key Z: `PubEncKey` of its certificate.
///
/// The first encapsulation or decapsulation computes tables, which all clones share.
#[derive(Clone)]
pub struct PublicKey {
    point: Affine,
    octets: [u8; POINT_OCTETS],
    table: Arc<OnceLock<Option<PointComb>>>,
}

/// A user's Receiver Secret Key: `UserDecryptKey`.
///
/// The second decapsulation computes tables, which all clones share and the last one erases: a key
/// that opens a single message does without.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ReceiverSecretKey {
    point: Affine,
    #[zeroize(skip)]
    prepared: Arc<Prepared>,
}

/// What repeated use of a Receiver Secret Key computes once.
#[derive(Default)]
struct Prepared {
    used: AtomicBool,
    functions: OnceLock<Option<FixedPoint>>,
}

/// A shared secret value: in MC, the 16 octets of a GMK, PCK, CSK or SPK.
pub type Ssv = zeroize::Zeroizing<[u8; SSV_OCTETS]>;

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret [128 bytes]")
    }
}

impl fmt::Debug for ReceiverSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceiverSecretKey [257 bytes]")
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.octets
            .iter()
            .take(9)
            .try_for_each(|octet| write!(f, "{octet:02x}"))?;
        f.write_str("...)")
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl Eq for PublicKey {}

impl MasterSecret {
    /// Draws z from 2 to q - 1 (RFC 6508 6.1.1).
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut octets = [0; FIELD_OCTETS];
        loop {
            // 1024 random bits modulo a 1022-bit order leave a bias of no more than a factor of
            // two on single values: far below what a search could use.
            rng.fill_bytes(&mut octets);
            let z = Scalar::reduce(&octets);
            octets.zeroize();
            if !bool::from(z.is_zero() | z.ct_eq(&Scalar::ONE)) {
                return Self(z.to_octets());
            }
        }
    }

    /// Takes z as octets of an integer from 2 to q - 1, with or without leading zeros.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn from_octets(octets: &[u8]) -> Result<Self, CryptoError> {
        let out_of_range = CryptoError::ScalarRange("z");
        let z = Scalar::from_octets(octets).ok_or(out_of_range)?;
        if bool::from(z.is_zero() | z.ct_eq(&Scalar::ONE)) {
            Err(out_of_range)
        } else {
            Ok(Self(z.to_octets()))
        }
    }

    /// The 128 octets, to be stored encrypted.
    #[must_use]
    pub const fn octets(&self) -> &[u8; FIELD_OCTETS] {
        &self.0
    }

    fn scalar(&self) -> Scalar {
        Scalar::reduce(&self.0)
    }

    /// The public key `Z = [z]P`.
    ///
    /// # Errors
    /// [`CryptoError::Fault`] when the machine computes nonsense.
    pub fn public_key(&self) -> Result<PublicKey, CryptoError> {
        let mut z = self.scalar();
        let point = multiple_of_base(&z)?.to_affine();
        z.zeroize();
        Ok(PublicKey::new(point.ok_or(CryptoError::Fault)?))
    }

    /// Issues the Receiver Secret Key `[1 / (a + z)]P` of an identifier and checks it.
    ///
    /// # Errors
    /// When the identifier is not below q as an integer, collides with z, or the result does not
    /// verify (a fault could leak z).
    //= RFC 6508 6.1.1
    pub fn issue(&self, id: &[u8]) -> Result<ReceiverSecretKey, CryptoError> {
        let a = identifier(id)?;
        let mut z = self.scalar();
        let mut sum = a.add(&z);
        let mut inverse = sum.invert().ok_or(CryptoError::Unissuable)?;
        let inverts = inverse.mul(&sum).ct_eq(&Scalar::ONE);
        z.zeroize();
        sum.zeroize();
        // The check walks other digits and other table entries: those of the next multiple.
        let mut next = inverse.add(&Scalar::ONE);
        let [point, again] = multiply_all([&[(base()?, &inverse)], &[(base()?, &next)]]);
        let point = point.to_affine();
        inverse.zeroize();
        next.zeroize();
        let key = ReceiverSecretKey::new(point.ok_or(CryptoError::Fault)?);
        let mut expected = key.point.to_jacobian().add_affine(&Affine::BASE);
        let holds = inverts & expected.ct_eq(&again);
        expected.zeroize();
        if bool::from(holds) {
            Ok(key)
        } else {
            Err(CryptoError::Fault)
        }
    }
}

impl PublicKey {
    /// Reads and checks `PubEncKey`: 257 octets, on the curve, in the subgroup.
    ///
    /// # Errors
    /// When any of that does not hold.
    pub fn from_octets(octets: &[u8]) -> Result<Self, CryptoError> {
        Affine::of_subgroup(octets, "PubEncKey").map(Self::new)
    }

    fn new(point: Affine) -> Self {
        Self {
            point,
            octets: point.to_octets(),
            table: Arc::default(),
        }
    }

    /// Computes the tables that encapsulation and decapsulation use, 131 kB, unless they are there.
    /// The first use does so by itself.
    ///
    /// # Errors
    /// [`CryptoError::Fault`] when the machine computes nonsense.
    pub fn prepare(&self) -> Result<(), CryptoError> {
        self.table().map(|_| ())
    }

    fn table(&self) -> Result<&PointComb, CryptoError> {
        let table = self.table.get_or_init(|| PointComb::new(&self.point));
        table.as_ref().ok_or(CryptoError::Fault)
    }

    /// The 257 octets of the certificate.
    #[must_use]
    pub const fn octets(&self) -> &[u8; POINT_OCTETS] {
        &self.octets
    }

    /// `[b]P + Z`, which only the holder of the identifier's RSK can pair away.
    fn of_identifier(&self, b: &Scalar) -> Result<Affine, CryptoError> {
        let sum = multiple_of_base(b)?.add_affine(&self.point);
        sum.to_affine().ok_or(CryptoError::Unissuable)
    }

    /// `[r]([b]P + Z)`, as `[rb]P + [r]Z`: the tables serve every identifier.
    fn encapsulating(&self, b: &Scalar, r: &Scalar) -> Result<Jacobian, CryptoError> {
        let mut rb = r.mul(b);
        let sum = multiply(&[(base()?, &rb), (self.table()?, r)]);
        rb.zeroize();
        Ok(sum)
    }

    /// Encapsulates a shared secret value to an identifier: 273 octets of SAKKE payload data.
    ///
    /// # Errors
    /// When the identifier is not below q as an integer or collides with the master secret.
    //= RFC 6508 6.2.1
    pub fn encapsulate(&self, id: &[u8], ssv: &Ssv) -> Result<[u8; SED_OCTETS], CryptoError> {
        let b = identifier(id)?;
        let mut r = ephemeral(ssv, id);
        let point = self.encapsulating(&b, &r)?;
        let mut power = base_power(&r).ok_or(CryptoError::Fault)?;
        r.zeroize();
        // Both need an inverse, the point that of z: infinity has none.
        let inverses = Fp::invert_all(&[point.z, power.a]).map(zeroize::Zeroizing::new);
        let inverses = inverses.ok_or(CryptoError::Unissuable)?;
        let [z, a] = inverses.as_slice() else {
            return Err(CryptoError::Fault);
        };
        let data = sealed(&point.scale(z), power.b.mul(a), ssv);
        power.zeroize();
        Ok(data)
    }
}

impl ReceiverSecretKey {
    /// Reads `UserDecryptKey`: 257 octets, on the curve. Validate it before use.
    ///
    /// # Errors
    /// When the octets are no point of the curve.
    pub fn from_octets(octets: &[u8]) -> Result<Self, CryptoError> {
        Affine::from_octets(octets, "UserDecryptKey").map(Self::new)
    }

    fn new(point: Affine) -> Self {
        Self {
            point,
            prepared: Arc::default(),
        }
    }

    /// Computes the tables that make decapsulation fast, 390 kB, unless they are there. The second
    /// decapsulation does so by itself.
    ///
    /// # Errors
    /// [`CryptoError::WrongSubgroup`] when the key is not of the order q.
    pub fn prepare(&self) -> Result<(), CryptoError> {
        self.functions().map(|_| ())
    }

    fn functions(&self) -> Result<&FixedPoint, CryptoError> {
        let functions = self
            .prepared
            .functions
            .get_or_init(|| FixedPoint::new(&self.point));
        functions.as_ref().ok_or(WRONG_ORDER)
    }

    /// The pairing of the key with an encapsulation's point.
    fn pairing(&self, point: &Affine) -> Result<Option<Fp>, CryptoError> {
        let used = self.prepared.used.swap(true, Ordering::Relaxed);
        match self.prepared.functions.get() {
            // The pairing is symmetric, and the order that is looked at is the first point's.
            None if !used => pairing(&self.point, point).ok_or(WRONG_ORDER),
            _ => Ok(self.functions()?.pairing(point)),
        }
    }

    /// The 257 octets, for the key's owner only.
    #[must_use]
    pub fn octets(&self) -> zeroize::Zeroizing<[u8; POINT_OCTETS]> {
        zeroize::Zeroizing::new(self.point.to_octets())
    }

    /// Checks that the key is of the order q and belongs to the identifier and the KMS:
    /// `<[a]P + Z, RSK> = g`.
    ///
    /// # Errors
    /// When it is not, or does not.
    //= RFC 6508 6.1.2
    pub fn validate(&self, kms: &PublicKey, id: &[u8]) -> Result<(), CryptoError> {
        let target = kms.of_identifier(&identifier(id)?)?;
        let pairing = pairing(&self.point, &target).flatten();
        let holds = pairing.is_some_and(|w| bool::from(w.ct_eq(&Fp::from_hex(PAIRING_G))));
        if holds {
            Ok(())
        } else {
            Err(CryptoError::KeyMismatch("UserDecryptKey"))
        }
    }

    /// Opens SAKKE payload data that was encapsulated to this key's identifier.
    ///
    /// # Errors
    /// [`CryptoError::Decapsulation`] for any data that was not made for this identifier and KMS,
    /// the reading errors of a point that is none, and [`CryptoError::WrongSubgroup`] when the key is
    /// not of the order q.
    //= RFC 6508 6.2.2
    pub fn decapsulate(&self, kms: &PublicKey, id: &[u8], data: &[u8]) -> Result<Ssv, CryptoError> {
        let data: [u8; SED_OCTETS] = sized(data, "SAKKE data")?;
        let (point, hidden) = data.split_at(POINT_OCTETS);
        let point = Affine::from_octets(point, "R")?;
        let w = self.pairing(&point)?;
        let mut w = w.ok_or(CryptoError::Decapsulation)?;
        let mask = mask(&w);
        w.zeroize();
        let mut ssv = Ssv::new([0; SSV_OCTETS]);
        for ((out, hidden), mask) in ssv.iter_mut().zip(hidden).zip(mask.iter()) {
            *out = hidden ^ mask;
        }
        let mut r = ephemeral(&ssv, id);
        let again = kms.encapsulating(&identifier(id)?, &r)?;
        r.zeroize();
        let holds = again.ct_eq(&point.to_jacobian());
        if bool::from(holds) {
            Ok(ssv)
        } else {
            Err(CryptoError::Decapsulation)
        }
    }
}

fn base() -> Result<&'static PointComb, CryptoError> {
    BASE.as_ref().ok_or(CryptoError::Fault)
}

fn multiple_of_base(scalar: &Scalar) -> Result<Jacobian, CryptoError> {
    Ok(multiply(&[(base()?, scalar)]))
}

/// The identifier as an integer; MC's 32 octets are always below q.
fn identifier(id: &[u8]) -> Result<Scalar, CryptoError> {
    Scalar::from_octets(id).ok_or(CryptoError::ScalarRange("identifier"))
}

/// `r = HashToIntegerRange(SSV || ID, q)`.
fn ephemeral(ssv: &Ssv, id: &[u8]) -> Scalar {
    let mut wide = hash_to_integer_range::<FIELD_OCTETS>(&[ssv.as_slice(), id]);
    let r = Scalar::reduce(&wide);
    wide.zeroize();
    r
}

/// The encapsulated data: R and the shared secret value under the mask of g^r.
fn sealed(point: &Affine, mut w: Fp, ssv: &Ssv) -> [u8; SED_OCTETS] {
    let mask = mask(&w);
    w.zeroize();
    let mut data = [0; SED_OCTETS];
    let (head, tail) = data.split_at_mut(POINT_OCTETS);
    head.copy_from_slice(&point.to_octets());
    for ((out, ssv), mask) in tail.iter_mut().zip(ssv.iter()).zip(mask.iter()) {
        *out = ssv ^ mask;
    }
    data
}

/// `HashToIntegerRange(w, 2^128)`: what hides the shared secret value.
fn mask(w: &Fp) -> Ssv {
    let mut octets = w.to_octets();
    let [.., a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] =
        hash_to_integer_range::<32>(&[&octets]);
    octets.zeroize();
    Ssv::new([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
}

/// The concatenated hashes of HashToIntegerRange (RFC 6508 5.1), before the reduction. `N` is the
/// number of octets, a multiple of 32.
fn hash_to_integer_range<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut a = Sha256::new();
    parts.iter().for_each(|part| a.update(part));
    let a = a.finalize();
    let mut h = [0; 32];
    let mut out = [0; N];
    for chunk in out.chunks_exact_mut(32) {
        h = Sha256::digest(h).into();
        let v = Sha256::new().chain_update(h).chain_update(a).finalize();
        chunk.copy_from_slice(&v);
    }
    out
}

impl PartialEq for ReceiverSecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.octets().ct_eq(other.octets().as_slice()).into()
    }
}

impl Eq for ReceiverSecretKey {}

#[cfg(test)]
mod tests;
