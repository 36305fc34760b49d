use super::*;

const A: LegId = LegId(1);
const B: LegId = LegId(2);
const C: LegId = LegId(3);

fn rules() -> Rules {
    Rules {
        emergency: false,
        minimum_to_start: 1,
        acknowledgement: None,
        abandoned: None,
        maximum_duration: Some(Duration::from_secs(600)),
    }
}

/// A private call: the one invited party must answer in time.
fn private() -> Rules {
    Rules {
        emergency: false,
        acknowledgement: Some((Duration::from_secs(60), false)),
        ..rules()
    }
}

fn start(rules: Rules, invited: &[(LegId, bool)]) -> (Controlling, Instant) {
    let now = Instant::now();
    let (session, actions) = Controlling::start(rules, A, invited, now);
    assert_eq!(actions, []);
    (session, now)
}

#[test]
fn the_first_answer_starts_the_call_and_the_last_to_stay_ends_it() {
    let (mut session, now) = start(rules(), &[(B, false), (C, false)]);
    let refused = Event::Refused(C, StatusCode::BUSY_HERE, None);
    assert_eq!(session.handle(refused, now), []);
    let answered = session.handle(Event::Answered(B), now);
    assert_eq!(answered, [Action::AnswerOriginator(None)]);
    assert_eq!(session.participants(), 2);
    let left = session.handle(Event::Left(B), now);
    assert_eq!(left, [Action::Release(A), Action::End]);
    assert!(session.is_ended());
}

#[test]
fn the_caller_hears_once_that_somebody_is_alerted() {
    let (mut session, now) = start(private(), &[(B, true)]);
    let ringing = session.handle(Event::Ringing(B), now);
    assert_eq!(ringing, [Action::RingOriginator]);
    assert_eq!(session.handle(Event::Ringing(B), now), []);
    session.handle(Event::Answered(B), now);
    assert_eq!(session.handle(Event::Ringing(B), now), []);
}

#[test]
fn a_refusal_of_the_called_party_reaches_the_caller_with_its_warning() {
    let (mut session, now) = start(private(), &[(B, true)]);
    let declined = Some(McWarning::UserDeclined);
    let status = StatusCode::TEMPORARILY_UNAVAILABLE;
    let actions = session.handle(Event::Refused(B, status, declined), now);
    assert_eq!(
        actions,
        [Action::RefuseOriginator(status, declined), Action::End]
    );
}

#[test]
fn a_called_party_that_does_not_answer_in_time_is_given_up() {
    let (mut session, now) = start(private(), &[(B, true)]);
    let due = session.poll_timeout().unwrap();
    assert_eq!(due, now + Duration::from_secs(60));
    session.handle(Event::Ringing(B), now);
    assert_eq!(session.handle_timeout(due - Duration::from_millis(1)), []);
    assert_eq!(
        session.handle_timeout(due),
        [
            Action::RefuseOriginator(StatusCode::TEMPORARILY_UNAVAILABLE, None),
            Action::Release(B),
            Action::End
        ]
    );
    // An answer that crossed the CANCEL is ended.
    assert_eq!(
        session.handle(Event::Answered(B), due),
        [Action::Release(B)]
    );
}

#[test]
fn required_members_that_are_missing_abandon_the_call_or_not() {
    let abandoned = Some(McWarning::AbandonedForRequiredMembers);
    for (proceed, expected) in [
        (
            false,
            Action::RefuseOriginator(StatusCode::TEMPORARILY_UNAVAILABLE, abandoned),
        ),
        (
            true,
            Action::AnswerOriginator(Some(McWarning::ProceededWithoutRequiredMembers)),
        ),
    ] {
        let rules = Rules {
            acknowledgement: Some((Duration::from_secs(5), proceed)),
            abandoned,
            ..rules()
        };
        let (mut session, _) = start(rules, &[(B, false), (C, true)]);
        let due = session.poll_timeout().unwrap();
        assert_eq!(session.handle(Event::Answered(B), due), []);
        assert_eq!(session.handle_timeout(due).first(), Some(&expected));
    }
}

#[test]
fn a_cancelled_call_ends_for_everybody() {
    let (mut session, now) = start(private(), &[(B, true)]);
    assert_eq!(
        session.handle(Event::Cancelled, now),
        [
            Action::RefuseOriginator(StatusCode::REQUEST_TERMINATED, None),
            Action::Release(B),
            Action::End
        ]
    );
}

#[test]
fn the_longest_duration_and_an_idle_floor_end_a_call() {
    for by_floor in [true, false] {
        let (mut session, now) = start(rules(), &[(B, false)]);
        session.handle(Event::Answered(B), now);
        let actions = if by_floor {
            session.handle(Event::FloorIdle, now)
        } else {
            let due = session.poll_timeout().unwrap();
            session.handle_timeout(due)
        };
        assert_eq!(
            actions,
            [Action::Release(A), Action::Release(B), Action::End]
        );
    }
}

#[test]
fn no_call_goes_over_from_clear_to_protected_or_back() {
    for answered in [true, false] {
        let (mut session, now) = start(rules(), &[(B, false)]);
        let mut expected = vec![Action::Release(B), Action::End];
        let first = if answered {
            session.handle(Event::Answered(B), now);
            Action::Release(A)
        } else {
            Action::RefuseOriginator(StatusCode::NOT_ACCEPTABLE_HERE, None)
        };
        expected.insert(0, first);
        assert_eq!(session.handle(Event::ProtectionChanged, now), expected);
        assert_eq!(session.handle(Event::ProtectionChanged, now), []);
    }
}

#[test]
fn the_best_of_several_refusals_is_passed_on() {
    let (mut session, now) = start(rules(), &[(B, false), (C, false)]);
    session.handle(
        Event::Refused(B, StatusCode::SERVER_INTERNAL_ERROR, None),
        now,
    );
    let actions = session.handle(Event::Refused(C, StatusCode::BUSY_HERE, None), now);
    assert_eq!(
        actions,
        [
            Action::RefuseOriginator(StatusCode::BUSY_HERE, None),
            Action::End
        ]
    );
    assert_eq!(
        better(
            Some((StatusCode::DECLINE, None)),
            (StatusCode::BUSY_HERE, None)
        ),
        (StatusCode::DECLINE, None)
    );
}

#[test]
fn an_emergency_outlasts_the_longest_duration() {
    let start = Instant::now();
    let rules = Rules {
        maximum_duration: Some(Duration::from_secs(60)),
        emergency: true,
        ..rules()
    };
    let (mut session, _) = Controlling::start(rules, LegId(1), &[(LegId(2), false)], start);
    session.handle(Event::Answered(LegId(2)), start);
    assert!(session.is_ongoing());
    assert_eq!(session.poll_timeout(), None);
    // The time of the call begins when the emergency is over.
    let over = start + Duration::from_secs(600);
    assert!(session.handle(Event::Emergency(false), over).is_empty());
    assert_eq!(session.poll_timeout(), Some(over + Duration::from_secs(60)));
    assert!(session.handle(Event::Emergency(true), over).is_empty());
    assert_eq!(session.poll_timeout(), None);
}
