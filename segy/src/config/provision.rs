//! External users that are in no list: who they are on the MC side, and where they are made.

use std::path::PathBuf;

use mc_ids::McServiceId;
use mc_runtime::config::Secret;
use serde::Deserialize;

use super::{ConfigError, UserConfig, wrong};

/// Longest unit number: the radio systems at hand have 24 bits for it.
const MAX_DIGITS: usize = 8;
/// What stands for the unit number.
const UNIT: &str = "{unit}";

/// External users made when they are on the air for the first time (TR 33.880 7.8.4, A4-3).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionConfig {
    /// Unit numbers, with one `*` for further digits (`40*`). Whoever is in `users` is not made.
    pub units: UnitPattern,
    /// MCPTT ID of each; `{unit}` stands for its number. All that fit are this gateway's.
    pub mcptt_id: IdentityTemplate,
    /// Directory of what survives a restart: who was made, and the secret that the password of each
    /// comes from.
    pub state_dir: PathBuf,
    /// Most users made in all, those of earlier runs included. Default 100.
    #[serde(default = "default_most")]
    pub most: usize,
    /// Most attempts to make one within a minute. Default 30.
    #[serde(default = "default_per_minute")]
    pub per_minute: usize,
    /// The KMS of the gateway's domain.
    pub kms: OperatorConfig,
    /// Its identity management server.
    pub idms: OperatorConfig,
    /// The gateway's own account, with which it brings its users into groups; password and everything
    /// else as in `mc.login`. Default none: they are members already.
    #[serde(default)]
    pub enrolment: Option<AccountConfig>,
}

const fn default_most() -> usize {
    100
}

const fn default_per_minute() -> usize {
    30
}

/// A server of the gateway's domain whose operator the gateway is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// Scheme, host and port.
    pub url: String,
    /// File with the operator token; read each time.
    pub token_file: PathBuf,
}

/// An account at the identity management server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// Login name.
    pub username: String,
    /// Password. Default that of `mc.login`.
    #[serde(default)]
    pub password: Option<Secret>,
}

impl ProvisionConfig {
    /// Who the users are that may be made.
    #[must_use]
    pub fn identities(&self) -> UnitIdentities {
        UnitIdentities {
            units: self.units.clone(),
            mcptt_id: self.mcptt_id.clone(),
        }
    }

    /// Nobody can be made under an identity that is listed for another unit.
    pub(super) fn check(&self, users: &[UserConfig]) -> Result<(), ConfigError> {
        if self.most == 0 || self.per_minute == 0 {
            return Err(wrong("provision", "0 would make nobody"));
        }
        let identities = self.identities();
        for user in users {
            let id = user.mcptt_id.as_ref().map(McServiceId::as_str);
            let made = id.and_then(|id| identities.unit(id));
            if made.is_some_and(|unit| unit != user.unit) {
                let detail = format!("the identity of unit {} is another unit's", user.unit);
                return Err(wrong("provision.mcptt_id", detail));
            }
        }
        Ok(())
    }
}

/// Units and identities of users that are made on the fly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitIdentities {
    units: UnitPattern,
    mcptt_id: IdentityTemplate,
}

impl UnitIdentities {
    /// Those of a pattern of units and a template of MCPTT IDs.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn new(units: &str, mcptt_id: &str) -> Result<Self, TemplateError> {
        Ok(Self {
            units: units.to_owned().try_into()?,
            mcptt_id: mcptt_id.to_owned().try_into()?,
        })
    }

    /// The identity of a unit that may be made; `None` for every other text.
    #[must_use]
    pub fn identity(&self, unit: &str) -> Option<McServiceId> {
        if !self.units.matches(unit) {
            return None;
        }
        self.mcptt_id.of(unit).ok()
    }

    /// The unit that an identity stands for.
    #[must_use]
    pub fn unit<'a>(&self, identity: &'a str) -> Option<&'a str> {
        let unit = self.mcptt_id.unit(identity)?;
        self.units.matches(unit).then_some(unit)
    }
}

/// Unit numbers that begin and end alike.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UnitPattern {
    before: String,
    /// What follows the wildcard; `None` without one.
    after: Option<String>,
}

impl UnitPattern {
    /// Whether a text from the air is a unit number that is meant: nothing but a few digits.
    #[must_use]
    pub fn matches(&self, unit: &str) -> bool {
        if unit.is_empty() || unit.len() > MAX_DIGITS || !digits(unit) {
            return false;
        }
        match &self.after {
            None => unit == self.before,
            Some(after) => {
                unit.len() > self.before.len() + after.len()
                    && unit.starts_with(&self.before)
                    && unit.ends_with(after.as_str())
            }
        }
    }
}

fn digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// Why a text is no pattern or template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Not digits with one wildcard.
    #[error("{0:?} is no unit number: up to {MAX_DIGITS} digits, and one * for further ones")]
    Units(String),
    /// Not an MCPTT ID with one place for the unit.
    #[error("{0:?} is no MCPTT ID with one {UNIT} before the @")]
    Identity(String),
}

impl TryFrom<String> for UnitPattern {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        let (before, after) = match text.split_once('*') {
            Some((before, after)) => (before, Some(after)),
            None => (text.as_str(), None),
        };
        let fixed = before.len() + after.map_or(0, str::len);
        let good = digits(before) && after.is_none_or(digits);
        if !good || fixed > MAX_DIGITS || (after.is_none() && fixed == 0) {
            return Err(TemplateError::Units(text));
        }
        let (before, after) = (before.to_owned(), after.map(str::to_owned));
        Ok(Self { before, after })
    }
}

/// MCPTT IDs that differ in their unit number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct IdentityTemplate {
    before: String,
    after: String,
}

impl IdentityTemplate {
    fn of(&self, unit: &str) -> Result<McServiceId, mc_ids::IdentityError> {
        McServiceId::new(format!("{}{unit}{}", self.before, self.after))
    }

    fn unit<'a>(&self, identity: &'a str) -> Option<&'a str> {
        let rest = identity.strip_prefix(&self.before)?;
        rest.strip_suffix(&self.after)
    }
}

impl TryFrom<String> for IdentityTemplate {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        let refused = || TemplateError::Identity(text.clone());
        let (before, after) = text.split_once(UNIT).ok_or_else(refused)?;
        let template = Self {
            before: before.to_owned(),
            after: after.to_owned(),
        };
        let once = !after.contains('{') && after.contains('@');
        if !once || template.of("1").is_err() {
            return Err(refused());
        }
        Ok(template)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str) -> Result<UnitPattern, TemplateError> {
        text.to_owned().try_into()
    }

    fn identities(text: &str) -> Result<IdentityTemplate, TemplateError> {
        text.to_owned().try_into()
    }

    #[test]
    fn only_a_few_digits_are_a_unit_number() {
        let pattern = units("40*").unwrap();
        for good in ["400", "4003", "40123456"] {
            assert!(pattern.matches(good), "{good}");
        }
        for bad in [
            "",
            "40",
            "41",
            "4103",
            "401234567",
            "40 3",
            "40/../x",
            "40%2f",
            "40a",
            "sip:4003@x",
            "40\n",
            "4٠3",
            "40-3",
            "40*",
        ] {
            assert!(!pattern.matches(bad), "{bad:?}");
        }
        assert!(units("4003").unwrap().matches("4003"));
        assert!(!units("4003").unwrap().matches("40030"));
        for bad in ["", "4**", "4a*", "sip:*", "123456789"] {
            assert!(units(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_identity_has_one_place_for_the_unit() {
        let template = identities("sip:unit-{unit}@segy.example").unwrap();
        let of = template.of("4003").unwrap();
        assert_eq!(of.as_str(), "sip:unit-4003@segy.example");
        assert_eq!(template.unit(of.as_str()), Some("4003"));
        assert_eq!(template.unit("sip:unit-4003@mc.example"), None);
        assert_eq!(template.unit("sip:@segy.example"), None);
        for bad in [
            "sip:unit@segy.example",
            "sip:unit@{unit}.example",
            "sip:{unit}-{unit}@segy.example",
            "{unit}",
        ] {
            assert!(identities(bad).is_err(), "{bad:?}");
        }
    }
}
