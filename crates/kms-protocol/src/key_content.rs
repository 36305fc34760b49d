//! One user key on the wire: plain, or wrapped under a transport key (D.3.3.2, 5.3.3).
//!
//! The annex asks for `kw-aes256`, which cannot take the 257 and 65 octets of two of the three keys.
//! Deployed practice differs, so what is written is a switch ([`TrkWrap`]) and what is read is
//! decided by length and check value: RFC 3394 and RFC 5649 cannot be confused.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mc_xml::dom::Attribute;
use mc_xml::security::keywrap::{KW_AES256, unwrap, unwrap_padded, wrap, wrap_padded};
use mc_xml::{Element, Node};
use zeroize::Zeroizing;

use crate::fields::kms;
use crate::{DS_NS, ECCSI_POINT, KmsDocumentError, SAKKE_POINT, SSK, XENC_NS, XSI_NS};

/// Longest text of a key element, in octets.
const MAX_TEXT: usize = 4096;

/// How user keys leave the KMS when the client holds a transport key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrkWrap {
    /// Plain over TLS (5.3.3, outside public safety profiles).
    #[default]
    None,
    /// RFC 5649 of the key octets.
    Kwp,
    /// RFC 3394 of the key without the leading octet 04 of points.
    KwStrip04,
}

/// A transport key: 256 bits and the name that documents use for it.
#[derive(Clone)]
pub struct TransportKey {
    /// TrK-ID, for example `tk.12.user@example.org`.
    pub name: String,
    key: Zeroizing<[u8; 32]>,
}

impl TransportKey {
    /// Takes over a key.
    #[must_use]
    pub fn new(name: impl Into<String>, key: [u8; 32]) -> Self {
        Self {
            name: name.into(),
            key: Zeroizing::new(key),
        }
    }
}

impl fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportKey({}, [32 bytes])", self.name)
    }
}

/// Why a key cannot be had from its element.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyContentError {
    /// Wrapped, and no transport key of that name is held.
    #[error("user key wrapped under transport key {0:?}, which is not held")]
    NoTransportKey(String),
    /// The check value is wrong: another key, or altered.
    #[error("wrapped user key does not unwrap")]
    Integrity,
    /// Not the size of this kind of key.
    #[error("user key has a wrong length")]
    Length,
}

/// What one key element holds.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyContent {
    /// The key's octets.
    Plain(Zeroizing<Vec<u8>>),
    /// The octets of a wrapped key and the name of the wrapping key.
    Wrapped {
        /// `KeyName`, if present.
        key_name: Option<String>,
        /// `CipherValue`.
        octets: Vec<u8>,
    },
}

impl fmt::Debug for KeyContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(key) => write!(f, "Plain([{} bytes])", key.len()),
            Self::Wrapped { key_name, octets } => {
                write!(f, "Wrapped({key_name:?}, [{} bytes])", octets.len())
            }
        }
    }
}

impl KeyContent {
    /// A key as it goes out, wrapped when asked for and a transport key is there.
    ///
    /// # Errors
    /// [`KeyContentError::Length`] when the key cannot be wrapped that way.
    pub fn protect(
        key: &[u8],
        how: TrkWrap,
        trk: Option<&TransportKey>,
    ) -> Result<Self, KeyContentError> {
        let Some(trk) = trk.filter(|_| how != TrkWrap::None) else {
            return Ok(Self::Plain(Zeroizing::new(key.to_vec())));
        };
        let bare = match key.strip_prefix(&[4]) {
            Some(bare) if how == TrkWrap::KwStrip04 && key.len() != SSK => bare,
            Some(_) | None => key,
        };
        let octets = match how {
            TrkWrap::KwStrip04 => wrap(trk.key.as_slice(), bare),
            TrkWrap::Kwp | TrkWrap::None => wrap_padded(trk.key.as_slice(), key),
        };
        let octets = octets.map_err(|_| KeyContentError::Length)?;
        Ok(Self::Wrapped {
            key_name: Some(trk.name.clone()),
            octets,
        })
    }

    /// A SAKKE receiver secret key, 257 octets.
    ///
    /// # Errors
    /// See [`KeyContentError`].
    pub fn sakke_point(
        &self,
        trks: &[TransportKey],
    ) -> Result<Zeroizing<Vec<u8>>, KeyContentError> {
        self.point(trks, SAKKE_POINT)
    }

    /// An ECCSI validation token, 65 octets.
    ///
    /// # Errors
    /// See [`KeyContentError`].
    pub fn eccsi_point(
        &self,
        trks: &[TransportKey],
    ) -> Result<Zeroizing<Vec<u8>>, KeyContentError> {
        self.point(trks, ECCSI_POINT)
    }

    /// An ECCSI secret signing key as 32 octets; longer forms with leading zeros are accepted.
    ///
    /// # Errors
    /// See [`KeyContentError`].
    pub fn scalar(&self, trks: &[TransportKey]) -> Result<Zeroizing<[u8; SSK]>, KeyContentError> {
        let octets = self.octets(trks)?;
        let octets = unhex(&octets, SSK).unwrap_or(octets);
        let extra = octets.len().saturating_sub(SSK);
        let (zeros, number) = octets
            .split_at_checked(extra)
            .ok_or(KeyContentError::Length)?;
        if extra > 8 || zeros.iter().any(|octet| *octet != 0) {
            return Err(KeyContentError::Length);
        }
        let mut scalar = Zeroizing::new([0; SSK]);
        scalar
            .get_mut(SSK - number.len()..)
            .ok_or(KeyContentError::Length)?
            .copy_from_slice(number);
        Ok(scalar)
    }

    fn point(
        &self,
        trks: &[TransportKey],
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, KeyContentError> {
        let octets = self.octets(trks)?;
        let mut octets = unhex(&octets, length).unwrap_or(octets);
        if octets.len() + 1 == length {
            octets.insert(0, 4);
        }
        if octets.len() == length && octets.first() == Some(&4) {
            Ok(octets)
        } else {
            Err(KeyContentError::Length)
        }
    }

    fn octets(&self, trks: &[TransportKey]) -> Result<Zeroizing<Vec<u8>>, KeyContentError> {
        let (key_name, octets) = match self {
            Self::Plain(key) => return Ok(key.clone()),
            Self::Wrapped { key_name, octets } => (key_name, octets),
        };
        let name = key_name.clone().unwrap_or_default();
        let fits = |trk: &&TransportKey| key_name.as_ref().is_none_or(|name| *name == trk.name);
        let mut tried = false;
        for trk in trks.iter().filter(fits) {
            tried = true;
            if let Ok(key) = unwrap(trk.key.as_slice(), octets)
                .or_else(|_| unwrap_padded(trk.key.as_slice(), octets))
            {
                return Ok(key);
            }
        }
        Err(if tried {
            KeyContentError::Integrity
        } else {
            KeyContentError::NoTransportKey(name)
        })
    }

    pub(crate) fn read(element: &Element, name: &'static str) -> Result<Self, KmsDocumentError> {
        let bad = || KmsDocumentError::PeerValue(name);
        let kind = element
            .attributes
            .iter()
            .find(|a| a.ns == XSI_NS && a.local == "type");
        let kind = kind.map(|a| a.value.rsplit(':').next().unwrap_or_default());
        let encrypted = element.find(XENC_NS, "EncryptedKey");
        match (kind, encrypted) {
            (None | Some("EncKeyContentType"), Some(encrypted)) => {
                Self::read_wrapped(encrypted).ok_or_else(bad)
            }
            // Deployed servers leave the type out for plain keys.
            (None | Some("KeyContentType"), None) => {
                let text = Zeroizing::new(element.trimmed_text());
                let octets = bounded(&text).and_then(|text| hex::decode(text).ok());
                octets
                    .map(|octets| Self::Plain(Zeroizing::new(octets)))
                    .ok_or_else(bad)
            }
            (Some(_), _) => Err(bad()),
        }
    }

    fn read_wrapped(encrypted: &Element) -> Option<Self> {
        let method = encrypted.find(XENC_NS, "EncryptionMethod")?;
        if method.attribute("Algorithm") != Some(KW_AES256) {
            return None;
        }
        let text = encrypted
            .descend(XENC_NS, &["CipherData", "CipherValue"])?
            .raw_text();
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let text = bounded(&text)?;
        // One vendor writes hexadecimal. Base64 of our sizes has characters or a length that
        // hexadecimal has not, so hexadecimal is tried first.
        let octets = hex::decode(text)
            .or_else(|_| BASE64_STANDARD.decode(text))
            .ok()?;
        let key_name = encrypted
            .descend(DS_NS, &["KeyInfo", "KeyName"])
            .map(Element::trimmed_text);
        Some(Self::Wrapped { key_name, octets })
    }

    pub(crate) fn to_element(&self, name: &str) -> Element {
        match self {
            Self::Plain(key) => {
                typed(kms(name), "KeyContentType").text(&Zeroizing::new(hex::encode_upper(key)))
            }
            Self::Wrapped { key_name, octets } => typed(kms(name), "EncKeyContentType")
                .child(encrypted_key(key_name.as_deref(), octets)),
        }
    }
}

fn bounded(text: &str) -> Option<&str> {
    (!text.is_empty() && text.len() <= MAX_TEXT).then_some(text)
}

/// Some servers wrap the hexadecimal text of a key.
fn unhex(octets: &[u8], length: usize) -> Option<Zeroizing<Vec<u8>>> {
    if octets.len() != length * 2 {
        return None;
    }
    hex::decode(octets).ok().map(Zeroizing::new)
}

fn typed(mut element: Element, kind: &str) -> Element {
    element.attributes.push(Attribute {
        prefix: "xsi".to_owned(),
        ns: XSI_NS.to_owned(),
        local: "type".to_owned(),
        value: kind.to_owned(),
    });
    element
}

fn encrypted_key(key_name: Option<&str>, octets: &[u8]) -> Element {
    let xenc = |name| Element::new(XENC_NS, name);
    let ds = |name| Element::prefixed("ds", DS_NS, name);
    let value = xenc("CipherValue").text(&BASE64_STANDARD.encode(octets));
    let mut element =
        xenc("EncryptedKey").child(xenc("EncryptionMethod").attr("Algorithm", KW_AES256));
    if let Some(name) = key_name {
        let info = ds("KeyInfo").child(ds("KeyName").text(name));
        element.children.push(Node::Element(info));
    }
    element.child(xenc("CipherData").child(value))
}
