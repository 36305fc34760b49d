//! Which MC identity stands for which external user, and the other way for display.
//!
//! The map is an allow-list: one identity of the gateway speaks for many users, so nothing but this
//! list keeps it from asserting who it likes (TR 33.880 D1-1, D5-2). A unit that is not in it is
//! refused, unless the configuration names one alias for all of them.

use std::collections::BTreeMap;

use mc_ids::McServiceId;

use crate::bridge::{McTalker, Shown};
use crate::config::{DisplayConfig, UserConfig};

/// As whom an external user speaks on the MC side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Represented {
    /// The MC service ID whose keys protect his speech.
    pub identity: McServiceId,
    /// The functional alias others are shown, when the identity is not his own.
    pub functional_alias: Option<String>,
}

impl Represented {
    /// What others are shown: functional alias, else identity.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.functional_alias
            .as_deref()
            .unwrap_or_else(|| self.identity.as_str())
    }
}

/// The map.
#[derive(Debug, Clone)]
pub struct UserMap {
    own: McServiceId,
    aliases: BTreeMap<String, String>,
    unmapped: Option<String>,
    units: BTreeMap<String, String>,
    reserved_unit: String,
}

impl UserMap {
    /// The map of a gateway that is one user, `own`, for all external users.
    #[must_use]
    pub fn single(
        own: McServiceId,
        users: &[UserConfig],
        unmapped: Option<String>,
        display: &DisplayConfig,
    ) -> Self {
        let alias = |user: &UserConfig| (user.unit.clone(), user.functional_alias.clone());
        let unit = |unit: &crate::config::UnitConfig| (unit.mc_user.clone(), unit.unit.clone());
        Self {
            own,
            aliases: users.iter().map(alias).collect(),
            unmapped,
            units: display.units.iter().map(unit).collect(),
            reserved_unit: display.reserved_unit.clone(),
        }
    }

    /// As whom a unit speaks; `None` refuses it.
    #[must_use]
    pub fn represent(&self, unit: Option<&str>) -> Option<Represented> {
        let mapped = unit.and_then(|unit| self.aliases.get(unit));
        let alias = mapped.or(self.unmapped.as_ref())?;
        Some(Represented {
            identity: self.own.clone(),
            functional_alias: Some(alias.clone()),
        })
    }

    /// Whether an MC identity is one of the gateway's.
    #[must_use]
    pub fn is_own(&self, id: &str) -> bool {
        self.own.as_str() == id
    }

    /// How the external side shows an MC user: the configured unit of his alias or identity, else
    /// the reserved one (TS 23.283 10.3).
    #[must_use]
    pub fn shown(&self, talker: &McTalker) -> Shown {
        let names = [&talker.functional_alias, &talker.id];
        let unit = names
            .into_iter()
            .flatten()
            .find_map(|name| self.units.get(name));
        Shown {
            unit: unit.unwrap_or(&self.reserved_unit).clone(),
            name: talker.shown(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UnitConfig;

    fn map(unmapped: Option<&str>) -> UserMap {
        let users = [UserConfig {
            unit: "1001".to_owned(),
            functional_alias: "sip:unit-1001@mc.example".to_owned(),
        }];
        let display = DisplayConfig {
            reserved_unit: "0".to_owned(),
            units: vec![UnitConfig {
                mc_user: "sip:alice@mc.example".to_owned(),
                unit: "9001".to_owned(),
            }],
        };
        let own = McServiceId::new("sip:segy@mc.example").unwrap();
        UserMap::single(own, &users, unmapped.map(str::to_owned), &display)
    }

    #[test]
    fn only_listed_units_are_represented() {
        let map = map(None);
        let represented = map.represent(Some("1001")).unwrap();
        assert_eq!(represented.identity.as_str(), "sip:segy@mc.example");
        assert_eq!(represented.shown(), "sip:unit-1001@mc.example");
        for unit in [
            Some("1002"),
            Some("sip:unit-1001@mc.example"),
            Some(""),
            None,
        ] {
            assert_eq!(map.represent(unit), None, "{unit:?}");
        }
    }

    #[test]
    fn one_alias_may_stand_for_all_others() {
        let map = map(Some("sip:radio@mc.example"));
        for unit in [Some("1002"), None] {
            let represented = map.represent(unit).unwrap();
            assert_eq!(represented.shown(), "sip:radio@mc.example");
        }
        assert_eq!(
            map.represent(Some("1001")).unwrap().shown(),
            "sip:unit-1001@mc.example"
        );
    }

    #[test]
    fn an_mc_user_is_shown_as_his_unit_or_the_reserved_one() {
        let map = map(None);
        let talker = |id: Option<&str>, alias: Option<&str>| McTalker {
            id: id.map(str::to_owned),
            functional_alias: alias.map(str::to_owned),
        };
        let alice = map.shown(&talker(
            Some("sip:alice@mc.example"),
            Some("sip:chief@mc.example"),
        ));
        assert_eq!(
            (alice.unit.as_str(), alice.name.as_deref()),
            ("9001", Some("sip:chief@mc.example"))
        );
        let bob = map.shown(&talker(Some("sip:bob@mc.example"), None));
        assert_eq!(
            (bob.unit.as_str(), bob.name.as_deref()),
            ("0", Some("sip:bob@mc.example"))
        );
        let hidden = map.shown(&talker(None, None));
        assert_eq!((hidden.unit.as_str(), hidden.name), ("0", None));
        assert!(map.is_own("sip:segy@mc.example") && !map.is_own("sip:alice@mc.example"));
    }
}
