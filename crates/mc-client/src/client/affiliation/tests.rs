use mc_xml::affiliation::{Affiliation, Tuple};

use super::*;

fn group(name: &str) -> GroupId {
    GroupId::new(format!("sip:{name}@mc.example")).unwrap()
}

fn client(last: u8) -> ClientId {
    ClientId::new(format!(
        "urn:uuid:00000000-0000-4000-8000-0000000000{last:02}"
    ))
    .unwrap()
}

/// A notification that lists these groups for a client.
fn notified(
    of: &ClientId,
    groups: &[(&str, AffiliationStatus)],
    p_id: Option<&str>,
) -> AffiliationPresence {
    let listed = groups.iter().map(|(name, status)| Affiliation {
        group: Some(group(name).as_str().to_owned()),
        status: Some(*status),
        ..Affiliation::default()
    });
    AffiliationPresence {
        entity: "sip:alice@mc.example".to_owned(),
        tuples: vec![Tuple {
            id: of.as_str().to_owned(),
            affiliations: listed.collect(),
            functional_aliases: Vec::new(),
        }],
        p_id: p_id.map(str::to_owned),
        p_id_fa: None,
    }
}

fn asked() -> Affiliations {
    let mut state = Affiliations::default();
    state.ask("1f", &[group("fire"), group("police")], Instant::now());
    state
}

const IN_FORCE: AffiliationStatus = AffiliationStatus::Affiliated;
const OPEN: AffiliationStatus = AffiliationStatus::Affiliating;

#[test]
fn the_notification_of_the_publication_is_the_result_even_if_a_group_is_left_out() {
    let mut state = asked();
    // The state before, which answers the subscription.
    assert!(!state.learn(&notified(&client(1), &[], None), &client(1)));
    assert!(state.awaits(&group("fire")) && state.is_pending());
    let result = notified(&client(1), &[("fire", IN_FORCE)], Some("1f"));
    assert!(state.learn(&result, &client(1)));
    assert!(!state.is_pending());
    assert!(!state.awaits(&group("fire")) && !state.awaits(&group("police")));
    assert!(state.in_force.contains(&group("fire")) && !state.in_force.contains(&group("police")));
    // Known is known: the next one is news, not the result.
    assert!(!state.learn(&result, &client(1)));
}

#[test]
fn everything_in_force_is_the_result_without_an_identifier_too() {
    let mut state = asked();
    let both = [("fire", IN_FORCE), ("police", IN_FORCE)];
    assert!(!state.learn(&notified(&client(1), &both[..1], Some("other")), &client(1)));
    assert!(!state.awaits(&group("fire")) && state.awaits(&group("police")));
    assert!(state.learn(&notified(&client(1), &both, None), &client(1)));
}

#[test]
fn what_is_still_open_is_no_result() {
    let mut state = asked();
    let open = notified(
        &client(1),
        &[("fire", IN_FORCE), ("police", OPEN)],
        Some("1f"),
    );
    assert!(!state.learn(&open, &client(1)));
    assert!(state.awaits(&group("police")));
}

#[test]
fn another_client_of_the_same_user_says_nothing_of_this_one() {
    let mut state = asked();
    let both = [("fire", IN_FORCE), ("police", IN_FORCE)];
    assert!(!state.learn(&notified(&client(2), &both, None), &client(1)));
    assert!(state.awaits(&group("fire")));
}

#[test]
fn only_groups_that_were_asked_for_are_waited_for() {
    let mut state = asked();
    assert!(!state.awaits(&group("elsewhere")));
    state.presume();
    assert!(!state.is_pending() && !state.awaits(&group("fire")));
    assert!(state.in_force.contains(&group("police")));
}

#[test]
fn a_subscription_ends_with_terminated_only() {
    for (state, ends) in [
        ("terminated;reason=timeout", true),
        (" Terminated ; reason=x", true),
        ("active;expires=7", false),
        ("pending", false),
        ("terminatedx", false),
        ("", false),
    ] {
        assert_eq!(is_terminated(state), ends, "{state}");
    }
}
