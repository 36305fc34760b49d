//! Session keys from a master key (RFC 3711 clause 4.3 with the 12-octet salt of RFC 7714).

use std::fmt;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use ring::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// SRTP master key and master salt of one stream direction, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey {
    key: [u8; 16],
    salt: [u8; 12],
    #[zeroize(skip)]
    derives: bool,
}

impl MasterKey {
    /// Takes the master key and the 12-octet master salt derived by TS 33.180 clause 7.4.
    #[must_use]
    pub const fn new(key: [u8; 16], salt: [u8; 12]) -> Self {
        Self {
            key,
            salt,
            derives: true,
        }
    }

    /// Takes a session key and session salt that are used as they are, for the packets of RFC 7714
    /// 16 and 17, which begin with session keys.
    #[must_use]
    pub const fn of_session(key: [u8; 16], salt: [u8; 12]) -> Self {
        Self {
            key,
            salt,
            derives: false,
        }
    }

    /// Session keys for SRTP.
    pub(crate) fn srtp(&self) -> SessionKeys {
        self.session(0, 2)
    }

    /// Session keys for SRTCP.
    pub(crate) fn srtcp(&self) -> SessionKeys {
        self.session(3, 5)
    }

    fn session(&self, key_label: u8, salt_label: u8) -> SessionKeys {
        if !self.derives {
            return SessionKeys::new(self.key, self.salt);
        }
        let cipher = Aes128::new(&self.key.into());
        let mut key = self.derive(&cipher, key_label);
        let mut wide_salt = self.derive(&cipher, salt_label);
        let mut salt = [0; 12];
        for (to, from) in salt.iter_mut().zip(wide_salt) {
            *to = from;
        }
        let keys = SessionKeys::new(key, salt);
        key.zeroize();
        wide_salt.zeroize();
        keys
    }

    /// First block of the AES-CM key stream for `label`: one block is all a 128-bit key needs.
    //= RFC 3711 4.3.1
    //= RFC 7714 11
    fn derive(&self, cipher: &Aes128, label: u8) -> [u8; 16] {
        let mut block = [0; 16];
        for (to, from) in block.iter_mut().zip(self.salt) {
            *to = from;
        }
        if let Some(octet) = block.get_mut(7) {
            *octet ^= label;
        }
        let mut block = block.into();
        cipher.encrypt_block(&mut block);
        block.into()
    }
}

impl From<&mikey::MediaKeys> for MasterKey {
    fn from(keys: &mikey::MediaKeys) -> Self {
        Self::new(keys.master_key, keys.master_salt)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([28 bytes])")
    }
}

/// Session encryption key and salt of one direction.
pub(crate) struct SessionKeys {
    pub(crate) aead: LessSafeKey,
    salt: [u8; 12],
    #[cfg(test)]
    key: [u8; 16],
}

impl SessionKeys {
    #[expect(
        clippy::expect_used,
        reason = "AES_128_GCM takes exactly the 16 octets of the array"
    )]
    fn new(key: [u8; 16], salt: [u8; 12]) -> Self {
        let unbound = UnboundKey::new(&AES_128_GCM, &key).expect("16 octets are an AES-128 key");
        Self {
            aead: LessSafeKey::new(unbound),
            salt,
            #[cfg(test)]
            key,
        }
    }

    /// Builds session keys directly, for the packet vectors of RFC 7714 which start from them.
    #[cfg(test)]
    pub(crate) fn from_parts(key: [u8; 16], salt: [u8; 12]) -> Self {
        Self::new(key, salt)
    }

    #[cfg(test)]
    pub(crate) fn parts(&self) -> ([u8; 16], [u8; 12]) {
        (self.key, self.salt)
    }

    /// The nonce for an SSRC and a 48-bit packet index.
    //= RFC 7714 8.1
    //= RFC 7714 9.1
    pub(crate) fn nonce(&self, ssrc: u32, index: u64) -> ring::aead::Nonce {
        let [s0, s1, s2, s3] = ssrc.to_be_bytes();
        let [_, _, i0, i1, i2, i3, i4, i5] = index.to_be_bytes();
        let mut iv = [0, 0, s0, s1, s2, s3, i0, i1, i2, i3, i4, i5];
        for (octet, salt) in iv.iter_mut().zip(self.salt) {
            *octet ^= salt;
        }
        ring::aead::Nonce::assume_unique_for_key(iv)
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys([28 bytes])")
    }
}

impl Drop for SessionKeys {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}
