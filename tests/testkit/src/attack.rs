//! What somebody can open who has taken a node over: every key it held, on every captured packet and
//! key message, whatever the protocol says the key is for.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use mc_ids::{Gmk, Key128 as _, KeyId};
use mc_trace::{Event, KeyKind, KeyLogEntry, Protocol};
use mikey::{CryptoSession, media_keys};

use crate::libsrtp::{Libsrtp, ROC, StreamKey};
use crate::recording::Recording;

/// Octets of a distributed key.
const KEY: usize = 16;
/// Crypto sessions whose keys are derived from each distributed key.
const SESSIONS: [CryptoSession; 4] = [
    CryptoSession::PrivateCallInitiator,
    CryptoSession::PrivateCallReceiver,
    CryptoSession::GroupCall,
    CryptoSession::FloorControl,
];
/// The length of SAKKE encapsulated data as a payload writes it (RFC 6509 4.2.1), and the form of the
/// point it begins with.
const ENCAPSULATED: [u8; 3] = [0x01, 0x11, 0x04];

/// Everything a node held.
#[derive(Debug, Clone, Default)]
pub struct Loot {
    /// Keys of 16 octets, whatever they were distributed as.
    keys: BTreeSet<[u8; KEY]>,
    /// SRTP master keys with their salts, in hexadecimal.
    streams: BTreeSet<String>,
    /// Every RAND of the run: they are not secret.
    rands: BTreeSet<Vec<u8>>,
}

impl Loot {
    /// What the nodes that are `taken` held in a run that exports its keys.
    ///
    /// # Errors
    /// A key log that is none.
    pub fn of(run: &Recording, taken: impl Fn(&str) -> bool) -> anyhow::Result<Self> {
        let mut loot = Self::default();
        for entry in &run.keys {
            if let Some(rand) = &entry.rand {
                loot.rands.insert(hex::decode(rand)?);
            }
            if taken(&entry.node) {
                loot.take(entry)?;
            }
        }
        Ok(loot)
    }

    fn take(&mut self, entry: &KeyLogEntry) -> anyhow::Result<()> {
        if entry.kind == KeyKind::Tls {
            return Ok(());
        }
        let octets = hex::decode(&entry.key)?;
        let key: [u8; KEY] = octets
            .try_into()
            .map_err(|_| anyhow::anyhow!("{entry:?} has another length"))?;
        self.keys.insert(key);
        if let Some(salt) = &entry.salt {
            self.streams.insert(format!("{}{salt}", entry.key));
        }
        Ok(())
    }

    /// Adds whatever may be a key in a text file: every word of 32 hexadecimal digits.
    pub fn carve(&mut self, file: &[u8]) {
        let mut digits = Vec::new();
        for octet in file.iter().copied().chain([0]) {
            if octet.is_ascii_hexdigit() {
                digits.push(octet);
                continue;
            }
            let key = hex::decode(&digits).ok().and_then(|k| k.try_into().ok());
            self.keys.extend::<Option<[u8; KEY]>>(key);
            digits.clear();
        }
    }

    /// The keys, to be tried on something else.
    pub fn keys(&self) -> impl Iterator<Item = &[u8; KEY]> {
        self.keys.iter()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.streams.is_empty()
    }

    /// Every SRTP key that can be made for a packet whose MKI ends with this key identifier.
    fn stream_keys(&self, csb_id: KeyId) -> BTreeSet<String> {
        let mut all = self.streams.clone();
        for key in &self.keys {
            for rand in &self.rands {
                for session in SESSIONS {
                    // The derivation is the same for keys of every purpose.
                    let keys = media_keys(&Gmk::from_octets(*key), session, csb_id, rand);
                    let (key, salt) = (&keys.master_key, &keys.master_salt);
                    all.insert(format!("{}{}", hex::encode(key), hex::encode(salt)));
                }
            }
        }
        all
    }
}

/// A protected packet as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packet {
    /// Whether it is SRTCP.
    pub control: bool,
    /// What libsrtp is given: without the counter of RFC 4771 that group media ends with.
    pub octets: Vec<u8>,
    /// The MKI, in hexadecimal.
    pub mki: String,
}

impl Packet {
    /// The packet of an event; group media has an MKI of eight octets and a counter after it.
    #[must_use]
    pub fn of(event: &Event, group: bool) -> Option<Self> {
        let control = match event.protocol {
            Protocol::Rtp => false,
            Protocol::Rtcp => true,
            Protocol::Sip | Protocol::Http | Protocol::Mikey | Protocol::None => return None,
        };
        let (counter, mki) = if group { (ROC, 8) } else { (0, 4) };
        let end = event.raw.len().checked_sub(counter)?;
        let octets = event.raw.get(..end)?.to_vec();
        let mki = hex::encode(octets.get(end.checked_sub(mki)?..)?);
        Some(Self {
            control,
            octets,
            mki,
        })
    }

    fn csb_id(&self) -> anyhow::Result<KeyId> {
        let last = self.mki.len().saturating_sub(8);
        let last = self.mki.get(last..).context("no MKI")?;
        Ok(KeyId(u32::from_str_radix(last, 16)?))
    }
}

/// Tries every key on every packet; libsrtp decides. Returns the packets that open.
///
/// # Errors
/// When libsrtp cannot be asked, or there is nothing to attack or to attack with.
pub fn open_media(packets: &BTreeSet<Packet>, loot: &Loot) -> anyhow::Result<Vec<Packet>> {
    ensure!(!packets.is_empty(), "no packet to attack");
    ensure!(!loot.is_empty(), "no key to attack with");
    let mut libsrtp = Libsrtp::start()?;
    let (mut opened, mut keys) = (Vec::new(), BTreeMap::new());
    for packet in packets {
        let csb_id = packet.csb_id()?;
        let keys = keys
            .entry(csb_id.0)
            .or_insert_with(|| loot.stream_keys(csb_id));
        let verb = match packet.control {
            true => "rtcp-unprotect",
            false => "rtp-unprotect",
        };
        for key_and_salt in &*keys {
            let (mki, key_and_salt) = (packet.mki.clone(), key_and_salt.clone());
            let key = StreamKey { mki, key_and_salt };
            if libsrtp.opens(verb, &key, &packet.octets)? {
                opened.push(packet.clone());
                break;
            }
        }
    }
    Ok(opened)
}

/// All SAKKE encapsulated data in a MIKEY message: for the receiver and, if there is one, for the
/// sender's own devices.
#[must_use]
pub fn encapsulated(message: &[u8]) -> Vec<&[u8]> {
    let starts = message.windows(ENCAPSULATED.len()).enumerate();
    let starts = starts.filter(|(_, octets)| *octets == ENCAPSULATED);
    let data = |(at, _): (usize, &[u8])| {
        let start = at.saturating_add(2);
        message.get(start..start.saturating_add(mikey_sakke::SED_OCTETS))
    };
    starts.filter_map(data).collect()
}
