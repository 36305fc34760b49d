//! Any order of events: what must always hold.

use proptest::prelude::*;

use super::*;

/// What happens, by number of [`every_input`]; time passes in between.
fn history() -> impl Strategy<Value = Vec<(usize, u64)>> {
    let inputs = every_input().len();
    prop::collection::vec((0..inputs, 0..400u64), 1..120)
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_the_rules(history in history()) {
        let mut rig = Rig::new();
        let (mut presses, mut requests) = (0, 0);
        let mut pressed = false;
        for (n, wait) in history {
            let (name, input) = every_input().swap_remove(n);
            presses += usize::from(name.ends_with("presses"));
            let had_floor = matches!(rig.state(), "to_mc" | "draining_to_mc");
            let may_get_it = name == "Floor Granted";
            let mut done = rig.give(input);
            done.extend(rig.pass(ms(wait)));
            for line in &done {
                let what = line.rsplit(" ms: ").next().unwrap();
                // Speech goes to the MC side with the floor only.
                prop_assert!(!what.starts_with("send") || had_floor || may_get_it, "{line} by {name}");
                requests += usize::from(what.starts_with("request") || what.starts_with("call as"));
                match what {
                    "release" => pressed = false,
                    _ if what.starts_with("press as") => pressed = true,
                    // Speech goes to the external side under a press only.
                    _ if what.starts_with("play") || what == "lost" => {
                        prop_assert!(pressed, "{line} by {name}");
                    }
                    _ => {}
                }
            }
            // Each press asks once; a call asks again when it is up, and is made anew once.
            prop_assert!(requests <= presses * 4, "{requests} requests for {presses} presses");
            let due = rig.bridge.poll_timeout();
            prop_assert!(due.is_none_or(|due| due > rig.now), "a timer that is always due");
        }
    }
}
