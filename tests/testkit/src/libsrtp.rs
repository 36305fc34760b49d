//! libsrtp as a judge: it opens the captured SRTP and SRTCP with the exported keys and must find
//! the octets our side found.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use mc_ids::{Csk, Gmk, Key128, KeyId, Pck};
use mc_trace::{Event, KeyKind, KeyLogEntry, Protocol, names};
use mikey::{CryptoSession, media_keys};

use crate::recording::Recording;

/// The C program around libsrtp; mc-media's packet-for-packet test uses the same one.
const PROGRAM: &str = include_str!("../../../crates/mc-media/tests/libsrtp/peer.c");
/// Octets of the roll-over counter after the MKI of group media (RFC 4771 mode 3).
pub(crate) const ROC: usize = 4;

/// What libsrtp opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// SRTP packets of speech.
    pub media: usize,
    /// SRTCP packets of floor control.
    pub floor: usize,
}

/// Opens every packet of the run that our side opened too, and compares.
///
/// # Errors
/// A packet that libsrtp refuses, one it opens to other octets, one without an exported key, or a
/// run in which there is nothing to compare.
pub fn check_media(run: &Recording) -> anyhow::Result<Opened> {
    let mut libsrtp = Libsrtp::start()?;
    let keys = Keys::new(&run.keys)?;
    let mut seen = BTreeSet::new();
    let (mut media, mut floor) = (0, 0);
    for event in &run.events {
        let refused = [&names::MEDIA_REFUSED, &names::FLOOR_REFUSED];
        if event.clear.is_empty() || refused.iter().any(|n| n.name == event.name) {
            continue;
        }
        let (verb, count) = match event.protocol {
            Protocol::Rtp => ("rtp-unprotect", &mut media),
            Protocol::Rtcp => ("rtcp-unprotect", &mut floor),
            Protocol::Sip | Protocol::Http | Protocol::Mikey | Protocol::None => continue,
        };
        // Radio speech is not protected, and both ends of a hop report the same packet.
        if event.clear == event.raw || !seen.insert(event.raw.clone()) {
            continue;
        }
        // Both directions of a private call have one MKI: the second key is tried if need be.
        let mut opened = Err(no_key(event));
        for (packet, key) in keys.find(event)? {
            opened = libsrtp.ask(verb, &key, packet);
            if opened.is_ok() {
                break;
            }
        }
        ensure!(
            opened? == event.clear,
            "libsrtp opens {} of {} to other octets",
            event.summary,
            event.node
        );
        *count += 1;
    }
    ensure!(media > 0, "the run has no decrypted SRTP to compare");
    Ok(Opened { media, floor })
}

/// Master key, salt and MKI in hexadecimal, as the C program takes them.
#[derive(Debug, Clone)]
pub(crate) struct StreamKey {
    pub(crate) mki: String,
    pub(crate) key_and_salt: String,
}

/// The exported keys, found by MKI.
struct Keys {
    streams: HashMap<String, StreamKey>,
    distributed: Vec<KeyLogEntry>,
}

impl Keys {
    fn new(entries: &[KeyLogEntry]) -> anyhow::Result<Self> {
        let mut streams = HashMap::new();
        for entry in entries.iter().filter(|e| e.kind == KeyKind::Srtp) {
            let (Some(mki), Some(salt)) = (&entry.mki, &entry.salt) else {
                bail!("an SRTP key without MKI or salt in the key log");
            };
            let key = StreamKey {
                mki: mki.clone(),
                key_and_salt: format!("{}{salt}", entry.key),
            };
            streams.insert(index(mki, entry.cs_id.unwrap_or(0)), key);
        }
        Ok(Self {
            streams,
            distributed: entries.to_vec(),
        })
    }

    /// The keys a packet may have, each with the packet without the counter libsrtp does not know.
    fn find<'a>(&self, event: &'a Event) -> anyhow::Result<Vec<(&'a [u8], StreamKey)>> {
        let mut found = Vec::new();
        let raw = event.raw.as_slice();
        let group = raw.len().checked_sub(ROC).and_then(|end| raw.get(..end));
        let sessions: &[(CryptoSession, &[u8], usize)] = match (event.protocol, group) {
            (Protocol::Rtp, Some(group)) => &[
                (CryptoSession::GroupCall, group, 8),
                (CryptoSession::PrivateCallInitiator, raw, 4),
                (CryptoSession::PrivateCallReceiver, raw, 4),
            ],
            _ => &[(CryptoSession::FloorControl, raw, 4)],
        };
        for (session, packet, length) in sessions {
            let Some(mki) = packet
                .len()
                .checked_sub(*length)
                .and_then(|at| packet.get(at..))
            else {
                continue;
            };
            let mki = hex::encode(mki);
            let exported = self.streams.get(&index(&mki, *session as u8)).cloned();
            let key = match exported {
                Some(key) => Some(key),
                None => self.derive(&mki, *session)?,
            };
            found.extend(key.map(|key| (*packet, key)));
        }
        Ok(found)
    }

    /// Derives a stream's key where the lab exported the distributed key only.
    fn derive(&self, mki: &str, session: CryptoSession) -> anyhow::Result<Option<StreamKey>> {
        let (kind, (key_id, csb_id)) = if session == CryptoSession::GroupCall {
            (KeyKind::Gmk, mki.split_at(8))
        } else if session == CryptoSession::FloorControl {
            (KeyKind::Csk, (mki, mki))
        } else {
            (KeyKind::Pck, (mki, mki))
        };
        let wanted = |e: &&KeyLogEntry| e.kind == kind && e.key_id == key_id;
        let Some(entry) = self.distributed.iter().rev().find(wanted) else {
            return Ok(None);
        };
        let octets: [u8; 16] = hex::decode(&entry.key)?
            .try_into()
            .map_err(|_| anyhow::anyhow!("a key of {} digits", entry.key.len()))?;
        let rand = hex::decode(entry.rand.as_deref().context("a key without RAND")?)?;
        let csb_id = KeyId(u32::from_str_radix(csb_id, 16)?);
        let keys = if kind == KeyKind::Gmk {
            media_keys(&Gmk::from_octets(octets), session, csb_id, &rand)
        } else if kind == KeyKind::Csk {
            media_keys(&Csk::from_octets(octets), session, csb_id, &rand)
        } else {
            media_keys(&Pck::from_octets(octets), session, csb_id, &rand)
        };
        let key_and_salt = [hex::encode(keys.master_key), hex::encode(keys.master_salt)].concat();
        let mki = mki.to_owned();
        Ok(Some(StreamKey { mki, key_and_salt }))
    }
}

fn no_key(event: &Event) -> anyhow::Error {
    let raw = event.raw.as_slice();
    let tail = hex::encode(raw.get(raw.len().saturating_sub(12)..).unwrap_or(raw));
    let (what, node) = (&event.summary, &event.node);
    anyhow::anyhow!("no exported key for {what} of {node} (last octets {tail})")
}

fn index(mki: &str, cs_id: u8) -> String {
    format!("{mki}/{cs_id}")
}

pub(crate) struct Libsrtp {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Libsrtp {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (source, program) = (folder.path().join("peer.c"), folder.path().join("peer"));
        std::fs::write(&source, PROGRAM)?;
        let built = Command::new("cc")
            .args(["-O1", "-o"])
            .arg(&program)
            .arg(&source)
            .arg("-lsrtp2")
            .status()
            .context("no C compiler: run `make deps`")?;
        ensure!(built.success(), "libsrtp2-dev is missing: run `make deps`");
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let answers = child.stdout.take().context("no pipe")?;
        Ok(Self {
            child,
            answers: BufReader::new(answers),
        })
    }

    fn ask(&mut self, verb: &str, key: &StreamKey, packet: &[u8]) -> anyhow::Result<Vec<u8>> {
        let answer = self.answer(verb, key, packet)?;
        let mki = &key.mki;
        hex::decode(&answer).with_context(|| format!("libsrtp refuses MKI {mki}: {answer}"))
    }

    /// Whether a packet opens with a key.
    pub(crate) fn opens(
        &mut self,
        verb: &str,
        key: &StreamKey,
        packet: &[u8],
    ) -> anyhow::Result<bool> {
        let answer = self.answer(verb, key, packet)?;
        // No answer is no refusal.
        ensure!(!answer.is_empty(), "libsrtp has gone");
        Ok(!answer.starts_with("error"))
    }

    fn answer(&mut self, verb: &str, key: &StreamKey, packet: &[u8]) -> anyhow::Result<String> {
        let stdin = self.child.stdin.as_mut().context("no pipe")?;
        let (mki, secret) = (&key.mki, &key.key_and_salt);
        writeln!(stdin, "{verb} {mki} {secret} {}", hex::encode(packet))?;
        stdin.flush()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }
}

impl Drop for Libsrtp {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // A judge that does not end is ended.
        let _gone = self.child.wait();
    }
}
