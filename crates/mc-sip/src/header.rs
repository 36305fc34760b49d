//! Header fields: an ordered list with typed access to the ones this system acts on.

use std::fmt;
use std::str::FromStr;

use crate::error::ParseError;
use crate::message::SipMessage;
use crate::method::Method;
use crate::name_addr::NameAddr;
use crate::params::{Params, split_unquoted};
use crate::uri::Uri;
use crate::via::Via;
use crate::warning::Warning;

/// Header field names as they are written.
pub mod name {
    #![expect(missing_docs, reason = "each constant is the header field it spells")]
    pub const ACCEPT: &str = "Accept";
    pub const ACCEPT_CONTACT: &str = "Accept-Contact";
    pub const ALLOW: &str = "Allow";
    pub const ALLOW_EVENTS: &str = "Allow-Events";
    pub const ANSWER_MODE: &str = "Answer-Mode";
    pub const CALL_ID: &str = "Call-ID";
    pub const CONTACT: &str = "Contact";
    pub const CONTENT_DISPOSITION: &str = "Content-Disposition";
    pub const CONTENT_LENGTH: &str = "Content-Length";
    pub const CONTENT_TYPE: &str = "Content-Type";
    pub const CSEQ: &str = "CSeq";
    pub const EVENT: &str = "Event";
    pub const EXPIRES: &str = "Expires";
    pub const FROM: &str = "From";
    pub const MAX_FORWARDS: &str = "Max-Forwards";
    pub const MIN_EXPIRES: &str = "Min-Expires";
    pub const MIN_SE: &str = "Min-SE";
    pub const PRIV_ANSWER_MODE: &str = "Priv-Answer-Mode";
    pub const P_ANSWER_STATE: &str = "P-Answer-State";
    pub const P_ASSERTED_IDENTITY: &str = "P-Asserted-Identity";
    pub const P_ASSERTED_SERVICE: &str = "P-Asserted-Service";
    pub const P_PREFERRED_IDENTITY: &str = "P-Preferred-Identity";
    pub const P_PREFERRED_SERVICE: &str = "P-Preferred-Service";
    pub const REASON: &str = "Reason";
    pub const RECORD_ROUTE: &str = "Record-Route";
    pub const REQUIRE: &str = "Require";
    /// RFC 3261 20.29.
    pub const PROXY_REQUIRE: &str = "Proxy-Require";
    pub const RESOURCE_PRIORITY: &str = "Resource-Priority";
    pub const RETRY_AFTER: &str = "Retry-After";
    pub const ROUTE: &str = "Route";
    pub const SESSION_EXPIRES: &str = "Session-Expires";
    pub const SIP_ETAG: &str = "SIP-ETag";
    pub const SIP_IF_MATCH: &str = "SIP-If-Match";
    pub const SUBSCRIPTION_STATE: &str = "Subscription-State";
    pub const SUPPORTED: &str = "Supported";
    pub const TO: &str = "To";
    pub const UNSUPPORTED: &str = "Unsupported";
    pub const USER_AGENT: &str = "User-Agent";
    pub const VIA: &str = "Via";
    pub const WARNING: &str = "Warning";
}

/// The long form of a compact header field name (RFC 3261 7.3.3 and the registry).
pub(crate) fn canonical(field: &str) -> &str {
    let compact = [
        ("a", "Accept-Contact"),
        ("b", "Referred-By"),
        ("c", "Content-Type"),
        ("d", "Request-Disposition"),
        ("e", "Content-Encoding"),
        ("f", "From"),
        ("i", "Call-ID"),
        ("j", "Reject-Contact"),
        ("k", "Supported"),
        ("l", "Content-Length"),
        ("m", "Contact"),
        ("o", "Event"),
        ("r", "Refer-To"),
        ("s", "Subject"),
        ("t", "To"),
        ("u", "Allow-Events"),
        ("v", "Via"),
        ("x", "Session-Expires"),
        ("y", "Identity"),
    ];
    compact
        .iter()
        .find(|(short, _)| short.eq_ignore_ascii_case(field))
        .map_or(field, |(_, long)| *long)
}

/// The `CSeq` header field (RFC 3261 20.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// The sequence number, below 2^31.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl FromStr for CSeq {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut words = text.split_whitespace();
        let number = words
            .next()
            .and_then(|word| word.parse::<u32>().ok())
            .filter(|number| *number < 1 << 31);
        let method = words
            .next()
            .ok_or(ParseError::MalformedHeader(name::CSEQ))?;
        match (number, words.next()) {
            (Some(number), None) => Ok(Self {
                number,
                method: method.parse()?,
            }),
            _ => Err(ParseError::MalformedHeader(name::CSEQ)),
        }
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// The Event header field (RFC 6665 8.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event package.
    pub package: String,
    /// `id` and other parameters.
    pub params: Params,
}

/// The Session-Expires header field (RFC 4028 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionExpires {
    /// The session interval in seconds.
    pub seconds: u32,
    /// Who refreshes, when it is said.
    pub refresher: Option<crate::session_timer::Refresher>,
}

/// An ordered list of header fields; names compare without case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No header fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first value of a header field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.get_all(field).next()
    }

    /// Every value of a header field, one per field line, in order.
    pub fn get_all<'a>(&'a self, field: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(field))
            .map(|(_, v)| v.as_str())
    }

    /// Every element of a comma-separated header field over all its lines.
    #[must_use]
    pub fn elements(&self, field: &str) -> Vec<&str> {
        self.get_all(field)
            .flat_map(|value| split_unquoted(value, ','))
            .filter(|v| !v.is_empty())
            .collect()
    }

    /// Appends a header field; line breaks in the value are turned into spaces.
    pub fn push(&mut self, field: &str, value: impl Into<String>) {
        self.0.push((field.to_owned(), clean(value.into())));
    }

    /// Puts a header field before all others.
    pub fn push_front(&mut self, field: &str, value: impl Into<String>) {
        self.0.insert(0, (field.to_owned(), clean(value.into())));
    }

    /// Replaces every value of a header field by one, in the place of the first.
    pub fn set(&mut self, field: &str, value: impl Into<String>) {
        let value = clean(value.into());
        let Some(at) = self
            .0
            .iter()
            .position(|(n, _)| n.eq_ignore_ascii_case(field))
        else {
            self.0.push((field.to_owned(), value));
            return;
        };
        if let Some(entry) = self.0.get_mut(at) {
            entry.1 = value;
        }
        let mut index = 0;
        self.0.retain(|(n, _)| {
            index += 1;
            index == at + 1 || !n.eq_ignore_ascii_case(field)
        });
    }

    /// Removes every value of a header field.
    pub fn remove(&mut self, field: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(field));
    }

    /// Removes the topmost Via.
    pub fn pop_via(&mut self) {
        let vias: Vec<String> = self
            .elements(name::VIA)
            .iter()
            .map(|via| (*via).to_owned())
            .collect();
        let at = self
            .0
            .iter()
            .position(|(n, _)| n.eq_ignore_ascii_case(name::VIA))
            .unwrap_or(0);
        self.remove(name::VIA);
        for (offset, via) in vias.into_iter().skip(1).enumerate() {
            self.0
                .insert((at + offset).min(self.0.len()), (name::VIA.to_owned(), via));
        }
    }

    /// Replaces the topmost Via.
    pub(crate) fn set_top_via(&mut self, via: &Via) {
        self.pop_via();
        self.push_front(name::VIA, via.to_string());
    }

    /// All header fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Number of header fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no header fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn required<T: FromStr>(&self, field: &'static str) -> Result<T, ParseError> {
        let value = self.get(field).ok_or(ParseError::MissingHeader(field))?;
        value
            .parse()
            .map_err(|_| ParseError::MalformedHeader(field))
    }

    fn addresses(&self, field: &'static str) -> Result<Vec<NameAddr>, ParseError> {
        let parse = |value: &str| {
            value
                .parse()
                .map_err(|_| ParseError::MalformedHeader(field))
        };
        self.elements(field).into_iter().map(parse).collect()
    }

    fn number(&self, field: &str) -> Option<u32> {
        let digits = self.get(field)?.split(';').next()?.trim();
        // Expires is a delta of up to 2^32-1; larger values saturate (RFC 3261 20.19).
        let digits_only = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        digits_only.then(|| digits.parse().unwrap_or(u32::MAX))
    }

    /// The From header field.
    ///
    /// # Errors
    /// Absent or malformed.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        self.required(name::FROM)
    }

    /// The To header field.
    ///
    /// # Errors
    /// Absent or malformed.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        self.required(name::TO)
    }

    /// The Call-ID header field.
    ///
    /// # Errors
    /// Absent or empty.
    pub fn call_id(&self) -> Result<&str, ParseError> {
        self.get(name::CALL_ID)
            .filter(|id| !id.is_empty())
            .ok_or(ParseError::MissingHeader(name::CALL_ID))
    }

    /// The `CSeq` header field.
    ///
    /// # Errors
    /// Absent or malformed.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        self.get(name::CSEQ)
            .ok_or(ParseError::MissingHeader(name::CSEQ))?
            .parse()
    }

    /// The topmost Via.
    ///
    /// # Errors
    /// Absent or malformed.
    pub fn top_via(&self) -> Result<Via, ParseError> {
        self.elements(name::VIA)
            .first()
            .ok_or(ParseError::MissingHeader(name::VIA))?
            .parse()
    }

    /// All Contact addresses; `*` is reported by [`Headers::contact_is_star`].
    ///
    /// # Errors
    /// A malformed element.
    pub fn contacts(&self) -> Result<Vec<NameAddr>, ParseError> {
        if self.contact_is_star() {
            Ok(Vec::new())
        } else {
            self.addresses(name::CONTACT)
        }
    }

    /// Whether Contact is `*` (RFC 3261 10.2.2).
    #[must_use]
    pub fn contact_is_star(&self) -> bool {
        self.get(name::CONTACT)
            .is_some_and(|value| value.trim() == "*")
    }

    /// The first Contact.
    #[must_use]
    pub fn contact(&self) -> Option<NameAddr> {
        self.contacts().ok()?.into_iter().next()
    }

    /// The Route set in order.
    ///
    /// # Errors
    /// A malformed element.
    pub fn routes(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.addresses(name::ROUTE)
    }

    /// The Record-Route set in order.
    ///
    /// # Errors
    /// A malformed element.
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.addresses(name::RECORD_ROUTE)
    }

    /// P-Asserted-Identity addresses (RFC 3325 9.1).
    ///
    /// # Errors
    /// A malformed element.
    pub fn asserted_identities(&self) -> Result<Vec<NameAddr>, ParseError> {
        self.addresses(name::P_ASSERTED_IDENTITY)
    }

    /// Max-Forwards, when present and a number.
    #[must_use]
    pub fn max_forwards(&self) -> Option<u32> {
        self.number(name::MAX_FORWARDS)
    }

    /// Expires in seconds.
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        self.number(name::EXPIRES)
    }

    /// Min-Expires in seconds.
    #[must_use]
    pub fn min_expires(&self) -> Option<u32> {
        self.number(name::MIN_EXPIRES)
    }

    /// Min-SE in seconds (RFC 4028 5).
    #[must_use]
    pub fn min_se(&self) -> Option<u32> {
        self.number(name::MIN_SE)
    }

    /// Session-Expires (RFC 4028 4).
    #[must_use]
    pub fn session_expires(&self) -> Option<SessionExpires> {
        let seconds = self.number(name::SESSION_EXPIRES)?;
        let params = self
            .get(name::SESSION_EXPIRES)?
            .split_once(';')
            .map_or("", |(_, params)| params);
        let refresher = Params::parse(params)
            .ok()?
            .get("refresher")
            .and_then(|who| who.parse().ok());
        Some(SessionExpires { seconds, refresher })
    }

    /// The Event header field.
    #[must_use]
    pub fn event(&self) -> Option<Event> {
        let value = self.get(name::EVENT)?;
        let (package, params) = value.split_once(';').unwrap_or((value, ""));
        Some(Event {
            package: package.trim().to_owned(),
            params: Params::parse(params).ok()?,
        })
    }

    /// The media type of the body, lower case and without parameters.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        let value = self.get(name::CONTENT_TYPE)?;
        Some(
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase(),
        )
    }

    /// Whether an option tag is listed (`Supported`, `Require` ...).
    #[must_use]
    pub fn has_option(&self, field: &str, tag: &str) -> bool {
        self.elements(field)
            .iter()
            .any(|element| element.eq_ignore_ascii_case(tag))
    }

    /// All Warning values that can be read.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        self.elements(name::WARNING)
            .into_iter()
            .filter_map(|value| value.parse().ok())
            .collect()
    }

    /// The URI of the first asserted identity, else of From.
    ///
    /// # Errors
    /// A malformed header field.
    pub fn originator(&self) -> Result<Uri, ParseError> {
        match self.asserted_identities()?.into_iter().next() {
            Some(identity) => Ok(identity.uri),
            None => Ok(self.from()?.uri),
        }
    }
}

/// Takes line breaks and other control characters out of a value, so that no caller can inject a field.
fn clean(value: String) -> String {
    if value.chars().any(|c| c.is_control() && c != '\t') {
        value
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    } else {
        value
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (field, value) in &self.0 {
            write!(f, "{field}: {value}\r\n")?;
        }
        Ok(())
    }
}

impl SipMessage {
    /// The header fields of either kind of message.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }
}
