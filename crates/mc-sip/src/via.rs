//! The Via header field (RFC 3261 20.42, RFC 3581).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::error::ParseError;
use crate::params::Params;
use crate::uri::split_host_port;

/// The magic cookie that starts every RFC 3261 branch.
pub(crate) const BRANCH_COOKIE: &str = "z9hG4bK";

/// One Via value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS` ... as written.
    pub transport: String,
    /// Host of sent-by.
    pub host: String,
    /// Port of sent-by.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport` ...
    pub params: Params,
}

impl Via {
    /// A Via of this element with an empty `rport` (RFC 3581 3).
    #[must_use]
    pub fn new(transport: &str, sent_by: SocketAddr, branch: &str) -> Self {
        let host = match sent_by {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        Self {
            transport: transport.to_owned(),
            host,
            port: Some(sent_by.port()),
            params: Params::new()
                .with("branch", Some(branch))
                .with("rport", None),
        }
    }

    /// The branch parameter.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// Whether the branch identifies the transaction alone (RFC 3261 17.2.3).
    #[must_use]
    pub fn has_cookie(&self) -> bool {
        self.branch().is_some_and(|branch| {
            branch.len() > BRANCH_COOKIE.len() && branch.starts_with(BRANCH_COOKIE)
        })
    }

    /// `host[:port]` of sent-by.
    #[must_use]
    pub fn sent_by(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host.to_ascii_lowercase()),
            None => self.host.to_ascii_lowercase(),
        }
    }

    /// Notes where the request really came from (RFC 3261 18.2.1, RFC 3581 4).
    pub fn note_source(&mut self, source: SocketAddr) {
        let ip = source.ip().to_string();
        if self.params.has("rport") {
            self.params.set("rport", Some(&source.port().to_string()));
            self.params.set("received", Some(&ip));
        } else if self.host.trim_start_matches('[').trim_end_matches(']') != ip {
            self.params.set("received", Some(&ip));
        }
    }
}

impl FromStr for Via {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError::MalformedHeader("Via");
        let (head, params) = match text.split_once(';') {
            Some((head, params)) => (head, Params::parse(params)?),
            None => (text, Params::new()),
        };
        // LWS is allowed around both slashes of sent-protocol and around the colon of sent-by.
        let mut protocol = head.splitn(3, '/');
        let name = protocol.next().unwrap_or_default().trim();
        let version = protocol.next().ok_or_else(bad)?.trim();
        let rest = protocol.next().ok_or_else(bad)?.trim();
        if !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return Err(bad());
        }
        let (transport, sent_by) = rest.split_once([' ', '\t']).ok_or_else(bad)?;
        let sent_by: String = sent_by.split_whitespace().collect();
        let (host, port) = split_host_port(&sent_by).map_err(|_| bad())?;
        Ok(Self {
            transport: transport.to_owned(),
            host,
            port,
            params,
        })
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}
