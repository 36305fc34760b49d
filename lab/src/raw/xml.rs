//! XML protection: encrypted content, signed bodies, signed documents (TS 33.180 9.3, D.2.2).

use super::args::{Args, Field, Type};
use super::error::{Error, Kind};
use super::kdf::{KEY_ID_ENCODING, key_id_encoding};
use super::op::{Op, Results, results};
use mc_ids::{Csk, Key128 as _, KeyId};
use mc_xml::mcptt_info::{self, McpttInfo};
use mc_xml::security::signature::{sign_detached, verify_same_document};
use mc_xml::security::signed_body::{Part, sign_parts, verify_parts};
use mc_xml::security::{SecurityError, XENC_NS, XmlProtection};
use mc_xml::{Element, XmlError, XmlProfile};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Map;
use std::collections::BTreeSet;
use std::convert::Infallible;

const XML: Field = Field::new("xml", Type::Document);
const KEY: Field = Field::hex("key");
const KEY_ID: Field = Field::hex("key_id");
const URI: Field = Field::new("uri", Type::Text);
const PART: &[Field] = &[
    Field::new("content_id", Type::Text),
    Field::new("body", Type::Document),
];
const PARTS: Field = Field::new("parts", Type::Objects(PART));

pub(super) const OPS: &[Op] = &[
    Op {
        name: "xml.protect",
        fields: &[
            XML,
            KEY,
            KEY_ID,
            URI,
            Field::new("elements", Type::TextList).optional(),
            Field::hex("iv").optional(),
            KEY_ID_ENCODING,
        ],
        either: &[],
        results: &[Field::new("xml", Type::Text)],
        about: "encrypts the parameters of an mcptt-info document, or the content of the \
                `elements` named (9.3.4.2). `key` is the CSK or SPK; `iv` is for one element",
        run: protect,
    },
    Op {
        name: "xml.unprotect",
        fields: &[XML, KEY, KEY_ID, URI, KEY_ID_ENCODING],
        either: &[],
        results: &[
            Field::new("xml", Type::Text),
            Field::new("decrypted", Type::Integer),
        ],
        about: "decrypts every encrypted content; tells how many there were",
        run: unprotect,
    },
    Op {
        name: "xml.sign",
        fields: &[
            KEY,
            KEY_ID.optional(),
            URI.optional(),
            KEY_ID_ENCODING,
            Field::new("id", Type::Text).optional(),
            Field::new("key_name", Type::Text).optional(),
        ],
        either: &[PARTS, XML],
        results: &[Field::new("xml", Type::Text)],
        about: "an mcptt-signed body over `parts` under the integrity key of `key`, `key_id`, \
                `uri` (24.379 6.6.3); or a detached signature in `xml` over the child with `id` \
                under `key` itself, which may be of any length (D.2.2)",
        run: sign,
    },
    Op {
        name: "xml.verify",
        fields: &[
            XML,
            KEY,
            KEY_ID.optional(),
            URI.optional(),
            KEY_ID_ENCODING,
            PARTS.optional(),
        ],
        either: &[],
        results: &[Field::new("id", Type::Text).optional()],
        about: "whether an mcptt-signed body covers every one of `parts`; without `parts`, whether \
                the signature inside `xml` holds under `key` itself, and which `Id` it covers",
        run: verify,
    },
];

/// The derived keys of a request.
fn protection(args: &Args<'_>) -> Result<XmlProtection, Error> {
    for name in ["key_id", "uri"] {
        if !args.has(name) {
            return Err(Error::field(name, "missing"));
        }
    }
    let (key, id) = (
        Csk::from_octets(args.array("key")?),
        KeyId(args.u32("key_id")?),
    );
    Ok(XmlProtection::derive(
        &key,
        id,
        args.identity("uri")?,
        key_id_encoding(args),
    ))
}

fn protect(args: &Args<'_>) -> Results {
    let (xml, keys) = (args.document("xml")?, protection(args)?);
    if !args.has("iv") {
        return encrypted(args, &xml, &keys, &mut mc_runtime::rng());
    }
    let mut once = Once {
        iv: args.array("iv")?,
        draws: 0,
    };
    let done = encrypted(args, &xml, &keys, &mut once)?;
    if once.draws > 1 {
        return Err(Error::field(
            "iv",
            "one vector cannot serve several elements",
        ));
    }
    Ok(done)
}

fn encrypted(
    args: &Args<'_>,
    xml: &[u8],
    keys: &XmlProtection,
    rng: &mut impl rand_core::CryptoRng,
) -> Results {
    let mut root = mc_xml::parse(xml).map_err(xml_error)?;
    if !args.has("elements") {
        if !root.is(mcptt_info::NS, "mcpttinfo") {
            return Err(Error::field(
                "elements",
                "missing, and this is no mcptt-info document",
            ));
        }
        let mut info = McpttInfo::from_element(&root).map_err(xml_error)?;
        info.encrypt(keys, rng);
        return results([("xml", info.to_xml().into())]);
    }
    let names = args.texts("elements");
    let different: BTreeSet<_> = names.iter().collect();
    if names.is_empty() || different.len() < names.len() {
        return Err(Error::field(
            "elements",
            "each needed once, and one at least",
        ));
    }
    for name in names {
        if encrypt_named(&mut root, &name, keys, rng) == 0 {
            return Err(Error::field("elements", format!("no element {name:?}")));
        }
    }
    results([("xml", root.to_document().into())])
}

/// Encrypts the content of every element of a local name; those inside are covered by it.
fn encrypt_named(
    element: &mut Element,
    name: &str,
    keys: &XmlProtection,
    rng: &mut impl rand_core::CryptoRng,
) -> usize {
    if element.local == name {
        element.encrypt_content(keys, rng);
        return 1;
    }
    let mut count = 0;
    for child in element.elements_mut() {
        count += encrypt_named(child, name, keys, rng);
    }
    count
}

fn unprotect(args: &Args<'_>) -> Results {
    let (xml, keys) = (args.document("xml")?, protection(args)?);
    let mut root = mc_xml::parse(&xml).map_err(xml_error)?;
    let decrypted = decrypt_all(&mut root, &keys).map_err(security_error)?;
    results([
        ("xml", root.to_document().into()),
        ("decrypted", decrypted.into()),
    ])
}

fn decrypt_all(element: &mut Element, keys: &XmlProtection) -> Result<usize, SecurityError> {
    if element.find(XENC_NS, "EncryptedData").is_some() {
        return element.decrypt_content(keys).map(usize::from);
    }
    let mut count = 0;
    for child in element.elements_mut() {
        count += decrypt_all(child, keys)?;
    }
    Ok(count)
}

/// Content-IDs and octets of the parts of a request. A signature over none would hold for nothing.
fn parts_of(args: &Args<'_>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let parts = args.objects("parts");
    if parts.is_empty() {
        return Err(Error::field("parts", "one at least is needed"));
    }
    let part = |part: &Args<'_>| Ok((part.text("content_id").to_owned(), part.document("body")?));
    parts.iter().map(part).collect()
}

fn borrowed(parts: &[(String, Vec<u8>)]) -> Vec<Part<'_>> {
    parts
        .iter()
        .map(|(content_id, octets)| Part { content_id, octets })
        .collect()
}

fn sign(args: &Args<'_>) -> Results {
    if args.has("parts") {
        refuse(args, &["id", "key_name"], "parts")?;
        let (parts, keys) = (parts_of(args)?, protection(args)?);
        let signed = sign_parts(&borrowed(&parts), &keys, &XmlProfile::default());
        return results([("xml", signed.into())]);
    }
    refuse(args, &["key_id", "uri", "key_id_encoding"], "xml")?;
    for name in ["id", "key_name"] {
        if !args.has(name) {
            return Err(Error::field(name, "missing"));
        }
    }
    let mut root = mc_xml::parse(&args.document("xml")?).map_err(xml_error)?;
    let key = args.octets("key")?;
    sign_detached(&mut root, args.text("id"), &key, args.text("key_name"))
        .map_err(security_error)?;
    results([("xml", root.to_document().into())])
}

fn verify(args: &Args<'_>) -> Results {
    let xml = args.document("xml")?;
    if args.has("parts") {
        let (parts, keys) = (parts_of(args)?, protection(args)?);
        verify_parts(&xml, &borrowed(&parts), &keys, &XmlProfile::default())
            .map_err(security_error)?;
        return Ok(Map::new());
    }
    refuse(
        args,
        &["key_id", "uri", "key_id_encoding"],
        "a signature inside xml",
    )?;
    let root = mc_xml::parse(&xml).map_err(xml_error)?;
    let id = verify_same_document(&root, &args.octets("key")?).map_err(security_error)?;
    results([("id", id.into())])
}

/// Fields that mean nothing in this form are refused, not skipped.
fn refuse(args: &Args<'_>, names: &[&str], form: &str) -> Result<(), Error> {
    match names.iter().find(|name| args.has(name)) {
        Some(name) => Err(Error::field(name, format!("has no meaning with {form}"))),
        None => Ok(()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "an error is mapped once")]
fn xml_error(error: XmlError) -> Error {
    Error::new(Kind::Malformed, error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "an error is mapped once")]
fn security_error(error: SecurityError) -> Error {
    let kind = match &error {
        SecurityError::PeerIntegrity => Kind::Integrity,
        SecurityError::PeerUnknownKey(_) => Kind::KeyMissing,
        SecurityError::UnsupportedAlgorithm(_) => Kind::Unsupported,
        SecurityError::PeerUnsigned(_) => Kind::Signature,
        SecurityError::LocalLength(_) => Kind::Length,
        SecurityError::PeerStructure(_) | SecurityError::PeerContent(_) => Kind::Malformed,
        _ => Kind::Malformed,
    };
    Error::new(kind, error.to_string())
}

/// Gives one initialisation vector and counts how often it was asked.
struct Once {
    iv: [u8; 12],
    draws: u32,
}

impl TryRng for Once {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.draws += 1;
        Ok(0)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.draws += 1;
        Ok(0)
    }
    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
        self.draws += 1;
        for (out, octet) in octets.iter_mut().zip(self.iv) {
            *out = octet;
        }
        Ok(())
    }
}

impl TryCryptoRng for Once {}
