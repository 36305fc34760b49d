//! The two descriptions this system exchanges: MCPTT (AMR-WB and floor control) and LMR (PCMU).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Attribute, FloorParameters, Media, Origin, Sdp};
use crate::error::SdpError;

/// An audio format picked from a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioFormat {
    /// AMR-WB (RFC 4867).
    AmrWb {
        /// RTP payload type.
        payload_type: u8,
        /// Octet-aligned instead of bandwidth-efficient payload.
        octet_align: bool,
    },
    /// G.711 mu-law.
    Pcmu,
}

/// What an MCPTT description says about a call leg, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpttMedia {
    /// Where audio is received.
    pub audio: SocketAddr,
    /// The audio format: AMR-WB.
    pub payload_type: u8,
    /// Octet-aligned instead of bandwidth-efficient payload (RFC 4867 8.1).
    pub octet_align: bool,
    /// Profile of the audio section, `RTP/AVP` or `RTP/SAVP`.
    pub protocol: String,
    /// Where floor control is received; `None` for a call without floor control.
    pub floor: Option<SocketAddr>,
    /// The floor control parameters.
    pub floor_parameters: FloorParameters,
    /// The MIKEY message of a private call, in base64.
    pub key_mgmt: Option<String>,
}

impl McpttMedia {
    /// A leg with octet-aligned AMR-WB on payload type 96.
    #[must_use]
    pub fn new(
        audio: SocketAddr,
        floor: Option<SocketAddr>,
        floor_parameters: FloorParameters,
    ) -> Self {
        Self {
            audio,
            payload_type: 96,
            octet_align: true,
            protocol: "RTP/AVP".to_owned(),
            floor,
            floor_parameters,
            key_mgmt: None,
        }
    }

    /// Whether it says that the audio is SRTP: a secure profile, or a key for it. Without either it may be
    /// SRTP all the same: a group's key is not in its descriptions.
    //= RFC 3711 12
    //= RFC 4567 3.1.2
    #[must_use]
    pub fn asks_for_srtp(&self) -> bool {
        let profile = self.protocol.to_ascii_uppercase();
        profile.contains("SAVP") || self.key_mgmt.is_some()
    }

    /// Reads an offer or answer.
    ///
    /// # Errors
    /// No usable audio section: the offer is answered with 488.
    pub fn from_sdp(sdp: &Sdp) -> Result<Self, SdpError> {
        let audio = sdp.audio().ok_or(SdpError::NotAcceptable)?;
        let (payload_type, octet_align) = audio
            .formats
            .iter()
            .find_map(|format| amr_wb(audio, format))
            .ok_or(SdpError::NotAcceptable)?;
        let address = |media: &Media| -> Result<SocketAddr, SdpError> {
            let ip = sdp.address_of(media).ok_or(SdpError::Missing('c'))?;
            if is_host(ip) {
                Ok(SocketAddr::new(ip, media.port))
            } else {
                Err(SdpError::Destination(ip))
            }
        };
        let floor = sdp.floor();
        let floor_parameters = match floor.and_then(|media| media.fmtp("MCPTT")) {
            Some(text) => text.parse()?,
            None => FloorParameters::default(),
        };
        Ok(Self {
            audio: address(audio)?,
            payload_type,
            octet_align,
            protocol: audio.protocol.clone(),
            floor: floor.map(address).transpose()?,
            floor_parameters,
            key_mgmt: sdp.key_mgmt().map(str::to_owned),
        })
    }

    /// Writes an offer or answer.
    //= TS 24.379 6.2.1
    #[must_use]
    pub fn to_sdp(&self, session_id: u64, version: u64) -> Sdp {
        let pt = self.payload_type;
        let mut fmtp = format!("{pt} ");
        if self.octet_align {
            fmtp.push_str("octet-align=1;");
        }
        fmtp.push_str("max-red=0");
        let mut audio = Media {
            kind: "audio".to_owned(),
            port: self.audio.port(),
            protocol: self.protocol.clone(),
            formats: vec![pt.to_string()],
            information: Some("speech".to_owned()),
            bandwidth: vec!["AS:41".to_owned()],
            attributes: vec![
                Attribute::new("rtpmap", format!("{pt} AMR-WB/16000/1")),
                Attribute::new("fmtp", fmtp),
                Attribute::new("ptime", "20"),
                Attribute::new("maxptime", "240"),
            ],
            connection: None,
        };
        if let Some(mikey) = &self.key_mgmt {
            audio
                .attributes
                .push(Attribute::new("key-mgmt", format!("mikey {mikey}")));
        }
        audio.attributes.push(Attribute::flag("sendrecv"));
        let mut media = vec![audio];
        if let Some(floor) = self.floor {
            media.push(self.floor_section(floor));
        }
        description(self.audio.ip(), session_id, version, media)
    }

    fn floor_section(&self, floor: SocketAddr) -> Media {
        let parameters = self.floor_parameters.to_string();
        let mut attributes = Vec::new();
        if !parameters.is_empty() {
            attributes.push(Attribute::new("fmtp", format!("MCPTT {parameters}")));
        }
        let connection = (floor.ip() != self.audio.ip()).then(|| floor.ip().to_string());
        Media {
            kind: "application".to_owned(),
            port: floor.port(),
            protocol: "udp".to_owned(),
            formats: vec!["MCPTT".to_owned()],
            connection,
            attributes,
            ..Media::default()
        }
    }
}

/// Whether an address is that of one host: what is sent to the others reaches many, or this host
/// itself.
const fn is_host(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(Ipv4Addr::BROADCAST));
    !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}

fn amr_wb(audio: &Media, format: &str) -> Option<(u8, bool)> {
    let mapping = audio.rtpmap(format)?.to_ascii_uppercase();
    if mapping != "AMR-WB/16000" && mapping != "AMR-WB/16000/1" {
        return None;
    }
    let fmtp: Vec<(&str, &str)> = audio
        .fmtp(format)
        .unwrap_or("")
        .split(';')
        .filter_map(|item| item.trim().split_once('='))
        .collect();
    let is_set = |name: &str| {
        fmtp.iter()
            .any(|(n, v)| n.eq_ignore_ascii_case(name) && v.trim() != "0")
    };
    // Interleaving, robust sorting and CRC change the payload layout and are not offered by us.
    if is_set("interleaving") || is_set("robust-sorting") || is_set("crc") {
        return None;
    }
    Some((
        format.parse().ok().filter(|pt| *pt < 128)?,
        is_set("octet-align"),
    ))
}

fn description(address: IpAddr, session_id: u64, version: u64, media: Vec<Media>) -> Sdp {
    Sdp {
        origin: Origin {
            username: "-".to_owned(),
            session_id,
            version,
            address: address.to_string(),
        },
        name: "-".to_owned(),
        connection: Some(address.to_string()),
        bandwidth: Vec::new(),
        timing: vec!["0 0".to_owned()],
        attributes: Vec::new(),
        media,
    }
}

/// What an analogue LMR description says about a call leg: G.711 mu-law, 20 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcmuMedia {
    /// Where audio is received.
    pub audio: SocketAddr,
    /// The payload type of `telephone-event/8000`, when offered (RFC 4733).
    pub telephone_event: Option<u8>,
}

impl PcmuMedia {
    /// Reads an offer or answer.
    ///
    /// # Errors
    /// PCMU is not among the formats: the offer is answered with 488.
    pub fn from_sdp(sdp: &Sdp) -> Result<Self, SdpError> {
        let audio = sdp.audio().ok_or(SdpError::NotAcceptable)?;
        let named = |format: &&String, wanted: &str| {
            audio.rtpmap(format).is_some_and(|mapping| {
                let mapping = mapping.to_ascii_uppercase();
                mapping == wanted || mapping.strip_suffix("/1") == Some(wanted)
            })
        };
        if !audio
            .formats
            .iter()
            .any(|format| format == "0" && named(&format, "PCMU/8000"))
        {
            return Err(SdpError::NotAcceptable);
        }
        let event = audio
            .formats
            .iter()
            .find(|format| named(format, "TELEPHONE-EVENT/8000"));
        let ip = sdp.address_of(audio).ok_or(SdpError::Missing('c'))?;
        Ok(Self {
            audio: SocketAddr::new(ip, audio.port),
            telephone_event: event.and_then(|format| format.parse().ok()),
        })
    }

    /// Writes an offer or answer.
    #[must_use]
    pub fn to_sdp(&self, session_id: u64, version: u64) -> Sdp {
        let mut formats = vec!["0".to_owned()];
        let mut attributes = vec![Attribute::new("rtpmap", "0 PCMU/8000")];
        if let Some(pt) = self.telephone_event {
            formats.push(pt.to_string());
            attributes.push(Attribute::new(
                "rtpmap",
                format!("{pt} telephone-event/8000"),
            ));
            attributes.push(Attribute::new("fmtp", format!("{pt} 0-15")));
        }
        attributes.push(Attribute::new("ptime", "20"));
        attributes.push(Attribute::flag("sendrecv"));
        let audio = Media {
            kind: "audio".to_owned(),
            port: self.audio.port(),
            protocol: "RTP/AVP".to_owned(),
            formats,
            attributes,
            ..Media::default()
        };
        description(self.audio.ip(), session_id, version, vec![audio])
    }
}
