//! Push-to-talk inside the dialog: INFO with a small JSON body, both ways.
//!
//! `{"ptt":"on","unit":"1001","emergency":false,"talker":"sip:alice@mc.example"}`. A softphone knows
//! nothing of it and is understood by its speech alone.

use serde::{Deserialize, Serialize};

/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/vnd.mcbox.ptt+json";
/// Longest body accepted, in octets.
const MAX_BODY: usize = 4096;

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
    /// Reads a body; unknown members are ignored.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        if body.len() > MAX_BODY {
            return None;
        }
        let info: Self = serde_json::from_slice(body).ok()?;
        let short = |text: &Option<String>| text.as_ref().is_none_or(|t| t.len() <= 256);
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
    fn body_and_hostile_bodies() {
        let on =
            PttInfo::parse(br#"{"ptt":"on","unit":"1001","emergency":false,"talker":"a","new":1}"#);
        assert_eq!(on.as_ref().map(|i| i.ptt), Some(Ptt::On));
        let on = on.unwrap();
        assert_eq!(
            String::from_utf8(on.to_body()).unwrap(),
            r#"{"ptt":"on","unit":"1001","emergency":false,"talker":"a"}"#
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
