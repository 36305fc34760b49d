//! ECCSI signatures (RFC 6507) on P-256 with SHA-256: the KMS's master key, users' signing keys,
//! signing and verification.

mod fe;
#[cfg(target_arch = "x86_64")]
mod fe8;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod point;
mod scalar;
mod signers;
mod tables;

use crate::{CryptoError, sized};
use fe::Fe;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::{Field, PrimeField};
use p256::{FieldBytes, Scalar};
use point::{Affine, GENERATOR, Jacobian};
use rand_core::CryptoRng;
use scalar::inverse_of;
use sha2::{Digest, Sha256};
use signers::Signers;
use std::fmt;
use std::hint::black_box;
use std::sync::{Arc, OnceLock};
use subtle::ConstantTimeEq;
use tables::{BASE, FixedBase, times_public};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Octets of a scalar or hash (RFC 6507 parameter N).
pub const SCALAR_OCTETS: usize = 32;
/// Octets of an encoded point: `04 || x || y`.
pub const POINT_OCTETS: usize = 65;
/// Octets of a signature: `r || s || PVT` (RFC 6507 3.3).
pub const SIGNATURE_OCTETS: usize = 2 * SCALAR_OCTETS + POINT_OCTETS;

/// A drawn scalar is unusable about once in 2^256: after so many in a row the source is broken.
const MAX_DRAWS: usize = 16;

/// The KMS's Secret Authentication Key (KSAK), with the public key at hand.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct AuthenticationSecret {
    ksak: Scalar,
    #[zeroize(skip)]
    kpak: AuthenticationKey,
}

/// The KMS's Public Authentication Key (KPAK): `PubAuthKey` of its certificate.
///
/// The first verification computes tables, which all clones share, as they do what is kept of signers
/// that come again: their signatures take a tenth of the time.
#[derive(Clone)]
pub struct AuthenticationKey {
    point: Affine,
    octets: [u8; POINT_OCTETS],
    table: Arc<OnceLock<FixedBase>>,
    signers: Arc<Signers>,
}

/// What verifies the signatures of one signer with one PVT: ten times as fast as for an unknown one,
/// for 88 kB and the time of ten verifications.
#[derive(Clone)]
struct Verifier {
    pvt: [u8; POINT_OCTETS],
    hs: [u8; SCALAR_OCTETS],
    /// Multiples of `Y = [HS]PVT + KPAK`.
    table: Arc<FixedBase>,
}

/// A user's signing key: SSK, PVT and the hash HS that binds them to the identifier.
///
/// The first signature computes what checks it and all later ones; clones share it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SigningKey {
    ssk: Scalar,
    #[zeroize(skip)]
    pvt: [u8; POINT_OCTETS],
    #[zeroize(skip)]
    hs: [u8; SCALAR_OCTETS],
    #[zeroize(skip)]
    kpak: AuthenticationKey,
    #[zeroize(skip)]
    verifier: Arc<OnceLock<Result<Verifier, CryptoError>>>,
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

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl PartialEq for AuthenticationKey {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl Eq for AuthenticationKey {}

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
        Self::new(random_scalar(rng)?)
    }

    /// Takes the KSAK as 32 octets.
    ///
    /// # Errors
    /// When it is zero or not below the order.
    pub fn from_octets(octets: &[u8]) -> Result<Self, CryptoError> {
        Self::new(nonzero_scalar(octets, "KSAK")?)
    }

    fn new(ksak: Scalar) -> Result<Self, CryptoError> {
        let point = base()?.times(&ksak).to_affine();
        let kpak = AuthenticationKey::new(point.ok_or(CryptoError::Fault)?);
        Ok(Self { ksak, kpak })
    }

    /// The 32 octets, to be stored encrypted.
    #[must_use]
    pub fn octets(&self) -> Zeroizing<[u8; SCALAR_OCTETS]> {
        Zeroizing::new(self.ksak.to_repr().into())
    }

    /// The public key `KPAK = [KSAK]G`.
    #[must_use]
    pub fn public_key(&self) -> AuthenticationKey {
        self.kpak.clone()
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
        // A wrong PVT or SSK could reveal the KSAK, so the machine's results are checked before
        // they leave: the PVT by a multiple of other digits, the SSK backwards.
        let [point, mut next] = base()?.times_both(v, &(*v + Scalar::ONE));
        let point = point.to_affine().ok_or(CryptoError::Fault)?;
        let pvt = point.to_octets();
        let hs = hash_hs(&self.kpak, id, &pvt);
        let hs_scalar = scalar_of(&hs);
        let ssk = self.ksak + hs_scalar * v;
        if bool::from(hs_scalar.is_zero() | ssk.is_zero()) {
            return Err(CryptoError::Unissuable);
        }
        let again = next.add_affine(&base()?.point().neg()).is(&point);
        let holds = again & (black_box(ssk) - self.ksak).ct_eq(&(hs_scalar * v));
        next.zeroize();
        if bool::from(holds) {
            Ok(SigningKey::new(ssk, pvt, hs, self.kpak.clone()))
        } else {
            Err(CryptoError::Fault)
        }
    }
}

impl AuthenticationKey {
    /// Reads and checks `PubAuthKey`: 65 octets, on the curve.
    ///
    /// # Errors
    /// When it is no such point.
    pub fn from_octets(octets: &[u8]) -> Result<Self, CryptoError> {
        Affine::from_octets(octets, "PubAuthKey").map(Self::new)
    }

    fn new(point: Affine) -> Self {
        Self {
            point,
            octets: point.to_octets(),
            table: Arc::default(),
            signers: Arc::default(),
        }
    }

    /// Computes the tables that verification uses, 88 kB, unless they are there. The first
    /// verification does so by itself.
    pub fn prepare(&self) {
        self.table();
    }

    fn table(&self) -> &FixedBase {
        self.table.get_or_init(|| FixedBase::new(&self.point))
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
        let signature = Signature::from_octets(signature)?;
        let hs = hash_hs(self, id, &signature.pvt);
        if let Some(verifier) = self.signers.verifier(&hs) {
            return verifier.verify(message, &signature);
        }
        let pvt = Affine::from_octets(&signature.pvt, "PVT")?;
        self.verify_fresh(&pvt, &hs, message, &signature)?;
        // Only who can sign is remembered.
        if self.signers.met(&hs) {
            let y = self.bound_point(&pvt, &hs)?;
            self.signers.put(Verifier::new(signature.pvt, hs, &y));
        }
        Ok(())
    }

    fn verify_fresh(
        &self,
        pvt: &Affine,
        hs: &[u8; SCALAR_OCTETS],
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        // J = [s]([HE]G + [r]Y) with Y = [HS]PVT + KPAK, by its three points.
        let (g, y) = signature.multipliers(hs, message);
        let j = times_public(pvt, &(y * scalar_of(hs)));
        let j = FixedBase::add_public(&j, [(base()?, &g), (self.table(), &y)]);
        signature.holds_for(&j)
    }

    /// `Y = [HS]PVT + KPAK`, which is `[SSK]G`.
    fn bound_point(&self, pvt: &Affine, hs: &[u8; SCALAR_OCTETS]) -> Result<Affine, CryptoError> {
        let y = times_public(pvt, &scalar_of(hs)).add_affine(&self.point);
        y.to_affine().ok_or(CryptoError::KeyMismatch("PVT"))
    }
}

impl Verifier {
    fn new(pvt: [u8; POINT_OCTETS], hs: [u8; SCALAR_OCTETS], y: &Affine) -> Self {
        Self {
            pvt,
            hs,
            table: Arc::new(FixedBase::new(y)),
        }
    }

    /// As [`AuthenticationKey::verify`], and [`CryptoError::Signature`] for a signature with another
    /// PVT.
    //= RFC 6507 5.2.2
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), CryptoError> {
        if signature.pvt != self.pvt {
            return Err(CryptoError::Signature);
        }
        let (g, y) = signature.multipliers(&self.hs, message);
        let terms = [(base()?, &g), (&*self.table, &y)];
        signature.holds_for(&FixedBase::add_public(&Jacobian::INFINITY, terms))
    }
}

/// A signature as read (RFC 6507 3.3).
struct Signature {
    r: [u8; SCALAR_OCTETS],
    s: Scalar,
    pvt: [u8; POINT_OCTETS],
}

impl Signature {
    fn from_octets(octets: &[u8]) -> Result<Self, CryptoError> {
        let octets: [u8; SIGNATURE_OCTETS] = sized(octets, "the signature")?;
        let (r, rest) = octets.split_at(SCALAR_OCTETS);
        let (s, pvt) = rest.split_at(SCALAR_OCTETS);
        let s = nonzero_scalar(s, "s")?;
        if r.iter().all(|octet| *octet == 0) {
            return Err(CryptoError::ScalarRange("r"));
        }
        let (r, pvt) = (sized(r, "r")?, sized(pvt, "PVT")?);
        Ok(Self { r, s, pvt })
    }

    /// `s HE` and `s r`: how often G and Y go into J.
    fn multipliers(&self, hs: &[u8; SCALAR_OCTETS], message: &[u8]) -> (Scalar, Scalar) {
        let he = scalar_of(&hash_he(hs, &self.r, message));
        (self.s * he, self.s * scalar_of(&self.r))
    }

    /// Whether r is the x coordinate of J.
    fn holds_for(&self, j: &Jacobian) -> Result<(), CryptoError> {
        let r = Fe::from_octets(&self.r).ok_or(CryptoError::Signature)?;
        if j.has_x(&r) {
            Ok(())
        } else {
            Err(CryptoError::Signature)
        }
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
        let point = Affine::from_octets(pvt, "UserPubTokenPVT")?;
        let pvt = point.to_octets();
        let hs = hash_hs(kpak, id, &pvt);
        let y = kpak.bound_point(&point, &hs)?;
        if !bool::from(base()?.times(&ssk).is(&y)) {
            return Err(CryptoError::KeyMismatch("UserSigningKeySSK"));
        }
        Ok(Self::new(ssk, pvt, hs, kpak.clone()))
    }

    fn new(
        ssk: Scalar,
        pvt: [u8; POINT_OCTETS],
        hs: [u8; SCALAR_OCTETS],
        kpak: AuthenticationKey,
    ) -> Self {
        Self {
            ssk,
            pvt,
            hs,
            kpak,
            verifier: Arc::default(),
        }
    }

    /// What verifies this key's signatures.
    fn verifier(&self) -> Result<&Verifier, CryptoError> {
        let verifier = || {
            let y = self
                .kpak
                .bound_point(&Affine::from_octets(&self.pvt, "PVT")?, &self.hs)?;
            Ok(Verifier::new(self.pvt, self.hs, &y))
        };
        let verifier = self.verifier.get_or_init(verifier).as_ref();
        verifier.map_err(|_| CryptoError::Fault)
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
        message: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<[u8; SIGNATURE_OCTETS], CryptoError> {
        for _ in 0..MAX_DRAWS {
            let mut j = random_scalar(rng)?;
            let signature = self.sign_with(message, &j);
            j.zeroize();
            if let Some(signature) = signature {
                // A faulty signature reveals the SSK.
                self.verifier()?
                    .verify(message, &Signature::from_octets(&signature)?)
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
        let mut point = base().ok()?.times(j);
        let r = point.to_affine()?.x.to_octets();
        point.zeroize();
        let he = scalar_of(&hash_he(&self.hs, &r, message));
        let mut sum = he + scalar_of(&r) * self.ssk;
        let inverse = inverse_of(&sum);
        sum.zeroize();
        let s = inverse * j;
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
    hash(&[&GENERATOR, &kpak.octets, id, pvt])
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

fn base() -> Result<&'static FixedBase, CryptoError> {
    BASE.as_ref().ok_or(CryptoError::Fault)
}

#[cfg(test)]
mod tests;
