//! SIP URIs (RFC 3261 19.1).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::error::ParseError;
use crate::params::Params;

/// The scheme of a URI in a SIP message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// Any other, kept opaque (`tel:`, `urn:`).
    Other(String),
}

/// A URI; the part behind the scheme of a non-SIP URI is kept whole in `host`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part with its escapes, and the password if any.
    pub user: Option<String>,
    /// Host name, IPv4 address or bracketed IPv6 address.
    pub host: String,
    /// The port when it is written out.
    pub port: Option<u16>,
    /// URI parameters.
    pub params: Params,
    /// The text behind `?`.
    pub headers: Option<String>,
}

impl Uri {
    /// A `sip:` URI with a user part.
    #[must_use]
    pub fn sip(user: &str, host: &str) -> Self {
        Self {
            scheme: Scheme::Sip,
            user: Some(user.to_owned()),
            host: host.to_owned(),
            port: None,
            params: Params::new(),
            headers: None,
        }
    }

    /// A `sip:` URI of a socket address, without a user part.
    #[must_use]
    pub fn of_address(address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self {
            scheme: Scheme::Sip,
            user: None,
            host,
            port: Some(address.port()),
            params: Params::new(),
            headers: None,
        }
    }

    /// The same URI with a user part.
    #[must_use]
    pub fn with_user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// The same URI with one more URI parameter.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        self.params.set(name, value);
        self
    }

    /// The URI without port, parameters and headers: the form identities are compared in.
    #[must_use]
    pub fn identity(&self) -> Self {
        Self {
            scheme: self.scheme.clone(),
            user: self.user.clone(),
            host: self.host.to_ascii_lowercase(),
            port: None,
            params: Params::new(),
            headers: None,
        }
    }

    /// Whether both URIs name the same identity (scheme, user, host).
    #[must_use]
    pub fn same_identity(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// The socket address when the host is a literal IP address; the port defaults to 5060.
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let ip: IpAddr = host.parse().ok()?;
        Some(SocketAddr::new(ip, self.port.unwrap_or(5060)))
    }

    fn parse_sip(scheme: Scheme, rest: &str) -> Result<Self, ParseError> {
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers.to_owned())),
            None => (rest, None),
        };
        // The user part may itself contain `;`, so the `@` is looked for first.
        let (user, host_part) = match rest.rsplit_once('@') {
            Some((user, host)) if !user.is_empty() => (Some(user.to_owned()), host),
            Some(_) => return Err(ParseError::MalformedUri),
            None => (None, rest),
        };
        let (host_port, params) = match host_part.split_once(';') {
            Some((host, params)) => (host, Params::parse(params)?),
            None => (host_part, Params::new()),
        };
        let (host, port) = split_host_port(host_port)?;
        Ok(Self {
            scheme,
            user,
            host,
            port,
            params,
            headers,
        })
    }
}

/// Splits `host[:port]` and checks the host's characters.
pub(crate) fn split_host_port(text: &str) -> Result<(String, Option<u16>), ParseError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (inner, after) = rest.split_once(']').ok_or(ParseError::MalformedUri)?;
        inner
            .parse::<std::net::Ipv6Addr>()
            .map_err(|_| ParseError::MalformedUri)?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(ParseError::MalformedUri),
        };
        (format!("[{inner}]"), port)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        }
    };
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(ParseError::MalformedUri);
    }
    let port = match port {
        Some(port) => Some(port.trim().parse().map_err(|_| ParseError::MalformedUri)?),
        None => None,
    };
    Ok((host, port))
}

impl FromStr for Uri {
    type Err = ParseError;

    //= RFC 3261 19.1
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let forbidden =
            |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"');
        if text.chars().any(forbidden) {
            return Err(ParseError::MalformedUri);
        }
        let (scheme, rest) = text.split_once(':').ok_or(ParseError::MalformedUri)?;
        let scheme_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.is_empty() || !scheme.chars().all(scheme_char) || rest.is_empty() {
            return Err(ParseError::MalformedUri);
        }
        match scheme.to_ascii_lowercase().as_str() {
            "sip" => Self::parse_sip(Scheme::Sip, rest),
            "sips" => Self::parse_sip(Scheme::Sips, rest),
            other => Ok(Self {
                scheme: Scheme::Other(other.to_owned()),
                user: None,
                host: rest.to_owned(),
                port: None,
                params: Params::new(),
                headers: None,
            }),
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scheme {
            Scheme::Sip => f.write_str("sip:")?,
            Scheme::Sips => f.write_str("sips:")?,
            Scheme::Other(scheme) => write!(f, "{scheme}:")?,
        }
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)?;
        if let Some(headers) = &self.headers {
            write!(f, "?{headers}")?;
        }
        Ok(())
    }
}
