//! Session descriptions (RFC 4566) with the MCPTT floor control stream (TS 24.380 12, 14).

mod floor;
mod offer;

pub use floor::FloorParameters;
pub use offer::{AudioFormat, McpttMedia, PcmuMedia};

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::SdpError;

/// Longest description accepted, in octets.
const MAX_SIZE: usize = 16_384;
/// Most lines accepted.
const MAX_LINES: usize = 512;
/// Most media sections accepted.
const MAX_MEDIA: usize = 16;

/// The `o=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// User name, `-` in MCPTT.
    pub username: String,
    /// Session identifier.
    pub session_id: u64,
    /// Session version, one higher with each changed description.
    pub version: u64,
    /// Unicast address of the creator.
    pub address: String,
}

/// One `a=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The name.
    pub name: String,
    /// What follows the colon.
    pub value: Option<String>,
}

/// One media section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `application` ...
    pub kind: String,
    /// Transport port; 0 = rejected or disabled.
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, `udp` ...
    pub protocol: String,
    /// Format tokens in order of preference.
    pub formats: Vec<String>,
    /// `i=`
    pub information: Option<String>,
    /// Connection address of this section.
    pub connection: Option<String>,
    /// `b=` lines.
    pub bandwidth: Vec<String>,
    /// `a=` lines.
    pub attributes: Vec<Attribute>,
}

/// A session description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sdp {
    /// `o=`
    pub origin: Origin,
    /// `s=`
    pub name: String,
    /// Connection address of the session.
    pub connection: Option<String>,
    /// `b=` lines of the session.
    pub bandwidth: Vec<String>,
    /// `t=` and the lines that repeat it; `0 0` in MCPTT.
    pub timing: Vec<String>,
    /// `a=` lines of the session.
    pub attributes: Vec<Attribute>,
    /// Media sections.
    pub media: Vec<Media>,
}

impl Attribute {
    /// An attribute with a value.
    #[must_use]
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value.into()),
        }
    }

    /// An attribute without value.
    #[must_use]
    pub fn flag(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: None,
        }
    }

    fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some((name, value)) => Self::new(name, value),
            None => Self::flag(text),
        }
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> impl Iterator<Item = &'a str> {
    attributes
        .iter()
        .filter(move |a| a.name.eq_ignore_ascii_case(name))
        .map(|a| a.value.as_deref().unwrap_or(""))
}

impl Media {
    /// The first value of an attribute (empty for a flag).
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find(&self.attributes, name).next()
    }

    /// The value of `a=fmtp:` for a format.
    #[must_use]
    pub fn fmtp(&self, format: &str) -> Option<&str> {
        find(&self.attributes, "fmtp").find_map(|value| {
            let (token, parameters) = value.split_once(' ').unwrap_or((value, ""));
            (token == format).then_some(parameters.trim())
        })
    }

    /// The value of `a=rtpmap:` for a payload type; static type 0 is PCMU.
    #[must_use]
    pub fn rtpmap(&self, format: &str) -> Option<&str> {
        let mapped = find(&self.attributes, "rtpmap").find_map(|value| {
            let (token, mapping) = value.split_once(' ')?;
            (token == format).then_some(mapping.trim())
        });
        mapped.or((format == "0").then_some("PCMU/8000"))
    }

    /// Whether this is the floor control stream `m=application ... udp MCPTT`.
    #[must_use]
    pub fn is_floor_control(&self) -> bool {
        self.kind == "application"
            && self.protocol.eq_ignore_ascii_case("udp")
            && self
                .formats
                .first()
                .is_some_and(|format| format.eq_ignore_ascii_case("MCPTT"))
    }
}

impl Sdp {
    /// The first audio section that is not disabled.
    #[must_use]
    pub fn audio(&self) -> Option<&Media> {
        self.media
            .iter()
            .find(|media| media.kind == "audio" && media.port != 0)
    }

    /// The floor control section that is not disabled.
    #[must_use]
    pub fn floor(&self) -> Option<&Media> {
        self.media
            .iter()
            .find(|media| media.is_floor_control() && media.port != 0)
    }

    /// The address media of a section is sent to.
    #[must_use]
    pub fn address_of(&self, media: &Media) -> Option<IpAddr> {
        media
            .connection
            .as_ref()
            .or(self.connection.as_ref())?
            .parse()
            .ok()
    }

    /// The MIKEY message of `a=key-mgmt:mikey` at session or media level, still in base64 (RFC 4567).
    #[must_use]
    pub fn key_mgmt(&self) -> Option<&str> {
        self.all_key_mgmt().next()
    }

    /// Every MIKEY message, those of the session first.
    pub fn all_key_mgmt(&self) -> impl Iterator<Item = &str> {
        let media = self
            .media
            .iter()
            .flat_map(|media| find(&media.attributes, "key-mgmt"));
        find(&self.attributes, "key-mgmt")
            .chain(media)
            .filter_map(|value| value.strip_prefix("mikey "))
            .map(str::trim)
    }

    /// Reads a description from a body.
    ///
    /// # Errors
    /// Not UTF-8, too long, malformed or incomplete.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MAX_SIZE {
            return Err(SdpError::NotText);
        }
        std::str::from_utf8(body)
            .map_err(|_| SdpError::NotText)?
            .parse()
    }

    fn accept(&mut self, kind: char, value: &str) -> Result<(), ()> {
        let media = self.media.last_mut();
        match (kind, media) {
            ('m', _) => self.media.push(parse_media(value).ok_or(())?),
            ('i', Some(media)) => media.information = Some(value.to_owned()),
            ('c', Some(media)) => media.connection = Some(parse_connection(value).ok_or(())?),
            ('b', Some(media)) => media.bandwidth.push(value.to_owned()),
            ('a', Some(media)) => media.attributes.push(Attribute::parse(value)),
            ('o', None) => self.origin = parse_origin(value).ok_or(())?,
            ('s', None) => value.clone_into(&mut self.name),
            ('c', None) => self.connection = Some(parse_connection(value).ok_or(())?),
            ('b', None) => self.bandwidth.push(value.to_owned()),
            ('t', None) => self.timing.push(value.to_owned()),
            ('a', None) => self.attributes.push(Attribute::parse(value)),
            // Read over: information, URI, e-mail, phone, repeat times, zones, the obsolete k= line.
            ('i' | 'u' | 'e' | 'p' | 'r' | 'z' | 'k', _) => {}
            _ => return Err(()),
        }
        Ok(())
    }
}

fn parse_origin(value: &str) -> Option<Origin> {
    let words: Vec<&str> = value.split(' ').collect();
    let [username, id, version, "IN", "IP4" | "IP6", address] = words.as_slice() else {
        return None;
    };
    Some(Origin {
        username: (*username).to_owned(),
        session_id: id.parse().ok()?,
        version: version.parse().ok()?,
        address: (*address).to_owned(),
    })
}

fn parse_connection(value: &str) -> Option<String> {
    let words: Vec<&str> = value.split(' ').collect();
    let ["IN", "IP4" | "IP6", address] = words.as_slice() else {
        return None;
    };
    Some(address.split('/').next()?.to_owned())
}

fn parse_media(value: &str) -> Option<Media> {
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    let kind = words.next()?.to_owned();
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let protocol = words.next()?.to_owned();
    let formats: Vec<String> = words.map(str::to_owned).collect();
    (!formats.is_empty()).then(|| Media {
        kind,
        port,
        protocol,
        formats,
        ..Media::default()
    })
}

impl FromStr for Sdp {
    type Err = SdpError;

    //= RFC 4566 5
    fn from_str(text: &str) -> Result<Self, SdpError> {
        let mut sdp = Self {
            origin: Origin {
                username: String::new(),
                session_id: 0,
                version: 0,
                address: String::new(),
            },
            name: String::new(),
            connection: None,
            bandwidth: Vec::new(),
            timing: Vec::new(),
            attributes: Vec::new(),
            media: Vec::new(),
        };
        let mut seen = String::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if line.is_empty() && seen.contains('v') {
                continue;
            }
            if number > MAX_LINES || line.contains(|c: char| c.is_control() && c != '\t') {
                return Err(SdpError::Line(number));
            }
            let mut parts = line.splitn(2, '=');
            let (Some(kind), Some(value)) =
                (parts.next().filter(|kind| kind.len() == 1), parts.next())
            else {
                return Err(SdpError::Line(number));
            };
            let kind = kind.chars().next().unwrap_or(' ');
            if seen.is_empty() {
                if kind != 'v' || value != "0" {
                    return Err(SdpError::Line(number));
                }
            } else {
                sdp.accept(kind, value)
                    .map_err(|()| SdpError::Line(number))?;
            }
            if sdp.media.len() > MAX_MEDIA {
                return Err(SdpError::TooManyMedia);
            }
            seen.push(kind);
        }
        match ['v', 'o', 's', 't']
            .into_iter()
            .find(|kind| !seen.contains(*kind))
        {
            Some(missing) => Err(SdpError::Missing(missing)),
            None => Ok(sdp),
        }
    }
}

fn family(address: &str) -> &'static str {
    if address.contains(':') { "IP6" } else { "IP4" }
}

fn write_attributes(f: &mut fmt::Formatter<'_>, attributes: &[Attribute]) -> fmt::Result {
    for attribute in attributes {
        match &attribute.value {
            Some(value) => write!(f, "a={}:{value}\r\n", attribute.name)?,
            None => write!(f, "a={}\r\n", attribute.name)?,
        }
    }
    Ok(())
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "m={} {} {} {}\r\n",
            self.kind,
            self.port,
            self.protocol,
            self.formats.join(" ")
        )?;
        if let Some(information) = &self.information {
            write!(f, "i={information}\r\n")?;
        }
        if let Some(connection) = &self.connection {
            write!(f, "c=IN {} {connection}\r\n", family(connection))?;
        }
        for bandwidth in &self.bandwidth {
            write!(f, "b={bandwidth}\r\n")?;
        }
        write_attributes(f, &self.attributes)
    }
}

impl fmt::Display for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = &self.origin;
        write!(
            f,
            "v=0\r\no={} {} {} IN {} {}\r\n",
            o.username,
            o.session_id,
            o.version,
            family(&o.address),
            o.address
        )?;
        write!(f, "s={}\r\n", self.name)?;
        if let Some(connection) = &self.connection {
            write!(f, "c=IN {} {connection}\r\n", family(connection))?;
        }
        for bandwidth in &self.bandwidth {
            write!(f, "b={bandwidth}\r\n")?;
        }
        for timing in &self.timing {
            write!(f, "t={timing}\r\n")?;
        }
        write_attributes(f, &self.attributes)?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}
