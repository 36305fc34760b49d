//! The `a=fmtp:MCPTT` parameters (TS 24.380 14).

use std::fmt;
use std::str::FromStr;

use crate::error::SdpError;

/// What a floor control offer or answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FloorParameters {
    /// `mc_queueing`: queueing of floor requests is supported.
    pub queueing: bool,
    /// `mc_priority`: 1 to 255, in an offer the highest wanted, in an answer the granted one.
    pub priority: Option<u8>,
    /// `mc_granted`: in an offer "understood", in an answer "the floor is granted".
    pub granted: bool,
    /// `mc_implicit_request`: the INVITE is a floor request.
    pub implicit_request: bool,
    /// `mc_no_floor_ctrl`: pre-established session without floor control.
    pub no_floor_control: bool,
    /// `mc_reception_priority`.
    pub reception_priority: Option<u8>,
    /// `mc_floor_ssrc`: the SSRC the peer must use in floor control messages.
    pub floor_ssrc: Option<u32>,
    /// `mc_ssrc`: the SSRC the peer must use in media packets.
    pub ssrc: Option<u32>,
}

impl FloorParameters {
    /// Answers an offer: nothing that was not offered, priority not above the offered one.
    //= TS 24.380 14.3.3
    #[must_use]
    pub fn answer(&self, granted_priority: u8, accept_implicit: bool, floor_granted: bool) -> Self {
        Self {
            queueing: self.queueing,
            priority: self.priority.map(|offered| offered.min(granted_priority)),
            granted: self.granted && floor_granted,
            implicit_request: self.implicit_request && accept_implicit,
            ..Self::default()
        }
    }
}

impl FromStr for FloorParameters {
    type Err = SdpError;

    fn from_str(text: &str) -> Result<Self, SdpError> {
        let mut out = Self::default();
        for item in text
            .split(';')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            let bad = SdpError::NotAcceptable;
            match name.trim() {
                "mc_queueing" => out.queueing = true,
                "mc_priority" => {
                    out.priority = Some(value.parse().ok().filter(|p| *p > 0).ok_or(bad)?);
                }
                "mc_granted" => out.granted = true,
                "mc_implicit_request" => out.implicit_request = true,
                "mc_no_floor_ctrl" => out.no_floor_control = true,
                "mc_reception_priority" => {
                    out.reception_priority = Some(value.parse().map_err(|_| bad)?);
                }
                "mc_floor_ssrc" => out.floor_ssrc = Some(value.parse().map_err(|_| bad)?),
                "mc_ssrc" => out.ssrc = Some(value.parse().map_err(|_| bad)?),
                // Unknown parameters are ignored (TS 24.380 14.2.1).
                _ => {}
            }
        }
        Ok(out)
    }
}

impl fmt::Display for FloorParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = Vec::new();
        if self.queueing {
            items.push("mc_queueing".to_owned());
        }
        items.extend(
            self.priority
                .map(|priority| format!("mc_priority={priority}")),
        );
        if self.granted {
            items.push("mc_granted".to_owned());
        }
        if self.implicit_request {
            items.push("mc_implicit_request".to_owned());
        }
        if self.no_floor_control {
            items.push("mc_no_floor_ctrl".to_owned());
        }
        items.extend(
            self.reception_priority
                .map(|priority| format!("mc_reception_priority={priority}")),
        );
        items.extend(self.floor_ssrc.map(|ssrc| format!("mc_floor_ssrc={ssrc}")));
        items.extend(self.ssrc.map(|ssrc| format!("mc_ssrc={ssrc}")));
        f.write_str(&items.join(";"))
    }
}
