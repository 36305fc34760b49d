use super::*;

fn bob() -> McServiceId {
    McServiceId::new("sip:bob@mc.example").unwrap()
}

fn refused(policy: &UserPolicy, asked: Asked<'_>) -> Option<(u16, u16)> {
    let refusal = admit(policy, asked).err()?;
    Some((refusal.status.code(), refusal.warning?.code()))
}

#[test]
fn rights_are_checked_in_the_order_of_the_clause() {
    let bob = bob();
    let asked = |commencement| Asked {
        commencement,
        callee: Some(&bob),
        calls: 0,
    };
    let nothing = UserPolicy {
        allow_private_call: false,
        allow_manual_commencement: false,
        allow_automatic_commencement: false,
        allow_force_auto_answer: false,
        allow_private_call_to_any_user: false,
        max_private_calls: 0,
        ..UserPolicy::default()
    };
    let auto = asked(Some(Commencement::Automatic));
    assert_eq!(refused(&nothing, auto), Some((403, 107)));
    let calls = UserPolicy {
        allow_private_call: true,
        ..nothing
    };
    assert_eq!(refused(&calls, auto), Some((403, 125)));
    let manual = asked(Some(Commencement::Manual));
    assert_eq!(refused(&calls, manual), Some((403, 126)));
    let forced = asked(Some(Commencement::ForcedAutomatic));
    assert_eq!(refused(&calls, forced), Some((403, 143)));
    assert_eq!(refused(&calls, asked(None)), Some((403, 144)));
    let listed = UserPolicy {
        private_call_list: vec![bob.as_str().to_owned()],
        ..calls
    };
    assert_eq!(refused(&listed, asked(None)), Some((486, 124)));
    let one = UserPolicy {
        max_private_calls: 1,
        ..listed
    };
    assert_eq!(refused(&one, asked(None)), None);
}

#[test]
fn by_default_everything_but_force_is_allowed() {
    let (policy, bob) = (UserPolicy::default(), bob());
    for commencement in [Commencement::Automatic, Commencement::Manual] {
        let asked = Asked {
            commencement: Some(commencement),
            callee: Some(&bob),
            calls: 0,
        };
        assert_eq!(refused(&policy, asked), None);
    }
    let forced = Asked {
        commencement: Some(Commencement::ForcedAutomatic),
        callee: None,
        calls: 0,
    };
    assert_eq!(refused(&policy, forced), Some((403, 143)));
}

#[test]
fn the_called_users_setting_wins_unless_forced() {
    use AnswerMode as Set;
    use Commencement::{Automatic, ForcedAutomatic, Manual};
    for (asked, set, begins) in [
        (Some(Automatic), Some(Set::Automatic), Some(Automatic)),
        (Some(Automatic), Some(Set::Manual), Some(Manual)),
        (Some(Manual), Some(Set::Automatic), Some(Manual)),
        (Some(Manual), Some(Set::Manual), Some(Manual)),
        (
            Some(ForcedAutomatic),
            Some(Set::Manual),
            Some(ForcedAutomatic),
        ),
        (None, Some(Set::Automatic), Some(Automatic)),
        (None, Some(Set::Manual), Some(Manual)),
        (Some(ForcedAutomatic), None, None),
        (Some(Automatic), None, None),
    ] {
        assert_eq!(reconcile(asked, set), begins, "{asked:?} {set:?}");
    }
}

#[test]
fn a_resource_list_has_exactly_one_entry() {
    let parts = |uris: &[&str]| {
        let uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
        let lists = ResourceLists { uris };
        Multipart::default().with(mc_sip::BodyPart::new(media::RESOURCE_LISTS, lists.to_xml()))
    };
    let entry = called_party(&parts(&["sip:bob@mc.example"])).unwrap();
    assert_eq!(entry, "sip:bob@mc.example");
    let undetermined = Refusal::forbidden(McWarning::UnableToDetermineCalledParty);
    for uris in [&[][..], &["sip:a", "sip:b"]] {
        assert_eq!(called_party(&parts(uris)), Err(undetermined.clone()));
    }
    assert_eq!(called_party(&Multipart::default()), Err(undetermined));
}
