//! The key management documents of TS 33.180 Annex D, as typed values.
//!
//! A peer's octets become a value only through the `parse` functions: bounded, namespace aware,
//! without entities, with every mandatory element present once. Nothing here does cryptography but
//! the wrapping of user keys under a transport key ([`KeyContent`]); whether keys fit an identity is
//! for the caller to validate. Element order on output is that of the schema (D.3.5).

mod certificate;
mod date;
mod error;
mod fields;
mod key_content;
mod key_set;
mod redirect;
mod request;
mod resource;
mod response;

pub use certificate::{CertificateProblem, KmsCertificate, Role, fingerprint};
pub use date::{format_date, parse_date};
pub use error::KmsDocumentError;
pub use key_content::{KeyContent, KeyContentError, TransportKey, TrkWrap};
pub use key_set::{KeySet, UserIdEncoding, UserKeys};
pub use redirect::{
    KRR_MEDIA_TYPE, KRR_NS, NotAName, RedirectNames, RedirectResponse, Rejected, XmlName,
};
pub use request::KmsRequest;
pub use resource::{ROOT, Resource};
pub use response::{CertCache, KmsError, KmsInit, KmsKeyProv, KmsMessage, KmsResponse};

/// Namespace of the KMS interface (D.3.5).
pub const KMS_NS: &str = "urn:3gpp:ns:mcsecKMSInterface:1.0";
/// Namespace of XML Signature.
pub const DS_NS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Namespace of XML Encryption.
pub const XENC_NS: &str = "http://www.w3.org/2001/04/xmlenc#";
/// Namespace of schema instance attributes.
pub const XSI_NS: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The media type of every body on the interface.
pub const MEDIA_TYPE: &str = "application/xml";

/// Octets of a SAKKE public or private key of parameter set 1.
pub const SAKKE_POINT: usize = 257;
/// Octets of an ECCSI public key or validation token.
pub const ECCSI_POINT: usize = 65;
/// Octets of an ECCSI secret signing key.
pub const SSK: usize = 32;

#[cfg(test)]
mod tests;
