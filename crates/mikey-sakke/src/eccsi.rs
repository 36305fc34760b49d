//! ECCSI signatures (RFC 6507) on P-256 with SHA-256: the KMS's master key, users' signing keys,
//! signing and verification.

use crate::{CryptoError, sized};
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::sec1::{FromSec1Point, ToSec1Point};
use p256::elliptic_curve::{Field, Group, PrimeField};
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar, Sec1Point};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Octets of a scalar or hash (RFC 6507 parameter N).
pub const SCALAR_OCTETS: usize = 32;
/// Octets of an encoded point: `04 || x || y`.
pub const POINT_OCTETS: usize = 65;
/// Octets of a signature: `r || s || PVT` (RFC 6507 3.3).
pub const SIGNATURE_OCTETS: usize = 2 * SCALAR_OCTETS + POINT_OCTETS;

/// A drawn scalar is unusable about once in 2^256: after so many in a row the source is broken.
const MAX_DRAWS: usize = 16;

/// The KMS's Secret Authentication Key (KSAK).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct AuthenticationSecret(Scalar);

/// The KMS's Public Authentication Key (KPAK): `PubAuthKey` of its certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthenticationKey {
    point: ProjectivePoint,
    octets: [u8; POINT_OCTETS],
}

/// A user's signing key: SSK, PVT and the hash HS that binds them to the identifier.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SigningKey {
    ssk: Scalar,
    #[zeroize(skip)]
    pvt: [u8; POINT_OCTETS],
    #[zeroize(skip)]
    hs: [u8; SCALAR_OCTETS],
}

impl fmt::Debug for AuthenticationSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticationSecret [32 bytes]")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey [32 bytes]")
    }
}

impl fmt::Debug for AuthenticationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticationKey(")?;
        self.octets
            .iter()
            .take(9)
            .try_for_each(|octet| write!(f, "{octet:02x}"))?;
        f.write_str("...)")
    }
}

impl AuthenticationSecret {
    /// Draws a KSAK from 1 to q - 1.
    ///
    /// # Errors
    /// [`CryptoError::Fault`] when the random source gives nothing usable.
    pub fn random(rng: &mut impl CryptoRng) -> Result<Self, CryptoError> {
        random_scalar(rng).map(Self)
    }

    /// Takes the KSAK as 32 octets.
    ///
    /// # Errors
    /// When it is zero or not below the order.
    pub fn from_octets(octets: &[u8]) -> Result<Self, CryptoError> {
        nonzero_scalar(octets, "KSAK").map(Self)
    }

    /// The 32 octets, to be stored encrypted.
    #[must_use]
    pub fn octets(&self) -> Zeroizing<[u8; SCALAR_OCTETS]> {
        Zeroizing::new(self.0.to_repr().into())
    }

    /// The public key `KPAK = [KSAK]G`.
    #[must_use]
    pub fn public_key(&self) -> AuthenticationKey {
        let point = ProjectivePoint::mul_by_generator(&self.0);
        AuthenticationKey {
            point,
            octets: encode(&point),
        }
    }

    /// Issues a signing key to an identifier. Each issue draws a new PVT; earlier keys stay valid.
    ///
    /// # Errors
    /// [`CryptoError::Fault`] when the random source is broken or the result does not verify.
    pub fn issue(&self, id: &[u8], rng: &mut impl CryptoRng) -> Result<SigningKey, CryptoError> {
        for _ in 0..MAX_DRAWS {
            let mut v = random_scalar(rng)?;
            let issued = self.issue_with(id, &v);
            v.zeroize();
            match issued {
                Err(CryptoError::Unissuable) => {}
                result => return result,
            }
        }
        Err(CryptoError::Fault)
    }

    /// As [`Self::issue`] with a chosen v, for reproducing published values only: a v that is used
    /// twice or known reveals the KSAK.
    ///
    /// # Errors
    /// When v is out of range or gives no key.
    pub fn issue_reproducibly(&self, id: &[u8], v: &[u8]) -> Result<SigningKey, CryptoError> {
        self.issue_with(id, &nonzero_scalar(v, "v")?)
    }

    //= RFC 6507 5.1.1
    fn issue_with(&self, id: &[u8], v: &Scalar) -> Result<SigningKey, CryptoError> {
        let kpak = self.public_key();
        let pvt = encode(&ProjectivePoint::mul_by_generator(v));
        let hs = hash_hs(&kpak, id, &pvt);
        let hs_scalar = <Scalar as Reduce<FieldBytes>>::reduce(&hs.into());
        let ssk = self.0 + hs_scalar * v;
        if bool::from(hs_scalar.is_zero() | ssk.is_zero()) {
            return Err(CryptoError::Unissuable);
        }
        let octets = Zeroizing::new(<[u8; SCALAR_OCTETS]>::from(ssk.to_repr()));
        // A wrong SSK would reveal the KSAK, so the machine's result is checked before it leaves.
        SigningKey::validated(&kpak, id, &octets[..], &pvt).map_err(|_| CryptoError::Fault)
    }
}

impl AuthenticationKey {
    /// Reads and checks `PubAuthKey`: 65 octets, on the curve.
    ///
    /// # Errors
    /// When it is no such point.
    pub fn from_octets(octets: &[u8]) -> Result<Self, CryptoError> {
        let (point, octets) = decode(octets, "PubAuthKey")?;
        Ok(Self { point, octets })
    }

    /// The 65 octets of the certificate.
    #[must_use]
    pub const fn octets(&self) -> &[u8; POINT_OCTETS] {
        &self.octets
    }

    /// Verifies a signature by the holder of an identifier. Public data only; not constant time.
    ///
    /// # Errors
    /// [`CryptoError::Signature`] when it does not hold; reading errors for malformed signatures.
    //= RFC 6507 5.2.2
    pub fn verify(&self, id: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let signature: [u8; SIGNATURE_OCTETS] = sized(signature, "the signature")?;
        let (r, rest) = signature.split_at(SCALAR_OCTETS);
        let (s, pvt) = rest.split_at(SCALAR_OCTETS);
        let s = nonzero_scalar(s, "s")?;
        if r.iter().all(|octet| *octet == 0) {
            return Err(CryptoError::ScalarRange("r"));
        }
        let (pvt, pvt_octets) = decode(pvt, "PVT")?;
        let hs = hash_hs(self, id, &pvt_octets);
        let he = scalar_of(&hash_he(&hs, r, message));
        let y = pvt * scalar_of(&hs) + self.point;
        let r_octets: [u8; SCALAR_OCTETS] = sized(r, "r")?;
        let j = ProjectivePoint::mul_by_generator(&(s * he)) + y * (s * scalar_of(&r_octets));
        if bool::from(j.to_affine().is_identity()) || j.to_affine().x()[..] != *r {
            return Err(CryptoError::Signature);
        }
        Ok(())
    }
}

impl SigningKey {
    /// Takes a key set's SSK and PVT and checks that they belong to the identifier and the KMS.
    ///
    /// # Errors
    /// When they do not, or are malformed.
    //= RFC 6507 5.1.2
    pub fn validated(
        kpak: &AuthenticationKey,
        id: &[u8],
        ssk: &[u8],
        pvt: &[u8],
    ) -> Result<Self, CryptoError> {
        let ssk = nonzero_scalar(ssk, "UserSigningKeySSK")?;
        let (pvt, octets) = decode(pvt, "UserPubTokenPVT")?;
        let hs = hash_hs(kpak, id, &octets);
        let expected = ProjectivePoint::mul_by_generator(&ssk) - pvt * scalar_of(&hs);
        if expected != kpak.point {
            return Err(CryptoError::KeyMismatch("UserSigningKeySSK"));
        }
        Ok(Self {
            ssk,
            pvt: octets,
            hs,
        })
    }

    /// The SSK's 32 octets, for the key's owner only.
    #[must_use]
    pub fn ssk(&self) -> Zeroizing<[u8; SCALAR_OCTETS]> {
        Zeroizing::new(self.ssk.to_repr().into())
    }

    /// The Public Validation Token's 65 octets.
    #[must_use]
    pub const fn pvt(&self) -> &[u8; POINT_OCTETS] {
        &self.pvt
    }

    /// Signs a message.
    ///
    /// # Errors
    /// [`CryptoError::Fault`] when the random source is broken or the signature does not verify.
    pub fn sign(
        &self,
        kpak: &AuthenticationKey,
        id: &[u8],
        message: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<[u8; SIGNATURE_OCTETS], CryptoError> {
        for _ in 0..MAX_DRAWS {
            let mut j = random_scalar(rng)?;
            let signature = self.sign_with(message, &j);
            j.zeroize();
            if let Some(signature) = signature {
                // A faulty signature reveals the SSK.
                kpak.verify(id, message, &signature)
                    .map_err(|_| CryptoError::Fault)?;
                return Ok(signature);
            }
        }
        Err(CryptoError::Fault)
    }

    /// As [`Self::sign`] with a chosen nonce, for reproducing published values only: a nonce that
    /// is used twice or known reveals the SSK.
    ///
    /// # Errors
    /// When the nonce is out of range or gives no signature.
    pub fn sign_reproducibly(
        &self,
        message: &[u8],
        j: &[u8],
    ) -> Result<[u8; SIGNATURE_OCTETS], CryptoError> {
        self.sign_with(message, &nonzero_scalar(j, "j")?)
            .ok_or(CryptoError::ScalarRange("j"))
    }

    //= RFC 6507 5.2.1
    fn sign_with(&self, message: &[u8], j: &Scalar) -> Option<[u8; SIGNATURE_OCTETS]> {
        let r: FieldBytes = ProjectivePoint::mul_by_generator(j).to_affine().x();
        let r: [u8; SCALAR_OCTETS] = r.into();
        let he = scalar_of(&hash_he(&self.hs, &r, message));
        let mut sum = he + scalar_of(&r) * self.ssk;
        let inverse = sum.invert();
        sum.zeroize();
        let s = inverse.into_option()? * j;
        if bool::from(s.is_zero()) || r == [0; SCALAR_OCTETS] {
            return None;
        }
        let mut signature = [0; SIGNATURE_OCTETS];
        let (head, rest) = signature.split_at_mut(SCALAR_OCTETS);
        let (middle, tail) = rest.split_at_mut(SCALAR_OCTETS);
        head.copy_from_slice(&r);
        middle.copy_from_slice(&s.to_repr());
        tail.copy_from_slice(&self.pvt);
        Some(signature)
    }
}

/// `HS = hash(G || KPAK || ID || PVT)`: the generator comes first, each point with its 04.
fn hash_hs(kpak: &AuthenticationKey, id: &[u8], pvt: &[u8; POINT_OCTETS]) -> [u8; SCALAR_OCTETS] {
    let parts = [
        &encode(&ProjectivePoint::GENERATOR)[..],
        &kpak.octets,
        id,
        pvt,
    ];
    hash(&parts)
}

/// `HE = hash(HS || r || M)`.
fn hash_he(hs: &[u8; SCALAR_OCTETS], r: &[u8], message: &[u8]) -> [u8; SCALAR_OCTETS] {
    hash(&[hs, r, message])
}

fn hash(parts: &[&[u8]]) -> [u8; SCALAR_OCTETS] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn scalar_of(octets: &[u8; SCALAR_OCTETS]) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(&(*octets).into())
}

fn nonzero_scalar(octets: &[u8], what: &'static str) -> Result<Scalar, CryptoError> {
    let octets: [u8; SCALAR_OCTETS] = sized(octets, what)?;
    let scalar = Option::<Scalar>::from(Scalar::from_repr(octets.into()));
    scalar
        .filter(|s| !bool::from(s.is_zero()))
        .ok_or(CryptoError::ScalarRange(what))
}

fn random_scalar(rng: &mut impl CryptoRng) -> Result<Scalar, CryptoError> {
    for _ in 0..MAX_DRAWS {
        let mut octets = Zeroizing::new([0; SCALAR_OCTETS]);
        rng.fill_bytes(octets.as_mut_slice());
        if let Ok(scalar) = nonzero_scalar(octets.as_slice(), "a random scalar") {
            return Ok(scalar);
        }
    }
    Err(CryptoError::Fault)
}

fn decode(
    octets: &[u8],
    what: &'static str,
) -> Result<(ProjectivePoint, [u8; POINT_OCTETS]), CryptoError> {
    let octets: [u8; POINT_OCTETS] = sized(octets, what)?;
    let [4, ..] = octets else {
        return Err(CryptoError::Encoding(what));
    };
    let encoded = Sec1Point::from_bytes(octets).map_err(|_| CryptoError::Encoding(what))?;
    let point = Option::<AffinePoint>::from(AffinePoint::from_sec1_point(&encoded));
    Ok((point.ok_or(CryptoError::OffCurve(what))?.into(), octets))
}

/// `04 || x || y`. The callers' points are never infinity, which would have one octet only.
fn encode(point: &ProjectivePoint) -> [u8; POINT_OCTETS] {
    let encoded = point.to_affine().to_sec1_point(false);
    encoded.as_bytes().try_into().unwrap_or([0; POINT_OCTETS])
}

#[cfg(test)]
mod tests;
