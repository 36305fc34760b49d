//! Who may do what with a group (TS 24.481 6.2, 6.3; control lists against spoofing).
//!
//! Pure: identities, lists and a document in, a decision out.

use mc_ids::McServiceId;
use mc_xml::group::GroupDocument;

use crate::config::{Config, Representation};

/// What a reader gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The whole document.
    Full,
    /// The document without its member list (TS 24.481 6.3.16).
    WithoutMembers,
    /// Nothing.
    Denied,
}

/// An assertion of an identity that the peer may not represent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this peer may not represent the asserted identity (TS 33.180 L.5)")]
pub struct ForeignAssertion;

/// What `reader` sees of a group.
#[must_use]
pub fn view(config: &Config, reader: &McServiceId, document: &GroupDocument) -> View {
    //= TS 24.481 6.3.3.2.3
    if config.servers.contains(reader) || config.administrators.contains(reader) {
        return View::Full;
    }
    if document.member(reader.as_str()).is_none() {
        return View::Denied;
    }
    if document.actions_for(reader.as_str()).member_list {
        View::Full
    } else {
        View::WithoutMembers
    }
}

/// The identity a request acts for: the token's own, or an asserted one on the peer's list. A
/// functional alias of the peer is the peer itself.
///
/// # Errors
/// [`ForeignAssertion`] for an identity outside the list.
pub fn acting_identity(
    lists: &[Representation],
    authenticated: &McServiceId,
    asserted: Option<&str>,
) -> Result<McServiceId, ForeignAssertion> {
    let Some(asserted) = asserted.map(unquoted) else {
        return Ok(authenticated.clone());
    };
    if asserted == authenticated.as_str() {
        return Ok(authenticated.clone());
    }
    for list in lists.iter().filter(|list| list.by == *authenticated) {
        if list.aliases.iter().any(|alias| alias.as_str() == asserted) {
            return Ok(authenticated.clone());
        }
        if list.may_assert.iter().any(|p| p.matches(asserted)) {
            return asserted.parse().map_err(|_| ForeignAssertion);
        }
    }
    Err(ForeignAssertion)
}

/// Whether `peer` may bring `member`, whom it asserts, into a group.
#[must_use]
pub fn may_enrol(
    lists: &[Representation],
    peer: &McServiceId,
    member: &McServiceId,
    document: &GroupDocument,
) -> bool {
    //= TR 33.880 7.8.4.3
    lists.iter().any(|list| {
        let asserted = |uri: &str| list.may_assert.iter().any(|p| p.matches(uri));
        let there = document.members().iter().filter(|m| asserted(&m.uri));
        list.by == *peer
            && asserted(member.as_str())
            && list
                .enrols
                .iter()
                .any(|group| group.as_str() == document.uri())
            && (document.member(member.as_str()).is_some() || there.count() < list.most_enrolled)
    })
}

fn unquoted(value: &str) -> &str {
    value.trim().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> McServiceId {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_enrols_its_own_users_in_its_groups_and_not_many() {
        let list = |enrols: &str| Representation {
            by: id("sip:segy@segy.example"),
            may_assert: vec!["sip:unit-*@segy.example".parse().unwrap()],
            aliases: Vec::new(),
            enrols: vec![enrols.parse().unwrap()],
            most_enrolled: 2,
        };
        let (group, segy) = ("sip:fire@mc.example", id("sip:segy@segy.example"));
        let mut document = GroupDocument::new(group, "Fire").unwrap();
        let lists = [list(group)];
        let (one, alice) = (id("sip:unit-1@segy.example"), id("sip:alice@mc.example"));
        assert!(may_enrol(&lists, &segy, &one, &document));
        assert!(!may_enrol(&lists, &segy, &alice, &document));
        assert!(!may_enrol(&lists, &segy, &segy, &document));
        assert!(!may_enrol(&lists, &alice, &one, &document));
        assert!(!may_enrol(
            &[list("sip:other@mc.example")],
            &segy,
            &one,
            &document
        ));
        for member in [
            "sip:alice@mc.example",
            "sip:unit-1@segy.example",
            "sip:unit-2@segy.example",
        ] {
            document
                .put_member(&mc_xml::group::Member::new(member))
                .unwrap();
        }
        assert!(may_enrol(&lists, &segy, &one, &document), "there already");
        let third = id("sip:unit-3@segy.example");
        assert!(!may_enrol(&lists, &segy, &third, &document), "too many");
    }

    #[test]
    fn only_listed_identities_may_be_asserted() {
        let lists = [Representation {
            by: id("sip:segy@mc.example"),
            may_assert: vec!["sip:unit-*@mc.example".parse().unwrap()],
            aliases: vec!["sip:engine-7@fa.mc.example".parse().unwrap()],
            enrols: Vec::new(),
            most_enrolled: 1,
        }];
        let segy = id("sip:segy@mc.example");
        let acting = |by: &McServiceId, asserted| acting_identity(&lists, by, asserted);
        assert_eq!(acting(&segy, None), Ok(segy.clone()));
        let quoted = Some("\"sip:unit-1@mc.example\"");
        assert_eq!(acting(&segy, quoted), Ok(id("sip:unit-1@mc.example")));
        assert_eq!(
            acting(&segy, Some("sip:alice@mc.example")),
            Err(ForeignAssertion)
        );
        let alias = Some("sip:engine-7@fa.mc.example");
        assert_eq!(acting(&segy, alias), Ok(segy.clone()));
        for foreign in [
            "",
            "sip:unit-1@segy.example",
            "sip:unit-1@mc.example@x.example",
        ] {
            assert_eq!(acting(&segy, Some(foreign)), Err(ForeignAssertion));
        }
        assert_eq!(
            acting(&id("sip:alice@mc.example"), alias),
            Err(ForeignAssertion)
        );
        assert_eq!(
            acting(&id("sip:alice@mc.example"), quoted),
            Err(ForeignAssertion)
        );
    }
}
