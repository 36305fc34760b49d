//! `"Display" <uri>;params`, the form of From, To, Contact, Route and identity header fields.

use std::fmt;
use std::str::FromStr;

use crate::error::ParseError;
use crate::params::{Params, quote, split_unquoted, unquote};
use crate::uri::Uri;

/// A name-addr with its header parameters (RFC 3261 20.10, 25.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameAddr {
    /// The display name without quotes.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// Header parameters (`tag`, `expires`, feature tags ...).
    pub params: Params,
}

impl NameAddr {
    /// An address without display name and parameters.
    #[must_use]
    pub const fn new(uri: Uri) -> Self {
        Self {
            display: None,
            uri,
            params: Params::new(),
        }
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }

    /// The same address with this `tag`.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param("tag", Some(tag))
    }

    /// The same address with one more header parameter; the value is written as given.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        self.params.set(name, value);
        self
    }

    /// Reads a comma-separated list.
    ///
    /// # Errors
    /// As [`NameAddr::from_str`] for any element.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ParseError> {
        split_unquoted(text, ',')
            .into_iter()
            .map(str::parse)
            .collect()
    }
}

impl From<Uri> for NameAddr {
    fn from(uri: Uri) -> Self {
        Self::new(uri)
    }
}

impl FromStr for NameAddr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        let Some((display, rest)) = split_at_angle(text) else {
            // addr-spec form: parameters belong to the header field, not to the URI.
            let (uri, params) = match text.split_once(';') {
                Some((uri, params)) => (uri.trim(), Params::parse(params)?),
                None => (text, Params::new()),
            };
            return Ok(Self {
                display: None,
                uri: uri.parse()?,
                params,
            });
        };
        let (uri, params) = rest.split_once('>').ok_or(ParseError::MalformedUri)?;
        let params = params.trim();
        if !params.is_empty() && !params.starts_with(';') {
            return Err(ParseError::MalformedHeader("parameter"));
        }
        let display = match display.trim() {
            "" => None,
            name if name.starts_with('"') && !(name.len() > 1 && name.ends_with('"')) => {
                return Err(ParseError::MalformedHeader("display name"));
            }
            name => Some(unquote(name)),
        };
        Ok(Self {
            display,
            uri: uri.trim().parse()?,
            params: Params::parse(params)?,
        })
    }
}

/// Splits before the first `<` that is not inside a quoted string.
fn split_at_angle(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}
