//! The key log of a lab that exports its keys: one line of JSON per key.
//!
//! Nothing but the writer behind the lab switch `lab_keys` makes these lines; they exist so that a
//! capture can be decrypted by somebody else's tool.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One exported key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLogEntry {
    /// Unix time in microseconds; 0 means "the tracer stamps it".
    pub time_us: u64,
    /// The node that held the key; empty means "the tracer fills it in".
    pub node: String,
    /// What the key is.
    pub kind: KeyKind,
    /// Identifier, eight hexadecimal digits (GMK-ID, PCK-ID, CSK-ID, SPK-ID; CSB-ID of a stream).
    pub key_id: String,
    /// Key octets in hexadecimal (for TLS the whole line in NSS key log format).
    pub key: String,
    /// RAND of the MIKEY message that carried it, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rand: Option<String>,
    /// Master salt in hexadecimal, for an SRTP master key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// MKI as it stands in the packets, in hexadecimal, for an SRTP master key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mki: Option<String>,
    /// CS-ID of the derivation (TS 33.180 table E.1.3-1), for an SRTP master key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cs_id: Option<u8>,
}

/// What an exported key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Group master key.
    Gmk,
    /// Private call key.
    Pck,
    /// Client-server key.
    Csk,
    /// Signalling protection key.
    Spk,
    /// SRTP or SRTCP master key derived from one of the others.
    Srtp,
    /// TLS secret, an NSS key log line.
    Tls,
}

impl KeyLogEntry {
    /// A distributed key with the RAND of its MIKEY message.
    #[must_use]
    pub fn distributed(kind: KeyKind, key_id: u32, key: &[u8], rand: &[u8]) -> Self {
        Self {
            rand: Some(hex::encode(rand)),
            ..Self::bare(kind, format!("{key_id:08x}"), hex::encode(key))
        }
    }

    /// A derived SRTP or SRTCP master key and salt, with the MKI that selects it in packets.
    #[must_use]
    pub fn srtp(csb_id: u32, cs_id: u8, key: &[u8], salt: &[u8], mki: &[u8]) -> Self {
        Self {
            salt: Some(hex::encode(salt)),
            mki: Some(hex::encode(mki)),
            cs_id: Some(cs_id),
            ..Self::bare(KeyKind::Srtp, format!("{csb_id:08x}"), hex::encode(key))
        }
    }

    /// A line of a TLS key log (`CLIENT_RANDOM ...`, `SERVER_TRAFFIC_SECRET_0 ...`).
    #[must_use]
    pub fn tls(line: &str) -> Self {
        Self::bare(KeyKind::Tls, String::new(), line.trim().to_owned())
    }

    const fn bare(kind: KeyKind, key_id: String, key: String) -> Self {
        Self {
            time_us: 0,
            node: String::new(),
            kind,
            key_id,
            key,
            rand: None,
            salt: None,
            mki: None,
            cs_id: None,
        }
    }
}

impl fmt::Debug for KeyLogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "KeyLogEntry({:?} {} [{} digits])",
            self.kind,
            self.key_id,
            self.key.len()
        )
    }
}

/// Reads a key log's text, skipping lines that are not entries.
pub fn read(text: &str) -> impl Iterator<Item = KeyLogEntry> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

/// The TLS lines of a key log, as a file Wireshark and [`crate::pcapng`] take.
#[must_use]
pub fn tls_lines(entries: &[KeyLogEntry]) -> String {
    entries
        .iter()
        .filter(|e| e.kind == KeyKind::Tls)
        .map(|e| format!("{}\n", e.key))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_their_line_and_debug_shows_no_key() {
        let entries = [
            KeyLogEntry::distributed(KeyKind::Gmk, 0x09bf_9d37, &[0xab; 16], &[1; 16]),
            KeyLogEntry::srtp(0x01c8_de7b, 4, &[0xab; 16], &[0xcd; 12], &[9; 8]),
            KeyLogEntry::tls("CLIENT_RANDOM aa bb\n"),
        ];
        let text: String = entries
            .iter()
            .map(|e| serde_json::to_string(e).unwrap() + "\n")
            .collect();
        assert_eq!(read(&text).collect::<Vec<_>>(), entries);
        assert_eq!(tls_lines(&entries), "CLIENT_RANDOM aa bb\n");
        assert!(!format!("{entries:?}").contains("abab"));
    }
}
