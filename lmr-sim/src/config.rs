//! The configuration of the radio network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mc_runtime::http::ServerConfig;
use mc_runtime::logging::LogConfig;
use mc_runtime::sip::SipConfig;
use mc_runtime::trace::TraceConfig;
use serde::Deserialize;

use crate::impair::Impairments;

/// Everything `lmr-sim.toml` may hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LmrConfig {
    /// Log settings.
    pub log: LogConfig,
    /// API. Default plain HTTP on 127.0.0.1:8446; request bodies up to 8 MiB (WAV files).
    pub http: ServerConfig,
    /// SIP side of the analogue air interface. Default 127.0.0.1:5070.
    pub sip: SipConfig,
    /// Speech of the analogue air interface.
    pub media: MediaConfig,
    /// Calls of single radios.
    pub unit_calls: UnitCallConfig,
    /// Talkgroups and radios.
    pub network: NetworkConfig,
    /// Impairments of the link at start; the API changes them.
    pub impairments: Impairments,
    /// Trace events.
    pub trace: TraceConfig,
}

impl Default for LmrConfig {
    fn default() -> Self {
        let mut http = ServerConfig::plain(loopback(8446));
        http.max_body = MAX_WAV;
        Self {
            log: LogConfig::default(),
            http,
            sip: SipConfig {
                bind: loopback(5070),
                ..SipConfig::default()
            },
            media: MediaConfig::default(),
            unit_calls: UnitCallConfig::default(),
            network: NetworkConfig::default(),
            impairments: Impairments::default(),
            trace: TraceConfig::default(),
        }
    }
}

/// Largest request body that a WAV may need, in octets.
pub const MAX_WAV: usize = 8 * 1024 * 1024;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl mc_runtime::service::ServiceConfig for LmrConfig {
    fn log(&self) -> &LogConfig {
        &self.log
    }
}

/// RTP of the analogue air interface.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaConfig {
    /// Address that RTP sockets are bound to. Default: that of `sip.bind`.
    pub bind: Option<IpAddr>,
    /// Address written into SDP. Default: the one that faces the peer.
    pub advertised: Option<IpAddr>,
    /// Milliseconds without speech after which the key counts as released. Default 500.
    pub silence_ms: u64,
    /// Level (root mean square, of 32767) below which a leg that signals no push-to-talk counts as
    /// silent; softphones send all the time. 0 takes every packet as speech. Default 150.
    pub vox_level: u16,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            bind: None,
            advertised: None,
            silence_ms: 500,
            vox_level: 150,
        }
    }
}

/// Calls of single radios with users of other systems.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnitCallConfig {
    /// SIP address that takes what radios dial (`sip:127.0.0.1:5062;transport=tcp`). Default none:
    /// radios are called only.
    pub gateway: Option<String>,
    /// Domain of the radios: unit N is `sip:unitN@<domain>`. Default `lmr`.
    pub domain: String,
    /// Seconds a call may ring. Default 30.
    pub ring_s: u64,
}

impl Default for UnitCallConfig {
    fn default() -> Self {
        Self {
            gateway: None,
            domain: "lmr".to_owned(),
            ring_s: 30,
        }
    }
}

/// Talkgroups and radios.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// Talkgroup numbers; talkgroup N is the channel `sip:chanN@lmr`. Default 1 and 2.
    pub talkgroups: Vec<u32>,
    /// Radios. Default 1001 and 1002 on talkgroup 1, 1003 on talkgroup 2.
    pub units: Vec<UnitConfig>,
    /// Unit shown for a talker without a number. Default `0`.
    pub reserved_unit: String,
    /// Milliseconds that a channel stays up after a talk spurt. Default 1000.
    pub hang_ms: u64,
    /// Longest talk spurt in seconds. Default 60.
    pub talk_limit_s: u64,
    /// Milliseconds that a radio shows a refused press. Default 2000.
    pub denied_ms: u64,
    /// Most call legs of the air side. Default 64.
    pub max_legs: usize,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        let unit = |unit: &str, talkgroup| UnitConfig {
            unit: unit.to_owned(),
            talkgroup,
            manual_answer: false,
        };
        Self {
            talkgroups: vec![1, 2],
            units: vec![
                unit("1001", Some(1)),
                unit("1002", Some(1)),
                unit("1003", Some(2)),
            ],
            reserved_unit: "0".to_owned(),
            hang_ms: 1000,
            talk_limit_s: 60,
            denied_ms: 2000,
            max_legs: 64,
        }
    }
}

impl NetworkConfig {
    /// Hang time.
    #[must_use]
    pub const fn hang_time(&self) -> Duration {
        Duration::from_millis(self.hang_ms)
    }

    /// Longest talk spurt.
    #[must_use]
    pub const fn talk_limit(&self) -> Duration {
        Duration::from_secs(self.talk_limit_s)
    }

    /// How long a refusal is shown.
    #[must_use]
    pub const fn denied_shown(&self) -> Duration {
        Duration::from_millis(self.denied_ms)
    }
}

/// One radio.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitConfig {
    /// Unit number.
    pub unit: String,
    /// Talkgroup it is tuned to at start. Default none.
    #[serde(default)]
    pub talkgroup: Option<u32>,
    /// Whether calls wait for the user to answer; the API changes it. Default false: the radio
    /// answers by itself.
    #[serde(default)]
    pub manual_answer: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_unknown_fields() {
        let config: LmrConfig = toml::from_str("").unwrap();
        assert_eq!(config.network.talkgroups, [1, 2]);
        let text = "[network]\nhang_ms = 500\nunits = [{ unit = '2001', talkgroup = 1 }]\n";
        let config: LmrConfig = toml::from_str(text).unwrap();
        assert_eq!(config.network.hang_time(), Duration::from_millis(500));
        assert_eq!(config.network.units[0].unit, "2001");
        assert!(toml::from_str::<LmrConfig>("[network]\nhang = 1\n").is_err());
    }
}
