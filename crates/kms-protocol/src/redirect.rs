//! KMS redirect responses (TS 33.180 5.2.8, D.4): "not with this pair of KMSs". The answer to a message
//! whose KMS is not acceptable, in the body of a SIP 488.
//!
//! Root, namespace and media type are the specification's. UNVERIFIED: the names of the children,
//! which our sources of D.4 describe and do not spell; a reader must not depend on them, and this
//! one takes a document without them.

use mc_ids::KmsUri;
use mc_xml::{Element, Limits};
use time::OffsetDateTime;

use crate::KmsDocumentError;
use crate::date::{format_date, parse_date};

/// Namespace of the document.
pub const KRR_NS: &str = "urn:3gpp:ns:mcsecKMSKRR:1.0";
/// Media type of the body.
pub const KRR_MEDIA_TYPE: &str = "application/vnd.3gpp.kmsredirectresponse+xml";

/// A redirect response is small, also with others inside.
const LIMITS: Limits = Limits {
    octets: 32 * 1024,
    depth: 16,
    nodes: 500,
    attributes: 16,
    name: 256,
};
/// Most acceptable KMSs that are read.
const MAX_KMSS: usize = 64;

/// Which KMS of a message is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// That of the sender (`IDRkmsi`).
    Initiator(KmsUri),
    /// That of the receiver (`IDRkmsr`).
    Receiver(KmsUri),
}

/// A redirect response, unsigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectResponse {
    /// Who sent the message.
    pub initiator: Option<String>,
    /// Whom it was for.
    pub receiver: Option<String>,
    /// What is not acceptable.
    pub rejected: Option<Rejected>,
    /// What would be; empty tells nothing.
    pub acceptable: Vec<KmsUri>,
    /// When it was refused.
    pub time: Option<OffsetDateTime>,
    /// Who refused it.
    pub processor: Option<String>,
}

impl RedirectResponse {
    /// The document.
    //= TS 33.180 D.4
    #[must_use]
    pub fn to_xml(&self) -> String {
        let rejected = self.rejected.as_ref().map(|rejected| match rejected {
            Rejected::Initiator(kms) => ("RejectedInitiatorKmsUri", kms.as_str()),
            Rejected::Receiver(kms) => ("RejectedReceiverKmsUri", kms.as_str()),
        });
        let time = self.time.map(format_date);
        let named = [
            ("InitiatorUri", self.initiator.as_deref()),
            ("ReceiverUri", self.receiver.as_deref()),
        ];
        let last = [
            ("Time", time.as_deref()),
            ("ProcessorUri", self.processor.as_deref()),
        ];
        let some = |(name, text): (&'static str, Option<&str>)| Some(krr(name).text(text?));
        let acceptable = self.acceptable.iter();
        let acceptable = acceptable.map(|kms| krr("AcceptableKmsUri").text(kms.as_str()));
        let children = named
            .into_iter()
            .filter_map(some)
            .chain(rejected.map(|(name, kms)| krr(name).text(kms)))
            .chain(acceptable)
            .chain(last.into_iter().filter_map(some));
        children
            .fold(krr("KmsRedirectResponse"), Element::child)
            .to_document()
    }

    /// Reads a document; children that are missing or unknown are no error.
    ///
    /// # Errors
    /// [`KmsDocumentError`] when it is another document, or a known child has a wrong value.
    pub fn parse(octets: &[u8]) -> Result<Self, KmsDocumentError> {
        let root = mc_xml::parse_with(octets, &LIMITS)?;
        root.expect(KRR_NS, "KmsRedirectResponse")?;
        let text = |name: &str| {
            let mut found = root.elements().filter(|e| e.is(KRR_NS, name));
            found.next().map(Element::trimmed_text)
        };
        let kms = |name: &'static str| {
            let uri = text(name).map(KmsUri::new);
            uri.transpose()
                .map_err(|_| KmsDocumentError::PeerValue(name))
        };
        let rejected = match kms("RejectedInitiatorKmsUri")? {
            Some(initiator) => Some(Rejected::Initiator(initiator)),
            None => kms("RejectedReceiverKmsUri")?.map(Rejected::Receiver),
        };
        let wrong = KmsDocumentError::PeerValue("AcceptableKmsUri");
        let listed: Vec<_> = root.all(KRR_NS, "AcceptableKmsUri").collect();
        if listed.len() > MAX_KMSS {
            return Err(wrong);
        }
        let acceptable = listed.into_iter().map(|e| KmsUri::new(e.trimmed_text()));
        let acceptable = acceptable.collect::<Result<_, _>>().map_err(|_| wrong)?;
        let time = text("Time").map(|t| parse_date(&t).ok_or(KmsDocumentError::PeerValue("Time")));
        Ok(Self {
            initiator: text("InitiatorUri"),
            receiver: text("ReceiverUri"),
            rejected,
            acceptable,
            time: time.transpose()?,
            processor: text("ProcessorUri"),
        })
    }
}

fn krr(name: &str) -> Element {
    Element::new(KRR_NS, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kms(name: &str) -> KmsUri {
        KmsUri::new(name).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        for rejected in [
            Rejected::Initiator(kms("kms.segy.example")),
            Rejected::Receiver(kms("kms.mc.example")),
        ] {
            let response = RedirectResponse {
                initiator: Some("sip:unit-1@segy.example".to_owned()),
                receiver: Some("sip:alice@mc.example".to_owned()),
                rejected: Some(rejected),
                acceptable: vec![kms("kms.mc.example"), kms("kms.partner.example")],
                time: OffsetDateTime::from_unix_timestamp(1_795_500_000).ok(),
                processor: Some("sip:alice@mc.example".to_owned()),
            };
            let xml = response.to_xml();
            assert!(xml.contains(r#"<KmsRedirectResponse xmlns="urn:3gpp:ns:mcsecKMSKRR:1.0">"#));
            assert_eq!(RedirectResponse::parse(xml.as_bytes()).unwrap(), response);
        }
    }

    #[test]
    fn other_children_are_passed_over_and_other_documents_refused() {
        let root = |inner: &str| {
            format!(r#"<KmsRedirectResponse xmlns="{KRR_NS}">{inner}</KmsRedirectResponse>"#)
        };
        let read = |xml: &str| RedirectResponse::parse(xml.as_bytes());
        let empty = read(&root("<Vendor><x/></Vendor>")).unwrap();
        assert_eq!((empty.rejected, empty.acceptable), (None, Vec::new()));
        assert!(read(&root("<AcceptableKmsUri>a b</AcceptableKmsUri>")).is_err());
        assert!(read(&root("<Time>soon</Time>")).is_err());
        assert!(read(&root(&"<AcceptableKmsUri>k</AcceptableKmsUri>".repeat(65))).is_err());
        assert!(read("<KmsRedirectResponse/>").is_err());
        assert!(read("").is_err());
    }
}
