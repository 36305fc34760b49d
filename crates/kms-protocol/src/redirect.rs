//! KMS redirect responses (TS 33.180 5.2.8, D.4): "not with this pair of KMSs". The answer to a message
//! whose KMS is not acceptable, in the body of a SIP 488.
//!
//! Root, namespace and media type are the specification's; the names of the children are UNVERIFIED
//! and a matter of [`RedirectNames`]. A document without them is taken.

mod names;

use mc_ids::KmsUri;
use mc_xml::{Element, Limits};
use time::OffsetDateTime;

use crate::KmsDocumentError;
use crate::date::{format_date, parse_date};

pub use names::{NotAName, RedirectNames, XmlName};

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
    pub fn to_xml(&self, names: &RedirectNames) -> String {
        let rejected = self.rejected.as_ref().map(|rejected| match rejected {
            Rejected::Initiator(kms) => (&names.rejected_initiator, kms.as_str()),
            Rejected::Receiver(kms) => (&names.rejected_receiver, kms.as_str()),
        });
        let time = self.time.map(format_date);
        let named = [
            (&names.initiator, self.initiator.as_deref()),
            (&names.receiver, self.receiver.as_deref()),
        ];
        let last = [
            (&names.time, time.as_deref()),
            (&names.processor, self.processor.as_deref()),
        ];
        let child = |name: &XmlName, text: &str| krr(name.as_str()).text(text);
        let some = |(name, text): (&XmlName, Option<&str>)| Some(child(name, text?));
        let acceptable = self.acceptable.iter();
        let acceptable = acceptable.map(|kms| child(&names.acceptable, kms.as_str()));
        let children = named
            .into_iter()
            .filter_map(some)
            .chain(rejected.map(|(name, kms)| child(name, kms)))
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
    pub fn parse(octets: &[u8], names: &RedirectNames) -> Result<Self, KmsDocumentError> {
        let root = mc_xml::parse_with(octets, &LIMITS)?;
        root.expect(KRR_NS, "KmsRedirectResponse")?;
        let text = |name: &XmlName| {
            let mut found = root.elements().filter(|e| e.is(KRR_NS, name.as_str()));
            found.next().map(Element::trimmed_text)
        };
        let kms = |name: &XmlName| {
            let uri = text(name).map(KmsUri::new);
            uri.transpose()
                .map_err(|_| KmsDocumentError::PeerValue("rejected KMS"))
        };
        let rejected = match kms(&names.rejected_initiator)? {
            Some(initiator) => Some(Rejected::Initiator(initiator)),
            None => kms(&names.rejected_receiver)?.map(Rejected::Receiver),
        };
        let wrong = KmsDocumentError::PeerValue("acceptable KMS");
        let listed: Vec<_> = root.all(KRR_NS, names.acceptable.as_str()).collect();
        if listed.len() > MAX_KMSS {
            return Err(wrong);
        }
        let acceptable = listed.into_iter().map(|e| KmsUri::new(e.trimmed_text()));
        let acceptable = acceptable.collect::<Result<_, _>>().map_err(|_| wrong)?;
        let wrong = KmsDocumentError::PeerValue("time");
        let time = text(&names.time).map(|time| parse_date(&time).ok_or(wrong));
        Ok(Self {
            initiator: text(&names.initiator),
            receiver: text(&names.receiver),
            rejected,
            acceptable,
            time: time.transpose()?,
            processor: text(&names.processor),
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
            let names = RedirectNames::default();
            let xml = response.to_xml(&names);
            assert!(xml.contains(r#"<KmsRedirectResponse xmlns="urn:3gpp:ns:mcsecKMSKRR:1.0">"#));
            let read = RedirectResponse::parse(xml.as_bytes(), &names);
            assert_eq!(read.unwrap(), response);
        }
    }

    #[test]
    fn children_are_spelt_as_both_ends_are_told() {
        let told: RedirectNames = serde_json::from_value(serde_json::json!({
            "rejected_initiator": "InitiatorKMSUri", "acceptable": "KMSUri", "time": "IssueTime",
        }))
        .unwrap();
        let response = RedirectResponse {
            initiator: Some("sip:unit-1@segy.example".to_owned()),
            receiver: None,
            rejected: Some(Rejected::Initiator(kms("kms.segy.example"))),
            acceptable: vec![kms("kms.mc.example")],
            time: OffsetDateTime::from_unix_timestamp(1_795_500_000).ok(),
            processor: None,
        };
        let xml = response.to_xml(&told);
        for child in [
            "<InitiatorUri>sip:unit-1@segy.example</InitiatorUri>",
            "<InitiatorKMSUri>kms.segy.example</InitiatorKMSUri>",
            "<KMSUri>kms.mc.example</KMSUri>",
            "<IssueTime>2026-",
        ] {
            assert!(xml.contains(child), "{child} in {xml}");
        }
        let read = |names| RedirectResponse::parse(xml.as_bytes(), names).unwrap();
        assert_eq!(read(&told), response);
        let otherwise = read(&RedirectNames::default());
        assert_eq!(
            (otherwise.rejected, otherwise.acceptable),
            (None, Vec::new())
        );
        for bad in ["", "1st", "a b", "x:y", "<x/>", "naïve"] {
            let name = serde_json::from_value::<XmlName>(bad.into());
            assert!(name.is_err(), "{bad:?}");
        }
    }

    #[test]
    fn other_children_are_passed_over_and_other_documents_refused() {
        let root = |inner: &str| {
            format!(r#"<KmsRedirectResponse xmlns="{KRR_NS}">{inner}</KmsRedirectResponse>"#)
        };
        let read = |xml: &str| RedirectResponse::parse(xml.as_bytes(), &RedirectNames::default());
        let empty = read(&root("<Vendor><x/></Vendor>")).unwrap();
        assert_eq!((empty.rejected, empty.acceptable), (None, Vec::new()));
        assert!(read(&root("<AcceptableKmsUri>a b</AcceptableKmsUri>")).is_err());
        assert!(read(&root("<Time>soon</Time>")).is_err());
        assert!(read(&root(&"<AcceptableKmsUri>k</AcceptableKmsUri>".repeat(65))).is_err());
        assert!(read("<KmsRedirectResponse/>").is_err());
        assert!(read("").is_err());
    }
}
