//! The key parameters of TS 33.180 E.6: what the sender says of a key, protected under that key.

use crate::wire::Reader;
use aes_gcm::aead::consts::U16;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::aes::Aes128;
use aes_gcm::{AesGcm, Nonce};
use mc_ids::annex_f::dpck;
use mc_ids::{KeyId, KeyPurpose};
use zeroize::Zeroize;

/// AES-128-GCM with the 16-octet IV of the MCData payload (TS 33.180 8.5.4).
type PayloadCipher = AesGcm<Aes128, U16>;

/// "DATA PAYLOAD" of TS 24.282 15.2.2 with the protected flag.
const MESSAGE_TYPE: u8 = 0x43;
const AEAD_AES_128_GCM: u8 = 1;
/// Date and time as deployed; E.6.2 fixes no value, and the receiver ignores it.
const DATE_AND_TIME: [u8; 5] = [0, 0, 0, 0, 1];
/// Octets of the protected payload message before its payload: the additional data of the cipher.
const HEAD: usize = 32;
/// Element identifier in front of the payload and of a group identity, as deployed.
const IEI: u8 = 0x00;

/// The status of a key (E.6.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyStatus(pub u32);

impl KeyStatus {
    /// The key is in use.
    pub const NOT_REVOKED: Self = Self(1);
    const SHARED_WITH_GATEWAY: u32 = 2;

    /// Whether the key must not be used any more.
    #[must_use]
    pub const fn is_revoked(self) -> bool {
        self.0 & 1 == 0
    }

    /// Whether a security gateway holds the key: end-to-end protection ends there (Annex L).
    #[must_use]
    pub const fn is_shared_with_gateway(self) -> bool {
        self.0 & Self::SHARED_WITH_GATEWAY != 0
    }

    /// The same status, telling that a security gateway holds the key.
    #[must_use]
    pub const fn shared_with_gateway(self) -> Self {
        Self(self.0 | Self::SHARED_WITH_GATEWAY)
    }
}

/// The key parameters payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyParameters {
    /// Which kind of key it is (E.6.11).
    pub key_type: u8,
    /// Revocation and sharing (E.6.9).
    pub status: KeyStatus,
    /// First second of use since the Unix epoch; 0: at once (E.6.4).
    pub activation: u64,
    /// Last second of use since the Unix epoch; 0: none (E.6.10).
    pub expiry: u64,
    /// A name for people (E.6.5).
    pub text: String,
    /// The groups a GMK is for (E.6.3); `None` for keys that have none.
    pub groups: Option<Vec<String>>,
}

impl KeyParameters {
    /// Parameters of a key in use at once and without end.
    #[must_use]
    pub fn in_use(purpose: KeyPurpose, groups: Option<Vec<String>>) -> Self {
        Self {
            key_type: purpose as u8,
            status: KeyStatus::NOT_REVOKED,
            activation: 0,
            expiry: 0,
            text: String::new(),
            groups,
        }
    }

    /// The plain octets (table E.6.1-1); `None` when a text or a list is too long for its length.
    //= TS 33.180 E.6.1
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let seconds = |time: u64| {
            let [_, _, _, tail @ ..] = time.to_be_bytes();
            tail
        };
        let mut out = vec![self.key_type];
        out.extend(self.status.0.to_be_bytes());
        out.extend(seconds(self.activation));
        out.extend(seconds(self.expiry));
        put_field(&mut out, self.text.as_bytes())?;
        if let Some(groups) = &self.groups {
            let mut list = vec![u8::try_from(groups.len()).ok()?];
            for group in groups {
                list.push(IEI);
                put_field(&mut list, group.as_bytes())?;
            }
            put_field(&mut out, &list)?;
        }
        Some(out)
    }

    /// Reads the plain octets, with or without an element header of their own.
    fn decode(plain: &[u8]) -> Option<Self> {
        let bare = Self::decode_bare(plain);
        bare.or_else(|| {
            let mut reader = Reader::new(plain);
            let _iei = reader.u8()?;
            let inner = reader.field16()?;
            reader
                .is_empty()
                .then(|| Self::decode_bare(inner))
                .flatten()
        })
    }

    fn decode_bare(plain: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(plain);
        let key_type = reader.u8().filter(|t| *t <= KeyPurpose::Musik as u8)?;
        let status = KeyStatus(reader.u32()?);
        let (activation, expiry) = (reader.u40()?, reader.u40()?);
        let text = String::from_utf8(reader.field16()?.to_vec()).ok()?;
        let groups = if reader.is_empty() {
            None
        } else {
            Some(groups(reader.field16()?)?)
        };
        // What follows is reserved (table E.6.1-1).
        Some(Self {
            key_type,
            status,
            activation,
            expiry,
            text,
            groups,
        })
    }

    /// The protected form that a type 7 extension carries, under the key itself (E.6.2).
    pub(crate) fn protect(&self, key: &[u8; 16], csb_id: KeyId, iv: [u8; 16]) -> Option<Vec<u8>> {
        let mut out = vec![MESSAGE_TYPE];
        out.extend(DATE_AND_TIME);
        // Payload ID (4) and payload sequence number (1) are zero.
        out.extend([0; 5]);
        out.push(AEAD_AES_128_GCM);
        out.extend(iv);
        out.extend(csb_id.octets());
        let plain = self.encode()?;
        let payload = Payload {
            msg: &plain,
            aad: &out,
        };
        let sealed = cipher(key, csb_id)
            .encrypt(&Nonce::<U16>::from(iv), payload)
            .ok()?;
        out.push(IEI);
        put_field(&mut out, &sealed)?;
        Some(out)
    }

    /// Opens the protected form.
    pub(crate) fn unprotect(data: &[u8], key: &[u8; 16], csb_id: KeyId) -> Option<Self> {
        let mut reader = Reader::new(data);
        let head = reader.take(HEAD)?;
        let mut fields = Reader::new(head);
        let (message_type, _zeros) = (fields.u8()?, fields.take(10)?);
        let (algorithm, iv, dppk_id) = (fields.u8()?, fields.array::<16>()?, fields.u32()?);
        let _iei = reader.u8()?;
        let sealed = reader.field16()?;
        let known = message_type == MESSAGE_TYPE && algorithm == AEAD_AES_128_GCM;
        if !known || KeyId(dppk_id) != csb_id || !reader.is_empty() {
            return None;
        }
        let payload = Payload {
            msg: sealed,
            aad: head,
        };
        let mut plain = cipher(key, csb_id)
            .decrypt(&Nonce::<U16>::from(iv), payload)
            .ok()?;
        let parameters = Self::decode(&plain);
        plain.zeroize();
        parameters
    }

    /// The unprotected form of older peers: 17 octets, the key type counted from one.
    pub(crate) fn decode_legacy(data: &[u8]) -> Option<Self> {
        let (first, rest) = data.split_first()?;
        let key_type = first.checked_sub(1)?;
        Self::decode_bare(&[&[key_type], rest].concat()).filter(|p| p.text.is_empty())
    }
}

fn cipher(key: &[u8; 16], csb_id: KeyId) -> PayloadCipher {
    let mut dpck = dpck(key, csb_id);
    let cipher = PayloadCipher::new(&dpck.into());
    dpck.zeroize();
    cipher
}

fn groups(list: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader::new(list);
    let count = reader.u8()?;
    let mut groups = Vec::new();
    for _ in 0..count {
        let _iei = reader.u8()?;
        groups.push(String::from_utf8(reader.field16()?.to_vec()).ok()?);
    }
    reader.is_empty().then_some(groups)
}

fn put_field(out: &mut Vec<u8>, field: &[u8]) -> Option<()> {
    out.extend(u16::try_from(field.len()).ok()?.to_be_bytes());
    out.extend(field);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> KeyParameters {
        let groups = vec!["sip:fireground-1@mc.example".to_owned()];
        KeyParameters {
            activation: 1_800_000_000,
            text: "Fireground 1".to_owned(),
            status: KeyStatus::NOT_REVOKED.shared_with_gateway(),
            ..KeyParameters::in_use(KeyPurpose::Gmk, Some(groups))
        }
    }

    #[test]
    fn deployed_plain_octets() {
        let gmk = KeyParameters::in_use(KeyPurpose::Gmk, Some(Vec::new()));
        let octets = hex::decode("0000000001000000000000000000000000000100").unwrap();
        assert_eq!(gmk.encode().unwrap(), octets);
        let csk = KeyParameters::in_use(KeyPurpose::Csk, None);
        let octets = hex::decode("0200000001000000000000000000000000").unwrap();
        assert_eq!(csk.encode().unwrap(), octets);
        assert_eq!(KeyParameters::decode(&octets), Some(csk));
    }

    #[test]
    fn only_the_key_itself_opens_them() {
        let (key, id) = ([7; 16], KeyId(0x082c_7b7a));
        let sealed = parameters().protect(&key, id, [9; 16]).unwrap();
        assert_eq!(
            KeyParameters::unprotect(&sealed, &key, id),
            Some(parameters())
        );
        assert_eq!(KeyParameters::unprotect(&sealed, &[8; 16], id), None);
        assert_eq!(KeyParameters::unprotect(&sealed, &key, KeyId(1)), None);
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            // The element identifier in front of the ciphertext is not authenticated.
            assert_eq!(
                KeyParameters::unprotect(&bad, &key, id).is_some(),
                at == HEAD,
                "octet {at}"
            );
            assert_eq!(KeyParameters::unprotect(&sealed[..at], &key, id), None);
        }
    }

    #[test]
    fn an_inner_element_header_and_the_legacy_form_are_read() {
        let bare = parameters().encode().unwrap();
        let mut wrapped = vec![0x50];
        put_field(&mut wrapped, &bare).unwrap();
        assert_eq!(KeyParameters::decode(&wrapped), Some(parameters()));
        let legacy = hex::decode("0300000001000000000000000000000000").unwrap();
        assert_eq!(KeyParameters::decode_legacy(&legacy).unwrap().key_type, 2);
        assert_eq!(KeyParameters::decode_legacy(&[0]), None);
    }
}
