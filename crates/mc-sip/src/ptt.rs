//! Push-to-talk of an analogue radio channel: INFO inside its dialog with a small JSON body, both ways.
//!
//! `{"ptt":"on","unit":"1001","emergency":false,"talker":"sip:alice@mc.example"}`. The format is our
//! own: SIP has none for a channel's key. A softphone knows nothing of it and is understood by its
//! speech alone.

use serde::{Deserialize, Serialize};

/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/vnd.mcbox.ptt+json";
/// Longest body accepted, in octets.
const MAX_BODY: usize = 4096;
/// Longest unit or talker accepted, in octets.
const MAX_NAME: usize = 256;

/// What happened to the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ptt {
    /// Pressed.
    On,
    /// Released.
    Off,
    /// The receiver's press, or the talker it relayed, is refused.
    Denied,
}

/// The body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PttInfo {
    /// What happened.
    pub ptt: Ptt,
    /// Unit number of the talker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Emergency call.
    #[serde(default)]
    pub emergency: bool,
    /// Name or address of the talker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talker: Option<String>,
}

impl PttInfo {
    /// A body that names nobody.
    #[must_use]
    pub const fn bare(ptt: Ptt) -> Self {
        Self {
            ptt,
            unit: None,
            emergency: false,
            talker: None,
        }
    }

    /// Reads a body; unknown members are ignored.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        if body.len() > MAX_BODY {
            return None;
        }
        let info: Self = serde_json::from_slice(body).ok()?;
        let short = |text: &Option<String>| text.as_ref().is_none_or(|t| t.len() <= MAX_NAME);
        (short(&info.unit) && short(&info.talker)).then_some(info)
    }

    /// Writes the body.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_the_radio_system_are_read_and_hostile_ones_are_not() {
        let text = r#"{"ptt":"on","unit":"1001","emergency":true,"talker":"a","new":1}"#;
        let on = PttInfo::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (on.ptt, on.unit.as_deref(), on.emergency),
            (Ptt::On, Some("1001"), true)
        );
        let off = PttInfo::bare(Ptt::Off).to_body();
        assert_eq!(
            String::from_utf8(off).unwrap(),
            r#"{"ptt":"off","emergency":false}"#
        );
        for bad in [
            "",
            "{",
            "[]",
            r#"{"ptt":"maybe"}"#,
            r#"{"unit":"1"}"#,
            r#"{"ptt":"on","unit":7}"#,
        ] {
            assert_eq!(PttInfo::parse(bad.as_bytes()), None, "{bad}");
        }
        let long = format!(r#"{{"ptt":"on","talker":"{}"}}"#, "x".repeat(300));
        assert_eq!(PttInfo::parse(long.as_bytes()), None);
        assert_eq!(PttInfo::parse(&[b' '; 5000]), None);
    }
}
