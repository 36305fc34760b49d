//! Which identities somebody may stand for: whole domains, and patterns of users in one domain.

use crate::identity::domain_of;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Whether an identity belongs to a domain or to one below it (`mdsi.mc.example` to `mc.example`).
/// Host names do not depend on case (RFC 3261 19.1.4).
#[must_use]
pub fn is_in_domain(identity: &str, domain: &str) -> bool {
    let (host, domain) = (domain_of(identity), domain_of(domain));
    let Some(start) = host.len().checked_sub(domain.len()) else {
        return false;
    };
    let (Some(before), Some(end)) = (host.get(..start), host.get(start..)) else {
        return false;
    };
    !domain.is_empty()
        && end.eq_ignore_ascii_case(domain)
        && (before.is_empty() || before.ends_with('.'))
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The domain is missing or has a wildcard: a pattern never reaches beyond one domain.
    #[error("pattern {0:?} must name one domain after an @")]
    Domain(String),
    /// More than one wildcard, or white space.
    #[error("pattern {0:?} may have one * before the @ and no white space")]
    User(String),
}

/// One identity, or all of one domain that begin and end alike: `sip:unit-*@segy.example`. The
/// domain is fixed and does not include those below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdentityPattern {
    before: String,
    /// What follows the wildcard; `None` without one.
    after: Option<String>,
    domain: String,
}

impl IdentityPattern {
    /// The domain of all identities that match.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether an identity is meant. The user part is compared as it is written, because that is
    /// how it enters the UID (TS 33.180 F.2.1).
    #[must_use]
    pub fn matches(&self, identity: &str) -> bool {
        let Some((user, host)) = identity.rsplit_once('@') else {
            return false;
        };
        let fits = match &self.after {
            None => user == self.before,
            Some(after) => {
                user.len() >= self.before.len() + after.len()
                    && user.starts_with(&self.before)
                    && user.ends_with(after.as_str())
                    && !user.contains('@')
            }
        };
        fits && host.eq_ignore_ascii_case(&self.domain)
    }
}

impl FromStr for IdentityPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let domain_error = || PatternError::Domain(text.to_owned());
        let (user, domain) = text.rsplit_once('@').ok_or_else(domain_error)?;
        if domain.is_empty() || domain.contains(['*', ';', '?', ':']) {
            return Err(domain_error());
        }
        let (before, after) = match user.split_once('*') {
            Some((before, after)) => (before, Some(after)),
            None => (user, None),
        };
        let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"');
        if user.is_empty() || after.is_some_and(|a| a.contains('*')) || text.contains(bad) {
            return Err(PatternError::User(text.to_owned()));
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.map(str::to_owned),
            domain: domain.to_owned(),
        })
    }
}

impl TryFrom<String> for IdentityPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            before,
            after,
            domain,
        } = self;
        match after {
            Some(after) => write!(f, "{before}*{after}@{domain}"),
            None => write!(f, "{before}@{domain}"),
        }
    }
}

impl From<IdentityPattern> for String {
    fn from(pattern: IdentityPattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_its_own_identities_and_those_below_it() {
        for inside in [
            "sip:alice@mc.example",
            "sip:alice@MC.example;user=x",
            "mdsi.mc.example",
            "sip:a@b.mc.example",
        ] {
            assert!(is_in_domain(inside, "mc.example"), "{inside}");
        }
        for outside in [
            "sip:alice@evilmc.example",
            "sip:alice@example",
            "sip:mc.example@evil.example",
            "tel:+491234",
            "",
        ] {
            assert!(!is_in_domain(outside, "mc.example"), "{outside}");
        }
        assert!(is_in_domain("sip:a@mc.example", "sip:mc.example"));
        assert!(!is_in_domain("sip:a@mc.example", ""));
    }

    #[test]
    fn a_pattern_never_leaves_its_domain() {
        let units: IdentityPattern = "sip:unit-*@segy.example".parse().unwrap();
        assert!(units.matches("sip:unit-1001@segy.example"));
        assert!(units.matches("sip:unit-@SEGY.example"));
        for other in [
            "sip:alice@segy.example",
            "sip:unit-1@mc.example",
            "sip:unit-1@x.segy.example",
            "sip:unit-1@segy.example@mc.example",
            "sip:unit-1@mc.example@segy.example",
            "unit-1@segy.example",
        ] {
            assert!(!units.matches(other), "{other}");
        }
        let between: IdentityPattern = "sip:u*-x@a.example".parse().unwrap();
        assert!(between.matches("sip:u1-x@a.example"));
        let overlapping: IdentityPattern = "sip:aba*aba@a.example".parse().unwrap();
        assert!(!overlapping.matches("sip:aba@a.example"));
        let one: IdentityPattern = "sip:segy@segy.example".parse().unwrap();
        assert!(one.matches("sip:segy@segy.example") && !one.matches("sip:segy2@segy.example"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in [
            "*",
            "sip:*@*",
            "sip:a@*.example",
            "sip:**@a.example",
            "@a.example",
            "sip:a@",
            "sip:a b@c",
            "sip:a@b:5060",
        ] {
            assert!(bad.parse::<IdentityPattern>().is_err(), "{bad}");
        }
        let text = "\"sip:unit-*@segy.example\"";
        let pattern: IdentityPattern = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&pattern).unwrap(), text);
    }
}
