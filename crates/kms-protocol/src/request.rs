//! Requests of a client (D.2.2).

use mc_xml::{Element, Limits};
use time::OffsetDateTime;

use crate::date::format_date;
use crate::fields::{Append, Fields, kms};
use crate::{KMS_NS, KmsDocumentError, KmsError};

/// A request is small: refuse early.
const LIMITS: Limits = Limits {
    octets: 32 * 1024,
    depth: 16,
    nodes: 500,
    attributes: 16,
    name: 256,
};

/// The body of every request; which resource is meant is said by the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsRequest {
    /// `Id` attribute, needed when signed.
    pub id: Option<String>,
    /// The identity whose keys are asked for: that of the token.
    pub user_uri: String,
    /// The KMS that is meant.
    pub kms_uri: String,
    /// When the request was made.
    pub time: OffsetDateTime,
    /// The client's name for itself.
    pub client_id: Option<String>,
    /// The device.
    pub device_id: Option<String>,
    /// The URL the request is posted to.
    pub client_req_url: String,
    /// Redirect responses the client collected, uninterpreted.
    pub krr_list: Option<Element>,
    /// An error the client reports.
    pub client_error: Option<KmsError>,
    /// The transport key the client holds.
    pub trk_id: Option<String>,
    /// The key the request is signed with.
    pub signature_id: Option<String>,
}

impl KmsRequest {
    /// Reads a `KmsRequest` or `SignedKmsRequest` document; a signature is not looked at.
    ///
    /// # Errors
    /// See [`KmsDocumentError`].
    pub fn parse(octets: &[u8]) -> Result<Self, KmsDocumentError> {
        let root = mc_xml::parse_with(octets, &LIMITS)?;
        if root.is(KMS_NS, "SignedKmsRequest") {
            return Self::read(Fields(&root).needed("KmsRequest")?);
        }
        Self::read(&root)
    }

    fn read(element: &Element) -> Result<Self, KmsDocumentError> {
        element.expect(KMS_NS, "KmsRequest")?;
        let fields = Fields(element);
        Ok(Self {
            id: fields.attribute("Id"),
            user_uri: fields.needed_text("UserUri")?,
            kms_uri: fields.needed_text("KmsUri")?,
            time: fields
                .date("Time")?
                .ok_or(KmsDocumentError::PeerMissing("Time"))?,
            client_id: fields.text("ClientId")?,
            device_id: fields.text("DeviceId")?,
            client_req_url: fields.needed_text("ClientReqUrl")?,
            krr_list: fields.element("KrrList")?.cloned(),
            client_error: fields
                .element("ClientError")?
                .map(KmsError::read)
                .transpose()?,
            trk_id: fields.text("TrK-ID")?,
            signature_id: fields.text("Signature-ID")?,
        })
    }

    /// The `KmsRequest` element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut element = kms("KmsRequest")
            .with_attr("Id", self.id.as_ref())
            .attr("Version", "1.1.0")
            .with("UserUri", &self.user_uri)
            .with("KmsUri", &self.kms_uri)
            .with("Time", &format_date(self.time))
            .with_some("ClientId", self.client_id.as_ref())
            .with_some("DeviceId", self.device_id.as_ref())
            .with("ClientReqUrl", &self.client_req_url);
        if let Some(list) = &self.krr_list {
            element.push(list.clone());
        }
        if let Some(error) = &self.client_error {
            element.push(error.to_element("ClientError"));
        }
        element
            .with_some("TrK-ID", self.trk_id.as_ref())
            .with_some("Signature-ID", self.signature_id.as_ref())
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        self.to_element().to_document()
    }
}
