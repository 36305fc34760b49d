//! Responses of the KMS (D.3.1).

use mc_ids::KmsUri;
use mc_xml::{Element, Limits};
use time::OffsetDateTime;

use crate::date::format_date;
use crate::fields::{Append, Fields, kms};
use crate::{KMS_NS, KeySet, KmsCertificate, KmsDocumentError, XSI_NS};

/// Room for a cache of a few hundred certificates.
const LIMITS: Limits = Limits {
    octets: 1024 * 1024,
    depth: 24,
    nodes: 20_000,
    attributes: 16,
    name: 256,
};
/// Most key sets or certificates of one response that are read.
const MAX_ITEMS: usize = 512;

/// `ErrorType`: the numbers are not standardised, these are HTTP status codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsError {
    /// `ErrorCode`.
    pub code: i64,
    /// `ErrorMsg`.
    pub message: String,
}

impl KmsError {
    pub(crate) fn read(element: &Element) -> Result<Self, KmsDocumentError> {
        let fields = Fields(element);
        let code = fields.needed_text("ErrorCode")?.parse();
        Ok(Self {
            code: code.map_err(|_| KmsDocumentError::PeerValue("ErrorCode"))?,
            message: fields.text("ErrorMsg")?.unwrap_or_default(),
        })
    }

    pub(crate) fn to_element(&self, name: &str) -> Element {
        kms(name)
            .with("ErrorCode", &self.code.to_string())
            .with("ErrorMsg", &self.message)
    }
}

/// Answer to Initialize: the root certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsInit {
    /// Certificate of the client's own KMS.
    pub certificate: KmsCertificate,
}

/// Answer to `KeyProvision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKeyProv {
    /// Key sets, one per identity and key period.
    pub key_sets: Vec<KeySet>,
}

/// Answer to `CertCache` and Cert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertCache {
    /// Version of the cache.
    pub cache_num: Option<u64>,
    /// Certificates of other domains.
    pub certificates: Vec<KmsCertificate>,
}

/// The content of a successful response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KmsMessage {
    /// The root certificate.
    Init(Box<KmsInit>),
    /// Private keys.
    KeyProv(KmsKeyProv),
    /// Certificates of other domains.
    CertCache(CertCache),
}

/// A response with its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsResponse {
    /// The authenticated identity.
    pub user_uri: String,
    /// The answering KMS.
    pub kms_uri: KmsUri,
    /// When it answered.
    pub time: OffsetDateTime,
    /// Which instance answered.
    pub kms_id: Option<String>,
    /// Copy of the request's.
    pub client_req_url: String,
    /// The content.
    pub message: Option<KmsMessage>,
    /// Or why there is none.
    pub error: Option<KmsError>,
    /// The transport key that was used.
    pub trk_id: Option<String>,
}

impl KmsResponse {
    /// Reads a `KmsResponse` or `SignedKmsResponse` document; a signature is not looked at.
    ///
    /// # Errors
    /// See [`KmsDocumentError`].
    pub fn parse(octets: &[u8]) -> Result<Self, KmsDocumentError> {
        let root = mc_xml::parse_with(octets, &LIMITS)?;
        if root.is(KMS_NS, "SignedKmsResponse") {
            return Self::read(Fields(&root).needed("KmsResponse")?);
        }
        Self::read(&root)
    }

    fn read(element: &Element) -> Result<Self, KmsDocumentError> {
        element.expect(KMS_NS, "KmsResponse")?;
        let fields = Fields(element);
        Ok(Self {
            user_uri: fields.needed_text("UserUri")?,
            kms_uri: fields.kms_uri()?,
            time: fields
                .date("Time")?
                .ok_or(KmsDocumentError::PeerMissing("Time"))?,
            kms_id: fields.text("KmsId")?,
            client_req_url: fields.needed_text("ClientReqUrl")?,
            message: fields
                .element("KmsMessage")?
                .map(KmsMessage::read)
                .transpose()?
                .flatten(),
            error: fields
                .element("KmsError")?
                .map(KmsError::read)
                .transpose()?,
            trk_id: fields.text("TrK-ID")?,
        })
    }

    /// The `KmsResponse` element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut element = kms("KmsResponse")
            .declare("", KMS_NS)
            .declare("xsi", XSI_NS)
            .attr("Id", "xmldoc")
            .attr("Version", "1.0.0")
            .with("UserUri", &self.user_uri)
            .with("KmsUri", self.kms_uri.as_str())
            .with("Time", &format_date(self.time))
            .with_some("KmsId", self.kms_id.as_ref())
            .with("ClientReqUrl", &self.client_req_url);
        if let Some(message) = &self.message {
            element.push(kms("KmsMessage").child(message.to_element()));
        }
        if let Some(error) = &self.error {
            element.push(error.to_element("KmsError"));
        }
        element.with_some("TrK-ID", self.trk_id.as_ref())
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        self.to_element().to_document()
    }
}

impl KmsMessage {
    /// Reads the one child that is known; a foreign extension is no message to us.
    fn read(element: &Element) -> Result<Option<Self>, KmsDocumentError> {
        let fields = Fields(element);
        if let Some(init) = fields.element("KmsInit")? {
            return KmsInit::read(init).map(|init| Some(Self::Init(Box::new(init))));
        }
        if let Some(prov) = fields.element("KmsKeyProv")? {
            let key_sets = items(prov, &["KmsKeySet"], KeySet::read)?;
            return Ok(Some(Self::KeyProv(KmsKeyProv { key_sets })));
        }
        let Some(cache) = fields.element("KmsCertCache")? else {
            return Ok(None);
        };
        let number = cache.attribute("CacheNum").map(|text| {
            text.trim()
                .parse()
                .map_err(|_| KmsDocumentError::PeerValue("CacheNum"))
        });
        let names = ["SignedKmsCertificate", "KmsCertificate"];
        let certificates = items(cache, &names, KmsCertificate::read)?;
        Ok(Some(Self::CertCache(CertCache {
            cache_num: number.transpose()?,
            certificates,
        })))
    }

    fn to_element(&self) -> Element {
        match self {
            Self::Init(init) => kms("KmsInit")
                .attr("Version", "1.0.0")
                .child(init.certificate.to_element()),
            Self::KeyProv(prov) => prov.key_sets.iter().fold(
                kms("KmsKeyProv").attr("Version", "1.0.0"),
                |element, set| element.child(set.to_element()),
            ),
            Self::CertCache(cache) => cache.certificates.iter().fold(
                kms("KmsCertCache")
                    .attr("Version", "1.0.0")
                    .with_attr("CacheNum", cache.cache_num.map(|number| number.to_string())),
                |element, certificate| element.child(certificate.to_element()),
            ),
        }
    }
}

impl KmsInit {
    fn read(element: &Element) -> Result<Self, KmsDocumentError> {
        let fields = Fields(element);
        let certificate = match fields.element("SignedKmsCertificate")? {
            Some(signed) => signed,
            None => fields.needed("KmsCertificate")?,
        };
        Ok(Self {
            certificate: KmsCertificate::read(certificate)?,
        })
    }
}

fn items<T>(
    element: &Element,
    names: &[&str],
    read: impl Fn(&Element) -> Result<T, KmsDocumentError>,
) -> Result<Vec<T>, KmsDocumentError> {
    let wanted = |e: &&Element| e.ns == KMS_NS && names.contains(&e.local.as_str());
    if element.elements().filter(wanted).count() > MAX_ITEMS {
        return Err(KmsDocumentError::PeerValue("KmsMessage"));
    }
    element.elements().filter(wanted).map(read).collect()
}
