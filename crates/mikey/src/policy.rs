//! SP payloads: the default security profiles (TS 33.180 E.2.2, E.3.2, E.4.2) as data.

use mc_ids::KeyPurpose;

/// Type and value of each parameter of an SP payload (RFC 3830 6.10, RFC 4771, RFC 7714).
pub type Policy = Vec<(u8, Vec<u8>)>;

/// What a parameter is called.
#[must_use]
pub const fn policy_name(kind: u8) -> &'static str {
    match kind {
        0 => "encryption algorithm",
        1 => "session encryption key length",
        2 => "authentication algorithm",
        3 => "session authentication key length",
        4 => "session salt key length",
        5 => "SRTP PRF",
        6 => "key derivation rate",
        7 => "SRTP encryption",
        8 => "SRTCP encryption",
        9 => "FEC order",
        10 => "SRTP authentication",
        11 => "authentication tag length",
        12 => "SRTP prefix length",
        13 => "ROC transmission rate",
        18 => "SRTP authentication tag length",
        19 => "SRTCP authentication tag length",
        20 => "AEAD authentication tag length",
        _ => "parameter of another release",
    }
}

/// The profile that holds for a key whose message has no SP. Media of a group carries the ROC
/// (types 2, 13, 18, 19); the rows of CSK and `MuSiK` are UNVERIFIED and equal those of a PCK.
//= TS 33.180 E.2.2
//= TS 33.180 E.3.2
//= TS 33.180 E.4.2
#[must_use]
pub fn default_policy(purpose: KeyPurpose) -> Policy {
    let one = |kind, value| (kind, vec![value]);
    let mut policy = vec![
        one(0, 6),
        one(1, 16),
        one(4, 12),
        one(5, 0),
        one(6, 0),
        one(20, 16),
    ];
    if purpose == KeyPurpose::Gmk {
        policy.extend([one(2, 4), (13, vec![0, 1]), one(18, 4), one(19, 0)]);
        policy.sort_by_key(|(kind, _)| *kind);
    }
    policy
}

/// A parameter of a received policy that is not the default profile's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDifference<'p> {
    /// The parameter's type.
    pub kind: u8,
    /// The value received.
    pub value: &'p [u8],
    /// The default, if the profile has one.
    pub default: Option<Vec<u8>>,
}

/// Parameters of a received policy that contradict the default profile. What a peer leaves out has
/// its default.
#[must_use]
pub fn policy_differences(
    policy: &[(u8, Vec<u8>)],
    purpose: KeyPurpose,
) -> Vec<PolicyDifference<'_>> {
    let defaults = default_policy(purpose);
    let differs = |(kind, value): &(u8, Vec<u8>)| {
        let default = defaults.iter().find(|(k, _)| k == kind);
        default.is_none_or(|(_, default)| default != value)
    };
    let different = policy.iter().filter(|parameter| differs(parameter));
    different
        .map(|(kind, value)| PolicyDifference {
            kind: *kind,
            value,
            default: defaults
                .iter()
                .find(|(k, _)| k == kind)
                .map(|(_, default)| default.clone()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_profile_is_the_table_of_annex_e() {
        let octets: Vec<u8> = default_policy(KeyPurpose::Gmk)
            .iter()
            .flat_map(|(kind, value)| {
                [&[*kind, u8::try_from(value.len()).unwrap()][..], value].concat()
            })
            .collect();
        assert_eq!(
            hex::encode(octets),
            "00010601011002010404010c0501000601000d020001120104130100140110"
        );
    }

    #[test]
    fn only_contradictions_are_told() {
        let deployed = vec![(0, vec![6]), (1, vec![16]), (20, vec![16])];
        assert_eq!(policy_differences(&deployed, KeyPurpose::Gmk), []);
        let counter_mode = vec![(0, vec![1]), (11, vec![10])];
        let found = policy_differences(&counter_mode, KeyPurpose::Pck);
        let told: Vec<_> = found
            .iter()
            .map(|d| (d.kind, d.value, d.default.as_deref()))
            .collect();
        let expected = [(0, &[1][..], Some(&[6][..])), (11, &[10][..], None)];
        assert_eq!(told, expected);
    }
}
