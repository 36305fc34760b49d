//! Which MC identity stands for which external user, and the other way for display.
//!
//! The map is an allow-list: one identity of the gateway speaks for many users, so nothing but this
//! list keeps it from asserting who it likes (TR 33.880 D1-1, D5-2). A unit that is not in it is
//! refused, unless the configuration names one alias for all of them, or a pattern of units that are
//! made users of their own when they are on the air.

use std::collections::{BTreeMap, BTreeSet};

use mc_ids::McServiceId;

use crate::bridge::{McTalker, Shown};
use crate::config::{DisplayConfig, UnitIdentities};

/// As whom an external user speaks on the MC side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    users: BTreeMap<String, Represented>,
    unmapped: Option<Represented>,
    made: Option<UnitIdentities>,
    own: BTreeSet<McServiceId>,
    units: BTreeMap<String, String>,
    reserved_unit: String,
}

impl UserMap {
    /// The map of a gateway whose users are these; `unmapped` stands for all others.
    #[must_use]
    pub fn new(
        users: BTreeMap<String, Represented>,
        unmapped: Option<Represented>,
        display: &DisplayConfig,
    ) -> Self {
        let unit = |unit: &crate::config::UnitConfig| (unit.mc_user.clone(), unit.unit.clone());
        let own = users.values().chain(&unmapped);
        Self {
            own: own.map(|user| user.identity.clone()).collect(),
            users,
            unmapped,
            made: None,
            units: display.units.iter().map(unit).collect(),
            reserved_unit: display.reserved_unit.clone(),
        }
    }

    /// The map with units that are made users when they are on the air.
    #[must_use]
    pub fn with_made(self, made: Option<UnitIdentities>) -> Self {
        Self { made, ..self }
    }

    /// The same map for a call that is one external user's: nobody else speaks in it.
    #[must_use]
    pub fn only(&self, unit: &str) -> Self {
        let mut map = self.clone();
        let represented = map.represent(Some(unit));
        map.users = represented
            .map(|represented| (unit.to_owned(), represented))
            .into_iter()
            .collect();
        map.unmapped = None;
        map.made = None;
        map
    }

    /// As whom a unit speaks; `None` refuses it.
    #[must_use]
    pub fn represent(&self, unit: Option<&str>) -> Option<Represented> {
        let mapped = unit.and_then(|unit| self.users.get(unit)).cloned();
        let made = || {
            Some(Represented {
                identity: self.made.as_ref()?.identity(unit?)?,
                functional_alias: None,
            })
        };
        mapped.or_else(made).or_else(|| self.unmapped.clone())
    }

    /// The unit that an identity of the gateway, or a functional alias of it, stands for.
    #[must_use]
    pub fn unit_of<'a>(&'a self, called: &'a Represented) -> Option<&'a str> {
        let mut users = self.users.iter();
        let found = users.find(|(_, represented)| *represented == called);
        let made = || {
            let made = self.made.as_ref()?;
            let identity = called.identity.as_str();
            let own = called.functional_alias.is_none();
            own.then(|| made.unit(identity)).flatten()
        };
        found.map(|(unit, _)| unit.as_str()).or_else(made)
    }

    /// The MC user that has a unit number of his own.
    #[must_use]
    pub fn mc_user(&self, unit: &str) -> Option<&str> {
        let mut units = self.units.iter();
        let found = units.find(|(_, number)| *number == unit);
        found.map(|(user, _)| user.as_str())
    }

    /// Whether an MC identity is one of the gateway's.
    #[must_use]
    pub fn is_own(&self, id: &str) -> bool {
        let made = self.made.as_ref();
        self.own.iter().any(|own| own.as_str() == id)
            || made.is_some_and(|made| made.unit(id).is_some())
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
            emergency: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UnitConfig;

    fn alias(alias: &str) -> Represented {
        Represented {
            identity: McServiceId::new("sip:segy@mc.example").unwrap(),
            functional_alias: Some(alias.to_owned()),
        }
    }

    fn map(unmapped: Option<&str>) -> UserMap {
        let users = ["1001", "1003"].map(|unit| {
            let name = format!("sip:unit-{unit}@mc.example");
            (unit.to_owned(), alias(&name))
        });
        let display = DisplayConfig {
            reserved_unit: "0".to_owned(),
            units: vec![UnitConfig {
                mc_user: "sip:alice@mc.example".to_owned(),
                unit: "9001".to_owned(),
            }],
        };
        UserMap::new(users.into(), unmapped.map(alias), &display)
    }

    #[test]
    fn a_call_is_one_units_and_reaches_one_unit() {
        let map = map(Some("sip:radio@mc.example"));
        let only = map.only("1001");
        assert_eq!(only.represent(Some("1001")), map.represent(Some("1001")));
        assert_eq!(only.represent(Some("1003")), None);
        assert_eq!(only.represent(None), None);
        assert!(only.is_own("sip:segy@mc.example"));
        let called = |name| map.unit_of(&alias(name)).map(str::to_owned);
        assert_eq!(called("sip:unit-1003@mc.example").as_deref(), Some("1003"));
        assert_eq!(called("sip:radio@mc.example"), None, "nobody in particular");
        let gateway = Represented {
            functional_alias: None,
            ..alias("")
        };
        assert_eq!(map.unit_of(&gateway), None, "the gateway itself is no unit");
        assert_eq!(map.mc_user("9001"), Some("sip:alice@mc.example"));
        assert_eq!(map.mc_user("9002"), None);
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
    fn units_of_the_pattern_are_users_of_their_own() {
        let made = UnitIdentities::new("10*", "sip:unit-{unit}@segy.example").unwrap();
        let map = map(None).with_made(Some(made));
        let listed = map.represent(Some("1001")).unwrap();
        assert_eq!(
            listed,
            alias("sip:unit-1001@mc.example"),
            "the list comes first"
        );
        let new = map.represent(Some("1002")).unwrap();
        assert_eq!(new.shown(), "sip:unit-1002@segy.example");
        assert_eq!(map.unit_of(&new), Some("1002"));
        assert!(map.is_own("sip:unit-1002@segy.example"));
        assert!(!map.is_own("sip:unit-2002@segy.example"));
        for hostile in ["2002", "10", "10/..", "10@x", "1002;x=1", "100000002"] {
            assert_eq!(map.represent(Some(hostile)), None, "{hostile:?}");
        }
        assert_eq!(map.represent(None), None);
        let only = map.only("1002");
        assert_eq!(only.represent(Some("1002")), Some(new));
        assert_eq!(only.represent(Some("1003")), None);
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
