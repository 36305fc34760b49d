//! Bounded, strict reading of `application/x-www-form-urlencoded` parameters.
//!
//! OAuth parameters appear at most once (RFC 6749 3.1, 3.2); a second occurrence is an error, as is
//! anything that is not UTF-8 or longer than a real client sends.

use std::collections::BTreeMap;

use percent_encoding::percent_decode;

/// Longest query or body read, octets.
pub const MAX_FORM: usize = 16 * 1024;
/// Most parameters read.
const MAX_PARAMETERS: usize = 32;
/// Longest parameter value, octets.
const MAX_VALUE: usize = 8 * 1024;

/// The parameters of a request, each name once.
#[derive(Clone, Default)]
pub struct Parameters(BTreeMap<String, String>);

/// Why parameters could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The text is longer than [`MAX_FORM`] or has too many or too long parameters.
    #[error("the request is too large")]
    TooLarge,
    /// The same parameter appears twice.
    #[error("a parameter is repeated (RFC 6749 3.1)")]
    Repeated,
    /// A name or a value is not UTF-8.
    #[error("a parameter is not UTF-8")]
    NotUtf8,
}

impl Parameters {
    /// Reads a query string or form body.
    ///
    /// # Errors
    /// [`FormError`] for oversized, repeated or non-UTF-8 parameters.
    pub fn parse(text: &[u8]) -> Result<Self, FormError> {
        if text.len() > MAX_FORM {
            return Err(FormError::TooLarge);
        }
        let mut parameters = BTreeMap::new();
        for pair in text.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if value.len() > MAX_VALUE || parameters.len() >= MAX_PARAMETERS {
                return Err(FormError::TooLarge);
            }
            if parameters.insert(name, value).is_some() {
                return Err(FormError::Repeated);
            }
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter; an empty value counts as absent (RFC 6749 3.1).
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl std::fmt::Debug for Parameters {
    /// Prints the names only: values include passwords, codes and tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn decode(part: &[u8]) -> Result<String, FormError> {
    let spaced: Vec<u8> = part
        .iter()
        .map(|b| if *b == b'+' { b' ' } else { *b })
        .collect();
    let text = percent_decode(&spaced)
        .decode_utf8()
        .map_err(|_| FormError::NotUtf8)?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_escaped_values() {
        let form = Parameters::parse(b"a=1+2&b=%C3%A9&c&d=x%3Dy=z").unwrap();
        assert_eq!(form.value("a"), Some("1 2"));
        assert_eq!(form.value("b"), Some("é"));
        assert_eq!(form.value("c"), None);
        assert_eq!(form.value("d"), Some("x=y=z"));
    }

    #[test]
    fn refuses_repeats_bad_utf8_and_sizes() {
        assert_eq!(
            Parameters::parse(b"a=1&a=1").unwrap_err(),
            FormError::Repeated
        );
        assert_eq!(Parameters::parse(b"a=%ff").unwrap_err(), FormError::NotUtf8);
        let long = vec![b'a'; MAX_FORM + 1];
        assert_eq!(Parameters::parse(&long).unwrap_err(), FormError::TooLarge);
        let many = (0..40)
            .map(|n| format!("p{n}=1"))
            .collect::<Vec<_>>()
            .join("&");
        assert_eq!(
            Parameters::parse(many.as_bytes()).unwrap_err(),
            FormError::TooLarge
        );
    }

    #[test]
    fn debug_never_prints_values() {
        let form = Parameters::parse(b"password=secret").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"password"}"#);
    }
}
