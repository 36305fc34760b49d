//! Why a document was refused.

/// Why a KMS document of a peer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KmsDocumentError {
    /// Not acceptable as XML, or another document.
    #[error(transparent)]
    Xml(#[from] mc_xml::XmlError),
    /// An element that must occur once occurs more often.
    #[error("{0} occurs more than once")]
    PeerDuplicate(&'static str),
    /// An element or attribute that must be present is not.
    #[error("{0} missing")]
    PeerMissing(&'static str),
    /// A value that is not of its type.
    #[error("{0} has no valid value")]
    PeerValue(&'static str),
    /// A path that is none of the resources of D.2.
    #[error("no such resource")]
    PeerResource,
}
