use super::*;

fn with(name: &str, value: &str) -> Vec<Finding> {
    let environment = [(name.to_owned(), value.to_owned())];
    let findings = examine(&Setup::complete(), environment);
    findings.into_iter().filter(|f| !f.ok).collect()
}

#[test]
fn the_lab_agrees_with_itself_and_every_rule_has_something_to_check() {
    let setup = Setup::complete();
    let lab = configurations(&setup, []).unwrap();
    for rule in rules::of(&setup) {
        assert!(!values(&lab, &rule.is).is_empty(), "{:?}", rule.is);
        assert!(!values(&lab, &rule.of).is_empty(), "{:?}", rule.of);
        let finding = check(&rule, &lab);
        assert!(finding.ok, "{finding:?}");
    }
}

#[test]
fn a_difference_names_both_ends_and_the_cure() {
    let bad = with("GMS__KMS__KMS_URI", "kms.other.example");
    assert_eq!(bad.len(), 2, "the GMS of both domains: {bad:?}");
    assert!(bad[0].found.contains("kms.other.example"), "{bad:?}");
    assert!(bad[0].found.contains("kms.mc.example"), "{bad:?}");
    assert!(bad[0].fix.contains("kms.kms_uri of gms"), "{bad:?}");
}

#[test]
fn two_keys_of_one_interconnection_are_found_and_not_shown() {
    let bad = with("SEGY__INTERCONNECTION__SPK__KEY", "0123456789abcdef");
    assert_eq!(bad.len(), 3, "each gateway with one: {bad:?}");
    assert!(!format!("{bad:?}").contains("0123456789abcdef"), "{bad:?}");
    assert!(
        bad[0].fix.contains("partners[name=segy-7.3].spk.key"),
        "{bad:?}"
    );
}

#[test]
fn both_ends_of_an_interconnection_may_not_take_the_same_ssrcs() {
    let bad = with("SEGY__INTERCONNECTION__SSRCS", "lower");
    assert_eq!(bad.len(), 3, "each gateway with one: {bad:?}");
    assert!(bad[0].fix.contains("another one than"), "{bad:?}");
}

#[test]
fn a_variable_that_names_no_place_is_reported() {
    let bad = with("KMS__KMS_URI__X", "1");
    assert_eq!(bad.len(), 1, "{bad:?}");
}
