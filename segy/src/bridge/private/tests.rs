use super::super::tests::{ALICE, external, granted, ptt_on, released, shown, taken, users};
use super::*;
use crate::config::LimitsConfig;

const WAIT: Duration = Duration::from_secs(40);

struct Rig {
    call: PrivateCall,
    now: Instant,
}

impl Rig {
    fn new(origin: Origin) -> Self {
        let now = Instant::now();
        let timing = LimitsConfig::default().timing();
        let call = PrivateCall::new(origin, "1001", timing, &users(), WAIT, now);
        Self { call, now }
    }

    /// A call of unit 1001.
    fn from_outside() -> Self {
        let represented = users().represent(Some("1001")).unwrap();
        let mut rig = Self::new(Origin::External(represented));
        assert_eq!(rig.drain(), ["call as sip:unit-1001@mc.example"]);
        rig
    }

    /// A call of alice to unit 1001.
    fn from_mc() -> Self {
        let mut rig = Self::new(Origin::Mc);
        assert!(rig.drain().is_empty());
        rig
    }

    fn up() -> Self {
        let mut rig = Self::from_outside();
        rig.mc(McEvent::CallStarted);
        rig.outside(ExternalEvent::Up);
        rig
    }

    fn give(&mut self, input: Input) -> Vec<String> {
        self.call.handle(input, self.now);
        self.drain()
    }

    fn drain(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.call.poll_output())
            .map(|output| shown(&output))
            .collect()
    }

    fn mc(&mut self, event: McEvent) -> Vec<String> {
        self.give(Input::Mc(event))
    }

    fn outside(&mut self, event: ExternalEvent) -> Vec<String> {
        self.give(external(event))
    }
}

fn refused(status: u16) -> McEvent {
    let detail = "no".to_owned();
    McEvent::CallRefused { status, detail }
}

#[test]
fn an_external_user_calls() {
    let mut rig = Rig::from_outside();
    assert_eq!(rig.mc(McEvent::Ringing), ["alert"]);
    assert_eq!(rig.mc(McEvent::CallStarted), ["answer", "(bridged)"]);
    assert!(rig.outside(ExternalEvent::Up).is_empty());
    let asked = rig.give(ptt_on("1001"));
    assert_eq!(asked, ["request floor as sip:unit-1001@mc.example"]);
    assert_eq!(rig.give(granted()), ["(1001 heard)"]);
    let ended = rig.outside(ExternalEvent::Down);
    assert!(ended.contains(&"leave call".to_owned()), "{ended:?}");
    assert!(ended.contains(&"(silence)".to_owned()), "{ended:?}");
    assert!(rig.call.is_over());
}

#[test]
fn an_mc_user_calls() {
    let mut rig = Rig::from_mc();
    assert!(rig.outside(ExternalEvent::Ringing).is_empty());
    assert_eq!(rig.outside(ExternalEvent::Up), ["answer MC side"]);
    assert_eq!(rig.mc(McEvent::CallStarted), ["(bridged)"]);
    let pressed = rig.give(taken(ALICE));
    assert_eq!(
        pressed,
        [format!("press as 9001 {ALICE}"), format!("({ALICE} heard)")]
    );
    let ended = rig.give(released());
    assert!(
        ended.contains(&"(ended: hang time)".to_owned()),
        "{ended:?}"
    );
    assert!(rig.call.is_over());
}

#[test]
fn an_mc_side_that_answers_by_force_waits_for_the_radio() {
    let mut rig = Rig::from_mc();
    assert_eq!(rig.mc(McEvent::CallStarted), ["(bridged)"]);
    assert!(rig.give(taken(ALICE)).is_empty(), "nobody there to hear it");
    let pressed = rig.outside(ExternalEvent::Up);
    assert_eq!(pressed[0], format!("press as 9001 {ALICE}"));
}

#[test]
fn who_is_not_reached_is_told_to_the_caller() {
    for (status, failure) in [
        (404, Failure::Unknown),
        (403, Failure::Forbidden),
        (486, Failure::Busy),
        (480, Failure::Unavailable),
        (603, Failure::Declined),
        (0, Failure::Failed),
    ] {
        let mut rig = Rig::from_outside();
        let told = rig.mc(refused(status));
        assert_eq!(told[0], format!("reject({failure:?})").to_lowercase());
        assert_eq!(told[1], format!("(not reached: {failure:?}, no)"));
        assert!(rig.call.is_over());

        let mut rig = Rig::from_mc();
        let told = rig.outside(ExternalEvent::Refused(failure));
        assert_eq!(told[0], format!("refuse MC side: {failure:?}"));
        assert!(rig.call.is_over());
    }
    assert_eq!(Failure::of_status(Failure::Busy.status()), Failure::Busy);
}

#[test]
fn a_call_that_nobody_answers_ends() {
    let mut rig = Rig::from_outside();
    assert_eq!(rig.call.poll_timeout(), Some(rig.now + WAIT));
    rig.now += WAIT;
    let told = rig.give(Input::Timeout);
    assert_eq!(told[0], "reject(unavailable)");
    assert!(
        told.contains(&"leave call".to_owned()),
        "it is cancelled: {told:?}"
    );
    let mut rig = Rig::from_mc();
    rig.now += WAIT;
    assert_eq!(rig.give(Input::Timeout)[0], "refuse MC side: Unavailable");
}

#[test]
fn a_caller_gives_up() {
    let mut rig = Rig::from_outside();
    let told = rig.outside(ExternalEvent::Down);
    assert!(told.contains(&"leave call".to_owned()), "{told:?}");
    assert!(rig.call.is_over());
    let mut rig = Rig::from_mc();
    rig.give(released());
    assert!(rig.call.is_over(), "its port is dropped, which cancels");
    assert!(rig.outside(ExternalEvent::Up).is_empty(), "too late");
}

#[test]
fn nobody_else_speaks_in_a_call() {
    let mut rig = Rig::up();
    let refused = rig.give(ptt_on("1002"));
    assert_eq!(refused, ["refuse", "(1002 refused: unmapped)"]);
    // A system that does not tell who speaks.
    let talker = super::super::ExternalTalker::default();
    let asked = rig.outside(ExternalEvent::PttOn(talker));
    assert_eq!(asked, ["request floor as sip:unit-1001@mc.example"]);
}

#[test]
fn a_press_before_the_answer_is_not_heard() {
    let mut rig = Rig::from_outside();
    assert!(rig.give(ptt_on("1001")).is_empty());
}

#[test]
fn a_call_in_which_nobody_talks_ends() {
    let mut rig = Rig::up();
    rig.now = rig.call.poll_timeout().unwrap();
    assert_eq!(rig.give(Input::Timeout), ["leave call"]);
    assert!(rig.call.is_over());
}

#[test]
fn no_call_survives_the_mc_side() {
    let mut rig = Rig::up();
    rig.give(ptt_on("1001"));
    let told = rig.mc(McEvent::Down);
    assert!(
        told.iter().all(|line| !line.starts_with("call as")),
        "it is not made anew: {told:?}"
    );
    assert!(rig.call.is_over());
}
