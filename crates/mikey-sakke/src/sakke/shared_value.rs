//! The value both ends of an encapsulation share, for comparing implementations step by step.

use super::ReceiverSecretKey;
use crate::curve::Affine;
use crate::pairing::pairing;
use crate::params::{FIELD_OCTETS, POINT_OCTETS, SED_OCTETS};
use crate::{CryptoError, sized};
use zeroize::{Zeroize, Zeroizing};

impl ReceiverSecretKey {
    /// The 128 octets of `w = <R, RSK>`, which equals g^r and is what masks the shared secret value
    /// (RFC 6508 6.2.2 step 3). As secret as the value itself; it tells where another
    /// implementation's mask went wrong. Nothing is verified.
    ///
    /// # Errors
    /// When the data has the wrong length or R is no point of the curve.
    pub fn shared_value(&self, data: &[u8]) -> Result<Zeroizing<[u8; FIELD_OCTETS]>, CryptoError> {
        let data: [u8; SED_OCTETS] = sized(data, "SAKKE data")?;
        let (point, _) = data.split_at(POINT_OCTETS);
        let point = Affine::from_octets(point, "R")?;
        let mut w = pairing(&point, &self.0).ok_or(CryptoError::Decapsulation)?;
        let octets = Zeroizing::new(w.to_octets());
        w.zeroize();
        Ok(octets)
    }
}
