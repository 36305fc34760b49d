//! XML signatures of the profile: HMAC-SHA-256, SHA-256 digests, canonical XML (9.3.5, D.2.2).

use base64::prelude::{BASE64_STANDARD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{DSIG_NS, SecurityError, base64_binary};
use crate::c14n::{Canonicalization, canonicalise};
use crate::dom::Element;
use crate::error::shortened;

/// `SignatureMethod` of the profile.
pub const HMAC_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";
/// `DigestMethod` of the profile.
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
/// Transform that takes the signature itself out of the signed element.
pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// Inclusive canonical XML with comments, accepted when there are no comments to differ about.
const WITH_COMMENTS: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments";
/// Most references a signature may hold.
const MAX_REFERENCES: usize = 8;

/// SHA-256 of octets, 32 octets.
#[must_use]
pub fn digest(octets: &[u8]) -> [u8; 32] {
    Sha256::digest(octets).into()
}

/// One thing to be signed: its reference and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `URI`: `cid:...` of a MIME body or `#id` of an element.
    pub uri: String,
    /// Transforms applied before the digest, in order.
    pub transforms: Vec<String>,
    /// SHA-256 of the referenced octets.
    pub digest: [u8; 32],
}

/// Builds a `ds:Signature` over `references` under `key`, naming it `key_name`.
#[must_use]
pub fn sign(references: &[Reference], key: &[u8], key_name: &str) -> Element {
    //= TS 33.180 9.3.5
    let info = signed_info(references, Canonicalization::Inclusive);
    // The signature declares its namespace as default, so SignedInfo canonicalises alone.
    let value = BASE64_STANDARD.encode(mac(key, info_octets(&info, &[]).as_bytes()));
    Element::new(DSIG_NS, "Signature")
        .declare("", DSIG_NS)
        .child(info)
        .child(Element::new(DSIG_NS, "SignatureValue").text(&value))
        .child(
            Element::new(DSIG_NS, "KeyInfo").child(Element::new(DSIG_NS, "KeyName").text(key_name)),
        )
}

fn signed_info(references: &[Reference], form: Canonicalization) -> Element {
    let mut info = Element::new(DSIG_NS, "SignedInfo")
        .child(algorithm("CanonicalizationMethod", form.uri()))
        .child(algorithm("SignatureMethod", HMAC_SHA256));
    for reference in references {
        let mut element = Element::new(DSIG_NS, "Reference").attr("URI", &reference.uri);
        if !reference.transforms.is_empty() {
            let transforms = reference
                .transforms
                .iter()
                .fold(Element::new(DSIG_NS, "Transforms"), |t, uri| {
                    t.child(algorithm("Transform", uri))
                });
            element.push(transforms);
        }
        element.push(algorithm("DigestMethod", SHA256));
        let value = BASE64_STANDARD.encode(reference.digest);
        element.push(Element::new(DSIG_NS, "DigestValue").text(&value));
        info.push(element);
    }
    info
}

fn algorithm(local: &str, uri: &str) -> Element {
    Element::new(DSIG_NS, local).attr("Algorithm", uri)
}

fn info_octets(info: &Element, ancestors: &[&Element]) -> String {
    if ancestors.is_empty() {
        let parent = Element::new(DSIG_NS, "Signature").declare("", DSIG_NS);
        return canonicalise(Canonicalization::Inclusive, &[&parent], info);
    }
    canonicalise(
        form_of(info).unwrap_or(Canonicalization::Inclusive),
        ancestors,
        info,
    )
}

fn form_of(info: &Element) -> Option<Canonicalization> {
    let uri = info
        .find(DSIG_NS, "CanonicalizationMethod")?
        .attribute("Algorithm")?;
    form_named(uri)
}

fn form_named(uri: &str) -> Option<Canonicalization> {
    if uri == WITH_COMMENTS {
        return Some(Canonicalization::Inclusive);
    }
    Canonicalization::from_uri(uri)
}

fn mac(key: &[u8], octets: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length, so the error arm cannot be reached.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(octets);
    mac.finalize().into_bytes().into()
}

/// The key name a signature asks for, before anything is verified.
#[must_use]
pub fn key_name(signature: &Element) -> Option<String> {
    signature
        .descend(DSIG_NS, &["KeyInfo", "KeyName"])
        .map(Element::trimmed_text)
}

/// Checks the value of `signature`, which sits under `ancestors` (outermost first), and returns its
/// references. The caller must still compare the digests with what it dereferences itself.
///
/// # Errors
/// [`SecurityError`] for another profile, a malformed structure or a wrong value.
pub fn verify_value(
    signature: &Element,
    ancestors: &[&Element],
    key: &[u8],
) -> Result<Vec<Reference>, SecurityError> {
    if !signature.is(DSIG_NS, "Signature") {
        return Err(SecurityError::PeerStructure("Signature expected"));
    }
    let info = single(signature, "SignedInfo")?;
    let method = |local| {
        info.find(DSIG_NS, local)
            .and_then(|m| m.attribute("Algorithm"))
            .ok_or(SecurityError::PeerStructure("algorithm is missing"))
    };
    expect_algorithm(method("SignatureMethod")?, HMAC_SHA256)?;
    // A truncated HMAC (HMACOutputLength) is outside the profile.
    if info
        .find(DSIG_NS, "SignatureMethod")
        .is_some_and(|m| m.elements().next().is_some())
    {
        return Err(SecurityError::PeerStructure(
            "SignatureMethod has parameters",
        ));
    }
    let form = method("CanonicalizationMethod")?;
    if form_named(form).is_none() {
        return Err(SecurityError::UnsupportedAlgorithm(shortened(form)));
    }
    let value = base64_binary(&single(signature, "SignatureValue")?.raw_text())
        .ok_or(SecurityError::PeerStructure("SignatureValue is not base64"))?;
    let mut path = ancestors.to_vec();
    path.push(signature);
    let expected = mac(key, info_octets(info, &path).as_bytes());
    if !bool::from(expected.as_slice().ct_eq(&value)) {
        return Err(SecurityError::PeerIntegrity);
    }
    references(info)
}

fn references(info: &Element) -> Result<Vec<Reference>, SecurityError> {
    let mut found = Vec::new();
    for reference in info.all(DSIG_NS, "Reference") {
        if found.len() == MAX_REFERENCES {
            return Err(SecurityError::PeerStructure("too many references"));
        }
        let method = reference
            .find(DSIG_NS, "DigestMethod")
            .and_then(|m| m.attribute("Algorithm"));
        expect_algorithm(method.unwrap_or_default(), SHA256)?;
        let transforms = reference
            .find(DSIG_NS, "Transforms")
            .map(|t| {
                t.all(DSIG_NS, "Transform")
                    .filter_map(|t| t.attribute("Algorithm"))
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default();
        let digest = base64_binary(&single(reference, "DigestValue")?.raw_text())
            .and_then(|d| <[u8; 32]>::try_from(d).ok())
            .ok_or(SecurityError::PeerStructure("DigestValue"))?;
        let uri = reference
            .attribute("URI")
            .ok_or(SecurityError::PeerStructure("Reference without URI"))?
            .to_owned();
        found.push(Reference {
            uri,
            transforms,
            digest,
        });
    }
    if found.is_empty() {
        return Err(SecurityError::PeerStructure("no Reference"));
    }
    Ok(found)
}

fn single<'e>(parent: &'e Element, local: &'static str) -> Result<&'e Element, SecurityError> {
    let mut all = parent.all(DSIG_NS, local);
    match (all.next(), all.next()) {
        (Some(element), None) => Ok(element),
        _ => Err(SecurityError::PeerStructure(local)),
    }
}

fn expect_algorithm(found: &str, expected: &str) -> Result<(), SecurityError> {
    if found == expected {
        Ok(())
    } else {
        Err(SecurityError::UnsupportedAlgorithm(shortened(found)))
    }
}

/// Signs the child of `root` whose `Id` is `id` and appends the detached signature to `root`
/// (KMS documents, Annex D: `Reference URI="#xmldoc"`).
///
/// # Errors
/// [`SecurityError::PeerStructure`] when there is no such child.
pub fn sign_detached(
    root: &mut Element,
    id: &str,
    key: &[u8],
    key_name: &str,
) -> Result<(), SecurityError> {
    let target = root
        .elements()
        .find(|e| e.attribute("Id") == Some(id))
        .ok_or(SecurityError::PeerStructure("nothing with that Id to sign"))?;
    // The tree may lean on declarations the writer adds: read back what will be sent.
    let settled = crate::parse(crate::writer::fragment(root).as_bytes())?;
    let sent = settled
        .elements()
        .find(|e| e.attribute("Id") == target.attribute("Id"))
        .ok_or(SecurityError::PeerStructure("nothing with that Id to sign"))?;
    let octets = canonicalise(Canonicalization::Inclusive, &[&settled], sent);
    let reference = Reference {
        uri: format!("#{id}"),
        transforms: Vec::new(),
        digest: digest(octets.as_bytes()),
    };
    let signature = sign(&[reference], key, key_name);
    *root = settled;
    root.push(in_context(signature, root, key));
    Ok(())
}

/// Inclusive canonicalisation sees every declaration of the ancestors, so the value is computed
/// again for the place the signature goes to.
fn in_context(mut signature: Element, parent: &Element, key: &[u8]) -> Element {
    let value = signature.find(DSIG_NS, "SignedInfo").map(|info| {
        let octets = canonicalise(Canonicalization::Inclusive, &[parent, &signature], info);
        BASE64_STANDARD.encode(mac(key, octets.as_bytes()))
    });
    if let (Some(value), Some(element)) = (value, signature.find_mut(DSIG_NS, "SignatureValue")) {
        element.set_text(&value);
    }
    signature
}

/// Verifies the signature inside `root` and returns the `Id` of the element it covers: `root`
/// itself (enveloped) or one of its children (detached).
///
/// # Errors
/// [`SecurityError`] when there is no single signature, it fails, or it covers something else.
pub fn verify_same_document(root: &Element, key: &[u8]) -> Result<String, SecurityError> {
    let signature = single(root, "Signature")?;
    let references = verify_value(signature, &[root], key)?;
    let [reference] = references.as_slice() else {
        return Err(SecurityError::PeerStructure("one Reference expected"));
    };
    let id = reference
        .uri
        .strip_prefix('#')
        .filter(|id| !id.is_empty())
        .ok_or(SecurityError::PeerStructure(
            "Reference is not to this document",
        ))?;
    if count_ids(root, id) != 1 {
        return Err(SecurityError::PeerStructure("Id is absent or ambiguous"));
    }
    let mut form = Canonicalization::Inclusive;
    let mut enveloped = false;
    for transform in &reference.transforms {
        if transform == ENVELOPED {
            enveloped = true;
        } else {
            form = form_named(transform)
                .ok_or_else(|| SecurityError::UnsupportedAlgorithm(shortened(transform)))?;
        }
    }
    let octets = if root.attribute("Id") == Some(id) {
        if !enveloped {
            return Err(SecurityError::PeerStructure(
                "a signature cannot cover itself",
            ));
        }
        let mut without = root.clone();
        without.remove(DSIG_NS, "Signature");
        canonicalise(form, &[], &without)
    } else {
        let target = root
            .elements()
            .find(|e| e.attribute("Id") == Some(id))
            .ok_or_else(|| SecurityError::PeerUnsigned(shortened(id)))?;
        canonicalise(form, &[root], target)
    };
    if digest(octets.as_bytes()).ct_eq(&reference.digest).into() {
        Ok(id.to_owned())
    } else {
        Err(SecurityError::PeerIntegrity)
    }
}

fn count_ids(element: &Element, id: &str) -> usize {
    usize::from(element.attribute("Id") == Some(id))
        + element.elements().map(|e| count_ids(e, id)).sum::<usize>()
}
