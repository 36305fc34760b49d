//! The scope catalogue of the MCX profile, and the rule that turns a request into a grant.
//!
//! Invariant: a grant never exceeds request ∩ catalogue ∩ entitlement. Unknown scopes are dropped,
//! not fatal.

use std::collections::BTreeSet;
use std::fmt;

/// The scope every OpenID Connect request carries.
pub const OPENID: &str = "openid";

/// Service scopes of the profile (TS 33.180 table B.4.2.2-1, Rel-14 and later names).
pub const CATALOGUE: [&str; 13] = [
    "3gpp:mc:ptt_service",
    "3gpp:mc:ptt_key_management_service",
    "3gpp:mc:ptt_config_management_service",
    "3gpp:mc:ptt_group_management_service",
    "3gpp:mc:video_service",
    "3gpp:mc:video_key_management_service",
    "3gpp:mc:video_config_management_service",
    "3gpp:mc:video_group_management_service",
    "3gpp:mc:data_service",
    "3gpp:mc:data_key_management_service",
    "3gpp:mc:data_config_management_service",
    "3gpp:mc:data_group_management_service",
    "3gpp:mc:location_management_service",
];

/// Rel-13 names still sent in the field, with the scope each one stands for.
pub const LEGACY_ALIASES: [(&str, &str); 4] = [
    ("3gpp:mcptt:ptt_server", "3gpp:mc:ptt_service"),
    (
        "3gpp:mcptt:key_management_server",
        "3gpp:mc:ptt_key_management_service",
    ),
    (
        "3gpp:mcptt:config_management_server",
        "3gpp:mc:ptt_config_management_service",
    ),
    (
        "3gpp:mcptt:group_management_server",
        "3gpp:mc:ptt_group_management_service",
    ),
];

/// Which MC service ID claims a set of scopes calls for (TS 33.180 B.2.1, B.2.2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceClaims {
    /// `mcptt_id` belongs in the token.
    pub ptt: bool,
    /// `mcvideo_id` belongs in the token.
    pub video: bool,
    /// `mcdata_id` belongs in the token.
    pub data: bool,
}

/// A set of scopes, ordered, without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Reads a space separated scope parameter; empty items are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(
            text.split(' ')
                .filter(|scope| !scope.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// True when `scope` is in the set, by its own name.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// True when the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The grant: requested ∩ catalogue ∩ entitled. A legacy name is granted when its canonical
    /// scope is, and both names are returned so that either kind of resource server finds its own.
    #[must_use]
    pub fn grant(&self, entitled: &Self) -> Self {
        //= TS 33.180 B.4.2.2
        let mut granted = BTreeSet::new();
        for scope in self.iter() {
            if scope == OPENID {
                granted.insert(scope.to_owned());
                continue;
            }
            let canonical = canonical(scope);
            if CATALOGUE.contains(&canonical) && entitled.contains(canonical) {
                granted.insert(scope.to_owned());
                granted.insert(canonical.to_owned());
            }
        }
        Self(granted)
    }

    /// True when every scope of `self` is, under its canonical name, in `original`; the rule for
    /// a refresh.
    #[must_use]
    pub fn narrows(&self, original: &Self) -> bool {
        //= TS 33.180 B.5
        self.iter()
            .all(|scope| original.contains(canonical(scope)) || original.contains(scope))
    }

    /// The MC service ID claims this set calls for.
    #[must_use]
    pub fn service_claims(&self) -> ServiceClaims {
        let any = |prefix: &str| {
            self.iter()
                .any(|scope| canonical(scope).starts_with(prefix))
        };
        ServiceClaims {
            ptt: any("3gpp:mc:ptt_"),
            video: any("3gpp:mc:video_"),
            data: any("3gpp:mc:data_"),
        }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

impl<S: Into<String>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(Into::into).collect())
    }
}

/// The Rel-14 name of a scope; a name without an alias is returned unchanged.
#[must_use]
pub fn canonical(scope: &str) -> &str {
    LEGACY_ALIASES
        .iter()
        .find(|(legacy, _)| *legacy == scope)
        .map_or(scope, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entitled() -> Scopes {
        Scopes::parse("3gpp:mc:ptt_service 3gpp:mc:ptt_key_management_service")
    }

    #[test]
    fn grant_is_the_intersection_and_unknown_scopes_are_dropped() {
        let requested = Scopes::parse(
            "openid 3gpp:mc:ptt_service 3gpp:mc:video_service  offline_access made-up",
        );
        assert_eq!(
            requested.grant(&entitled()).to_string(),
            "3gpp:mc:ptt_service openid"
        );
    }

    #[test]
    fn scopes_are_case_sensitive() {
        assert!(
            Scopes::parse("3GPP:mc:ptt_service")
                .grant(&entitled())
                .is_empty()
        );
    }

    #[test]
    fn a_legacy_name_is_granted_with_its_canonical_name() {
        let granted = Scopes::parse("3gpp:mcptt:ptt_server").grant(&entitled());
        assert!(granted.contains("3gpp:mcptt:ptt_server"));
        assert!(granted.contains("3gpp:mc:ptt_service"));
        let refused = Scopes::parse("3gpp:mcptt:group_management_server").grant(&entitled());
        assert!(refused.is_empty());
    }

    #[test]
    fn narrowing_accepts_a_subset_and_refuses_more() {
        let original = Scopes::parse("openid 3gpp:mc:ptt_service");
        assert!(Scopes::parse("3gpp:mc:ptt_service").narrows(&original));
        assert!(Scopes::parse("3gpp:mcptt:ptt_server").narrows(&original));
        assert!(!Scopes::parse("openid 3gpp:mc:data_service").narrows(&original));
    }

    #[test]
    fn claims_follow_the_service_of_the_scopes() {
        let claims = Scopes::parse("openid 3gpp:mcptt:ptt_server").service_claims();
        assert_eq!(
            claims,
            ServiceClaims {
                ptt: true,
                video: false,
                data: false
            }
        );
        assert_eq!(
            Scopes::parse("openid").service_claims(),
            ServiceClaims::default()
        );
    }
}
