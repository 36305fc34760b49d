//! xmlsec1 as a judge of XML bodies: it verifies every signature that went through the MCPTT server
//! and decrypts every mcptt-info, with keys derived from the exported CSKs and SPKs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mc_ids::annex_f::{XmlKeys, XpkIdEncoding, xml_keys};
use mc_ids::{Csk, Key128, KeyId, Spk};
use mc_sip::mcptt::media;
use mc_sip::{BodyPart, Headers, Method, Multipart, SipMessage, parse_message};
use mc_trace::{Event, KeyKind, KeyLogEntry, Protocol, names};

use crate::recording::Recording;

/// What xmlsec1 found right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Signatures, each over one body.
    pub signatures: usize,
    /// mcptt-info bodies whose encrypted values it opened.
    pub opened: usize,
    /// What carried them: `received INVITE`, `sent NOTIFY` and so on.
    pub carriers: BTreeSet<String>,
    /// Media types of the signed bodies.
    pub bodies: BTreeSet<String>,
}

/// Checks every message with XML bodies that the MCPTT server sent or took. What it only passes on
/// between clients and the GMS is not protected by its keys and left out.
///
/// # Errors
/// A body that is not signed, a signature that xmlsec1 refuses, a value it cannot open, or a run in
/// which there is nothing to check.
pub fn check_bodies(run: &Recording) -> anyhow::Result<Checked> {
    let keys = keys(run)?;
    let refused = refused_calls(run);
    let mut checked = Checked::default();
    for event in run.of(Protocol::Sip) {
        let call_id = event.call_id.as_deref().unwrap_or_default();
        if event.node != "mcptt-server" || refused.contains(call_id) {
            continue;
        }
        let message = parse_message(&event.raw).context("a message of the trace")?;
        let (headers, body) = match &message {
            SipMessage::Request(request) => (&request.headers, &request.body),
            SipMessage::Response(response) => (&response.headers, &response.body),
        };
        let parts = Multipart::of(headers, body).context(event.summary.clone())?;
        if is_passed_on(headers, &parts) || !parts.parts.iter().any(is_xml) {
            continue;
        }
        let found = check(&parts, &keys).with_context(|| describe(event))?;
        checked.signatures += found.signatures;
        checked.opened += found.opened;
        checked.bodies.extend(found.bodies);
        checked.carriers.insert(carrier(event, &message));
    }
    ensure!(checked.signatures > 0, "the run has no signed bodies");
    Ok(checked)
}

fn describe(event: &Event) -> String {
    let raw = String::from_utf8_lossy(&event.raw);
    format!("{}\n{raw}", event.summary)
}

fn carrier(event: &Event, message: &SipMessage) -> String {
    let direction = event.name.trim_start_matches("sip:");
    match message {
        SipMessage::Request(request) => format!("{direction} {}", request.method),
        SipMessage::Response(response) => format!("{direction} {}", response.status.code()),
    }
}

/// Calls that the server refused: what is wrong with them is another test's matter.
fn refused_calls(run: &Recording) -> BTreeSet<&str> {
    let events = run.events.iter();
    let refused = events.filter(|event| event.name == names::MCPTT_REFUSED.name);
    refused.filter_map(|e| e.call_id.as_deref()).collect()
}

/// Subscriptions to group documents, their notifications and group keys are between clients and the
/// GMS; a CSK comes with a REGISTER.
fn is_passed_on(headers: &Headers, parts: &Multipart) -> bool {
    let package = headers.event().map(|event| event.package);
    let method = headers.cseq().ok().map(|cseq| cseq.method);
    let brings_key = parts.get(media::MIKEY).is_some();
    package.as_deref() == Some("xcap-diff") || (brings_key && method == Some(Method::Message))
}

fn is_xml(part: &BodyPart) -> bool {
    part.media_type.ends_with("+xml")
}

/// The XML keys of each CSK and SPK of the run, by `KeyName`.
fn keys(run: &Recording) -> anyhow::Result<BTreeMap<String, XmlKeys>> {
    let users = users(run);
    let mut keys = BTreeMap::new();
    for entry in &run.keys {
        let id = KeyId(u32::from_str_radix(&entry.key_id, 16).unwrap_or_default());
        let found = match entry.kind {
            KeyKind::Csk => users
                .get(&entry.key_id)
                .map(|user| derived::<Csk>(entry, id, user)),
            KeyKind::Spk => Some(derived::<Spk>(entry, id, "")),
            KeyKind::Gmk | KeyKind::Pck | KeyKind::Srtp | KeyKind::Tls => None,
        };
        if let Some(found) = found {
            keys.insert(id.to_base64(), found?);
        }
    }
    Ok(keys)
}

//= TS 33.180 F.1.4
fn derived<K: Key128>(entry: &KeyLogEntry, id: KeyId, user: &str) -> anyhow::Result<XmlKeys> {
    let octets: [u8; 16] = hex::decode(&entry.key)?
        .try_into()
        .map_err(|_| anyhow::anyhow!("a key of another length"))?;
    let encoding = XpkIdEncoding::default();
    Ok(xml_keys(&K::from_octets(octets), id, user, encoding))
}

/// Whose each CSK is, as the server told at the registration.
fn users(run: &Recording) -> BTreeMap<String, String> {
    let events = run.events.iter();
    let registered = events.filter(|event| event.name == names::MCPTT_REGISTERED.name);
    let mut users = BTreeMap::new();
    for event in registered {
        if let (Some(id), Some((_, user))) = (
            event.key_ids.first(),
            event.summary.split_once(" registered as "),
        ) {
            users.insert(id.clone(), user.to_owned());
        }
    }
    users
}

fn check(parts: &Multipart, keys: &BTreeMap<String, XmlKeys>) -> anyhow::Result<Checked> {
    let dir = tempfile::tempdir()?;
    let signed = parts.get(media::MCPTT_SIGNED).context("no signatures")?;
    let name = key_name(&signed.content)?;
    let keys = keys
        .get(&name)
        .with_context(|| format!("no exported key {name}"))?;
    std::fs::write(dir.path().join("signed.xml"), &signed.transmitted)?;
    std::fs::write(dir.path().join("integrity"), keys.integrity)?;
    std::fs::write(dir.path().join("confidentiality"), keys.confidentiality)?;
    let mut checked = Checked::default();
    let xml = parts.parts.iter().filter(|part| is_xml(part));
    for part in xml.filter(|part| part.media_type != media::MCPTT_SIGNED) {
        checked.signatures += 1;
        checked.bodies.insert(part.media_type.clone());
        std::fs::write(dir.path().join("body.xml"), &part.transmitted)?;
        verify(dir.path(), part, checked.signatures)?;
        if part.media_type == media::MCPTT_INFO {
            decrypt(dir.path(), &name)?;
            checked.opened += 1;
        }
    }
    Ok(checked)
}

/// The signature over one body verifies, and no longer does once the body is changed.
fn verify(dir: &Path, part: &BodyPart, number: usize) -> anyhow::Result<()> {
    let id = part.headers.get("Content-ID").context("no Content-ID")?;
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    let map = format!("--url-map:cid:{id}");
    let node = format!("(//*[local-name()='Signature'])[{number}]");
    let arguments = [
        "--verify",
        "--hmackey",
        "integrity",
        "--node-xpath",
        &node,
        &map,
        "body.xml",
        "signed.xml",
    ];
    run(dir, &arguments)?;
    std::fs::write(
        dir.join("body.xml"),
        [&part.transmitted, &b" "[..]].concat(),
    )?;
    let changed = run(dir, &arguments);
    std::fs::write(dir.join("body.xml"), &part.transmitted)?;
    ensure!(changed.is_err(), "xmlsec1 takes a changed body");
    Ok(())
}

/// Every encrypted value opens, one after the other, and none is in clear before.
fn decrypt(dir: &Path, name: &str) -> anyhow::Result<()> {
    let read = |file: &str| std::fs::read_to_string(dir.join(file));
    let mut text = read("body.xml")?;
    ensure!(clear_values(&text) == 0, "a value in clear");
    let key = format!("--aeskey:{name}");
    let values = text.matches("<EncryptedData").count();
    for _ in 0..values {
        std::fs::write(dir.join("sealed.xml"), &text)?;
        let output = ["--output", "plain.xml", "sealed.xml"];
        run(
            dir,
            &[&["--decrypt", &key, "confidentiality"], &output[..]].concat(),
        )?;
        text = read("plain.xml")?;
    }
    let opened = clear_values(&text);
    ensure!(
        values > 0 && opened == values,
        "{values} values, {opened} opened"
    );
    Ok(())
}

fn clear_values(text: &str) -> usize {
    let ends = ["</mcpttURI>", "</mcpttString>", "</mcpttBoolean>"];
    ends.iter().map(|end| text.matches(end).count()).sum()
}

fn key_name(signed: &[u8]) -> anyhow::Result<String> {
    let text = std::str::from_utf8(signed)?;
    let name = text.split("KeyName>").nth(1).context("no KeyName")?;
    let name = name.split('<').next().unwrap_or_default().trim().to_owned();
    STANDARD.decode(&name).context("KeyName is no base64")?;
    Ok(name)
}

fn run(dir: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("xmlsec1")
        .current_dir(dir)
        .args(arguments)
        .output()
        .context("xmlsec1 is not installed: run `make deps`")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("xmlsec1: {}", String::from_utf8_lossy(&output.stderr))
}
