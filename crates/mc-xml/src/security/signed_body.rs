//! The separate MIME body that signs other XML bodies of one SIP message (24.379 6.6.3, F.6).

use super::signature::{self, Reference, digest, sign};
use super::{DSIG_NS, SecurityError, XmlProtection};
use crate::XmlProfile;
use crate::c14n::{Canonicalization, canonicalise};
use crate::dom::Element;
use crate::error::shortened;

/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/vnd.3gpp.mcptt-signed+xml";
/// Most signatures in a body.
const MAX_SIGNATURES: usize = 16;

/// One XML body as transmitted, named by its Content-ID without angle brackets.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Content-ID, without `<` and `>`.
    pub content_id: &'a str,
    /// The body's octets exactly as in the message.
    pub octets: &'a [u8],
}

/// Signs each part in a signature of its own and returns the `mcptt-signed` document, whose root is
/// named by `profile`.
#[must_use]
pub fn sign_parts(parts: &[Part<'_>], keys: &XmlProtection, profile: &XmlProfile) -> String {
    //= TS 24.379 6.6.3
    let mut root = Element::new(&profile.signed_ns, &profile.signed_root);
    for part in parts {
        let reference = Reference {
            uri: format!("cid:{}", part.content_id),
            transforms: Vec::new(),
            digest: digest(part.octets),
        };
        let signature = sign(&[reference], keys.integrity_key(), &keys.key_name());
        root.push(signature);
    }
    root.to_document()
}

/// Verifies that `document` signs every one of `parts` under `keys`.
///
/// The digest covers the octets as sent; a peer that canonicalised first is accepted too. The root
/// may be any element unless `profile` is strict.
///
/// # Errors
/// [`SecurityError`] when a part is unsigned or anything fails.
pub fn verify_parts(
    document: &[u8],
    parts: &[Part<'_>],
    keys: &XmlProtection,
    profile: &XmlProfile,
) -> Result<(), SecurityError> {
    let root = crate::parse(document)?;
    if profile.strict {
        root.expect(&profile.signed_ns, &profile.signed_root)?;
    }
    let mut references = Vec::new();
    for (count, signature) in root.all(DSIG_NS, "Signature").enumerate() {
        if count == MAX_SIGNATURES {
            return Err(SecurityError::PeerStructure("too many signatures"));
        }
        let name = signature::key_name(signature)
            .ok_or(SecurityError::PeerStructure("KeyName is missing"))?;
        if name != keys.key_name() {
            return Err(SecurityError::PeerUnknownKey(shortened(&name)));
        }
        references.extend(signature::verify_value(
            signature,
            &[&root],
            keys.integrity_key(),
        )?);
    }
    for part in parts {
        let uri = format!("cid:{}", part.content_id);
        let reference = references
            .iter()
            .find(|r| r.uri == uri || r.uri == part.content_id)
            .ok_or_else(|| SecurityError::PeerUnsigned(shortened(part.content_id)))?;
        if digest(part.octets) != reference.digest && canonical(part) != Some(reference.digest) {
            return Err(SecurityError::PeerIntegrity);
        }
    }
    Ok(())
}

fn canonical(part: &Part<'_>) -> Option<[u8; 32]> {
    let tree = crate::parse(part.octets).ok()?;
    Some(digest(
        canonicalise(Canonicalization::Inclusive, &[], &tree).as_bytes(),
    ))
}
