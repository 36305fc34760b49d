//! The identities of TS 23.280 and TS 33.180, as validated strings.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest identity accepted, in octets: the one-octet length of TS 24.380 fields is the tightest
/// place an identity has to fit.
const MAX_LEN: usize = 255;

/// Why a string is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The string has no characters.
    #[error("{kind} is empty")]
    Empty {
        /// The identity type that was asked for.
        kind: &'static str,
    },
    /// The string is longer than 255 octets.
    #[error("{kind} has {len} octets, at most {MAX_LEN} are allowed")]
    TooLong {
        /// The identity type that was asked for.
        kind: &'static str,
        /// Length found, in octets.
        len: usize,
    },
    /// White space, a control character or one of `<>"` occurs.
    #[error("{kind} has the character {found:?} at octet {at}")]
    Character {
        /// The identity type that was asked for.
        kind: &'static str,
        /// The character.
        found: char,
        /// Its octet offset.
        at: usize,
    },
    /// The identity must be a URI and has no scheme.
    #[error("{kind} {value:?} has no URI scheme such as sip: or tel:")]
    NoScheme {
        /// The identity type that was asked for.
        kind: &'static str,
        /// The string found.
        value: String,
    },
}

fn check(kind: &'static str, value: &str, needs_scheme: bool) -> Result<(), IdentityError> {
    if value.is_empty() {
        return Err(IdentityError::Empty { kind });
    }
    if value.len() > MAX_LEN {
        return Err(IdentityError::TooLong {
            kind,
            len: value.len(),
        });
    }
    let bad = |c: &char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"');
    if let Some((at, found)) = value.char_indices().find(|(_, c)| bad(c)) {
        return Err(IdentityError::Character { kind, found, at });
    }
    let scheme = value
        .split_once(':')
        .map(|(scheme, rest)| (scheme, rest.is_empty()));
    let is_scheme = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    match scheme {
        Some((s, false)) if is_scheme(s) => Ok(()),
        _ if needs_scheme => Err(IdentityError::NoScheme {
            kind,
            value: value.to_owned(),
        }),
        _ => Ok(()),
    }
}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, needs_scheme: $needs:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes the exact string as provisioned.
            ///
            /// # Errors
            /// When it is empty, longer than 255 octets, has forbidden characters or lacks a scheme
            /// where the type needs one.
            pub fn new(value: impl Into<String>) -> Result<Self, IdentityError> {
                let value = value.into();
                check(stringify!($name), &value, $needs)?;
                Ok(Self(value))
            }

            /// The exact string.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The host part: what follows the last `@`, else what follows the scheme, without
            /// port and parameters. It names the MC domain of the identity.
            #[must_use]
            pub fn domain(&self) -> &str {
                domain_of(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdentityError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Self::new(s)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentityError;
            fn try_from(value: String) -> Result<Self, Self::Error> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

/// The host part of an identity given as text: what names its MC domain. A name without a scheme,
/// such as an MDSI, is its own host; a `tel:` number has no domain and stays as it is.
#[must_use]
pub fn domain_of(value: &str) -> &str {
    let host = match value.rsplit_once('@') {
        Some((_, host)) => host,
        None => value.split_once(':').map_or(value, |(_, rest)| rest),
    };
    host.split([';', '?', ':']).next().unwrap_or(host)
}

identity! {
    /// MC service user identity (MCPTT ID), a URI: `sip:alice@mc.example`. TS 23.280 8.1.2.
    McServiceId, needs_scheme: true
}
identity! {
    /// MC service group identity, a URI: `sip:fireground-1@mc.example`. TS 23.280 8.1.3.
    GroupId, needs_scheme: true
}
identity! {
    /// IMS public user identity, a URI; the SIP layer's name of a client. TS 23.228.
    Impu, needs_scheme: true
}
identity! {
    /// KMS identifier as in the `KmsUri` of its certificate; often a bare FQDN. A name, never an
    /// address to connect to. TS 33.180 D.3.2.2.
    KmsUri, needs_scheme: false
}
identity! {
    /// MC domain security identity: the name a CSK is encapsulated to. TS 33.180 5.4.
    Mdsi, needs_scheme: false
}
identity! {
    /// MCPTT client identity, an instance URN such as `urn:uuid:...`. TS 24.379 4.2.
    ClientId, needs_scheme: true
}
identity! {
    /// Functional alias, a URI that a user may be shown as. TS 23.280 5.12.
    FunctionalAlias, needs_scheme: true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_exact_string() {
        let id = McServiceId::new("sip:Alice@MC.example;x=1").unwrap();
        assert_eq!(id.as_str(), "sip:Alice@MC.example;x=1");
        assert_eq!(id.domain(), "MC.example");
        assert_ne!(id, McServiceId::new("sip:alice@mc.example;x=1").unwrap());
    }

    #[test]
    fn refuses_what_is_no_identity() {
        for bad in [
            "",
            "alice",
            "sip:",
            "sip:a b@c",
            "sip:<a>@b",
            "sip:a@b\r\nX: y",
            ":x",
        ] {
            assert!(McServiceId::new(bad).is_err(), "{bad:?}");
        }
        assert!(McServiceId::new(format!("sip:{}", "a".repeat(252))).is_err());
        assert!(McServiceId::new(format!("sip:{}", "a".repeat(251))).is_ok());
        assert!(serde_json::from_str::<GroupId>("\"no-scheme\"").is_err());
    }

    #[test]
    fn a_kms_uri_may_be_a_bare_name() {
        let kms = KmsUri::new("kms.mc.example").unwrap();
        assert_eq!(kms.domain(), "kms.mc.example");
        assert_eq!(KmsUri::new("sip:kms.x:5060;a").unwrap().domain(), "kms.x");
    }
}
