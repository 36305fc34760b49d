//! tshark as a judge of captures: what it dissects, and whether it finds anything malformed.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mc_sip::sdp::Sdp;
use mc_sip::{Multipart, SipMessage};
use mc_trace::pcapng::{Capture, View};
use mc_trace::{Endpoint, Event, Protocol, Transport, names};

use crate::recording::Recording;

/// A malformed mark, or an expert mark of severity error.
const FAULTS: &str = "_ws.malformed || _ws.expert.severity >= 0x800000";
/// An expert mark of severity warning or above; below are chat, notes and our own comments.
const WARNINGS: &str = "_ws.expert.severity >= 0x600000";
/// The registered port of MIKEY, where tshark dissects it by itself.
const MIKEY_PORT: u16 = 2269;

/// A capture and how to read it.
#[derive(Debug)]
pub struct Tshark {
    file: tempfile::NamedTempFile,
    decode_as: Vec<String>,
    preferences: Vec<String>,
}

impl Tshark {
    /// Takes a capture's octets.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub fn of(capture: &[u8]) -> anyhow::Result<Self> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(capture)?;
        Ok(Self {
            file,
            decode_as: Vec::new(),
            preferences: Vec::new(),
        })
    }

    /// Takes a capture from a file, for example one that dumpcap made.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Self::of(&std::fs::read(path).with_context(|| path.display().to_string())?)
    }

    /// Reads a port as a protocol (`udp.port==40002,rtcp`).
    #[must_use]
    pub fn decode_as(mut self, rule: impl Into<String>) -> Self {
        self.decode_as.push(rule.into());
        self
    }

    /// Sets a preference of a dissector (`amr.mode:Wideband AMR`).
    #[must_use]
    pub fn prefer(mut self, preference: impl Into<String>) -> Self {
        self.preferences.push(preference.into());
        self
    }

    /// The values of some fields, one row for each frame that passes the filter.
    ///
    /// # Errors
    /// If tshark is missing or refuses the filter or the capture.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> anyhow::Result<Vec<Vec<String>>> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(self.file.path()).args(["-Y", filter]);
        for rule in &self.decode_as {
            command.args(["-d", rule]);
        }
        for preference in &self.preferences {
            command.args(["-o", preference]);
        }
        command.args(["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command
            .output()
            .context("tshark is not installed: run `make deps`")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tshark: {complaint}");
        let text = String::from_utf8_lossy(&output.stdout);
        let row = |line: &str| line.split('\t').map(str::to_owned).collect();
        Ok(text.lines().map(row).collect())
    }

    /// Fails with the frames among those that pass the filter in which tshark sees a fault.
    ///
    /// # Errors
    /// The faults, each with its frame, or tshark's own failure.
    pub fn no_faults(&self, filter: &str) -> anyhow::Result<()> {
        let filter = format!("({filter}) && ({FAULTS})");
        let what = [
            "frame.number",
            "_ws.col.Protocol",
            "_ws.expert.message",
            "frame.comment",
        ];
        let faults = self.fields(&filter, &what)?;
        let list: Vec<String> = faults.iter().map(|row| row.join(" | ")).collect();
        ensure!(list.is_empty(), "tshark sees faults:\n{}", list.join("\n"));
        Ok(())
    }
}

/// Checks that tshark dissects every SIP message of a run without a fault; returns their number.
///
/// # Errors
/// A fault, or a message that tshark does not take for SIP.
pub fn check_sip(run: &Recording) -> anyhow::Result<usize> {
    let mut capture = Capture::new(View::Wire);
    let events: Vec<&Event> = run.of(Protocol::Sip).filter(|e| capture.event(e)).collect();
    ensure!(!events.is_empty(), "the run has no SIP message");
    let mut tshark = Tshark::of(&capture.take())?;
    for port in ports(&events) {
        tshark = tshark.decode_as(format!("udp.port=={port},sip"));
        tshark = tshark.decode_as(format!("tcp.port=={port},sip"));
    }
    tshark.no_faults("frame")?;
    let ids = tshark.fields("sip", &["sip.Call-ID"])?;
    // One frame may carry several messages of a stream; their Call-IDs share a cell.
    let seen: usize = ids
        .iter()
        .flatten()
        .map(|cell| cell.split(',').count())
        .sum();
    ensure!(
        seen == events.len(),
        "tshark sees {seen} SIP messages, the run sent {}",
        events.len()
    );
    Ok(seen)
}

/// A MIKEY message tshark dissected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenMikey {
    /// The SIP request that carried it (`REGISTER`, `MESSAGE`, `INVITE`).
    pub carrier: String,
    /// CSB-ID, eight hexadecimal digits.
    pub csb_id: String,
    /// Identities in their order (IDRi, IDRr, IDRkmsi, IDRkmsr).
    pub identities: Vec<String>,
    /// The message itself.
    pub octets: Vec<u8>,
}

/// Checks that tshark dissects the MIKEY message of every `application/mikey` body and of every
/// `a=key-mgmt` line as SAKKE, without a fault and to its last octet; returns what it saw.
///
/// They are in base64 inside multipart, which tshark does not look into, so each message is put on
/// MIKEY's own port first.
///
/// # Errors
/// A fault, an undissected message, or a run without MIKEY.
pub fn check_mikey(run: &Recording) -> anyhow::Result<Vec<SeenMikey>> {
    let found = mikey_bodies(run)?;
    ensure!(!found.is_empty(), "the run has no MIKEY message");
    let mut capture = Capture::new(View::Wire);
    for (time_us, _, octets) in &found {
        let end = |port| Endpoint::at(SocketAddr::from(([127, 0, 0, 1], port)));
        let event = Event::sent(
            &names::MIKEY_VERIFIED,
            end(MIKEY_PORT + 1),
            end(MIKEY_PORT),
            octets.clone(),
        );
        let mut event = event.over(Transport::Udp);
        event.time_us = *time_us;
        ensure!(capture.event(&event), "no frame for a MIKEY message");
    }
    let tshark = Tshark::of(&capture.take())?;
    tshark.no_faults("frame")?;
    // Octets left over are a warning to tshark, an error to us.
    let rest = tshark.fields(WARNINGS, &["frame.number", "_ws.expert.message"])?;
    ensure!(rest.is_empty(), "tshark remarks: {rest:?}");
    let filter = "mikey.type == 26 && mikey.sakke && mikey.sign";
    let rows = tshark.fields(filter, &["mikey.csb_id", "mikey.id.data"])?;
    ensure!(
        rows.len() == found.len(),
        "tshark takes {} of {} messages for signed MIKEY-SAKKE",
        rows.len(),
        found.len()
    );
    let seen = found
        .into_iter()
        .zip(rows)
        .map(|((_, carrier, octets), row)| {
            let cell = |n: usize| row.get(n).cloned().unwrap_or_default();
            SeenMikey {
                carrier,
                csb_id: cell(0).trim_start_matches("0x").to_owned(),
                identities: cell(1).split(',').map(str::to_owned).collect(),
                octets,
            }
        });
    Ok(seen.collect())
}

fn mikey_bodies(run: &Recording) -> anyhow::Result<Vec<(u64, String, Vec<u8>)>> {
    let (mut found, mut known) = (Vec::new(), BTreeSet::new());
    for event in run.of(Protocol::Sip) {
        let message = mc_sip::parse_message(&event.raw);
        let Ok(SipMessage::Request(request)) = message else {
            continue;
        };
        let parts = Multipart::of(&request.headers, &request.body);
        for part in parts.context("a SIP body of the run")?.parts {
            let message = match part.media_type.as_str() {
                "application/mikey" => Some(part.content),
                "application/sdp" => key_mgmt(&part.content)?,
                _ => None,
            };
            if let Some(message) = message.filter(|message| known.insert(message.clone())) {
                found.push((event.time_us, request.method.to_string(), message));
            }
        }
    }
    Ok(found)
}

/// The message of a description's `a=key-mgmt` line (RFC 4567).
fn key_mgmt(sdp: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let sdp = Sdp::parse(sdp).context("a description of the run")?;
    let message = sdp.key_mgmt().map(|text| STANDARD.decode(text));
    message.transpose().context("a key-mgmt line of the run")
}

/// Checks that tshark dissects the decrypted floor control of a run as MCPTT messages without a
/// fault; returns the subtypes (TS 24.380 table 8.2.2.1-1) in order of time.
///
/// # Errors
/// A fault, or a packet that tshark does not take for floor control.
pub fn check_floor(run: &Recording) -> anyhow::Result<Vec<u8>> {
    let mut capture = Capture::new(View::Clear);
    let clear = |e: &&Event| !e.clear.is_empty() && e.name != names::FLOOR_REFUSED.name;
    let events: Vec<&Event> = run
        .of(Protocol::Rtcp)
        .filter(clear)
        .filter(|e| capture.event(e))
        .collect();
    ensure!(!events.is_empty(), "the run has no decrypted floor control");
    let mut tshark = Tshark::of(&capture.take())?;
    for port in ports(&events) {
        tshark = tshark.decode_as(format!("udp.port=={port},rtcp"));
    }
    tshark.no_faults("frame")?;
    let rows = tshark.fields("rtcp.app.name == \"MCPT\"", &["rtcp.app.subtype"])?;
    ensure!(
        rows.len() == events.len(),
        "tshark takes {} of {} packets for floor control",
        rows.len(),
        events.len()
    );
    let subtypes = rows.iter().flatten().flat_map(|cell| cell.split(','));
    subtypes
        .map(|s| s.parse().with_context(|| format!("subtype {s}")))
        .collect()
}

fn ports(events: &[&Event]) -> BTreeSet<u16> {
    let ends = events.iter().flat_map(|e| [e.from.addr, e.to.addr]);
    ends.flatten().map(|a| a.port()).collect()
}
