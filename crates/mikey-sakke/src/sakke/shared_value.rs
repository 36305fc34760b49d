//! The value both ends of an encapsulation share, for comparing implementations step by step.

use super::ReceiverSecretKey;
use crate::curve::Affine;
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
        let w = self.pairing(&point)?;
        let mut w = w.ok_or(CryptoError::Decapsulation)?;
        let octets = Zeroizing::new(w.to_octets());
        w.zeroize();
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MasterSecret, ReceiverSecretKey};
    use crate::CryptoError;
    use serde_json::Value;

    #[test]
    fn it_is_the_g_to_the_r_of_rfc_6508_appendix_a() {
        let vectors = include_str!("../../../../tests/vectors/rfc6508.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let octets = |name: &str| hex::decode(vectors[name].as_str().unwrap()).unwrap();
        let key = ReceiverSecretKey::from_octets(&octets("RSK_encoded")).unwrap();
        let w = key.shared_value(&octets("SED_encoded")).unwrap();
        assert_eq!(w[..], octets("g_pow_r"));
        assert_eq!(w[..], octets("w"));
        let other = MasterSecret::from_octets(&[9; 16])
            .unwrap()
            .issue(&[1; 32])
            .unwrap();
        assert_ne!(
            other.shared_value(&octets("SED_encoded")).unwrap()[..],
            octets("w")
        );
        assert!(matches!(
            key.shared_value(&[4; 272]),
            Err(CryptoError::Length { .. })
        ));
    }
}
