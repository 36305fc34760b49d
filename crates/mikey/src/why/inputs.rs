//! The inputs of a UID, and the mistakes that are made with them.

use crate::anatomy::hex;
use crate::domain::KmsCertificate;
use mc_ids::NtpTime;
use sha2::{Digest, Sha256};

/// Seconds from 1900 to 1970: the usual wrong epoch.
const UNIX_EPOCH: u64 = 2_208_988_800;

/// One input of a UID: what this side takes, and what the other side must have taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UidInput {
    /// `P1 identity` and so on.
    pub name: &'static str,
    /// What the message and the certificate say.
    pub expected: String,
    /// What reproduces the other side's UID; `None` when nothing tried does.
    pub seen: Option<String>,
}

impl UidInput {
    /// Whether the other side took the same, as far as is known.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.seen.as_ref().is_none_or(|seen| *seen == self.expected)
    }
}

/// How P3 to P5 are written as octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Shortest,
    /// As shortest, but zero has no octet.
    ZeroEmpty,
    /// As shortest, with a zero octet before a set top bit: signed integers of big number libraries.
    Signed,
    Octets(usize),
}

impl Width {
    /// The big endian octets of an integer.
    fn octets(self, integer: u64) -> Vec<u8> {
        let octets = integer.to_be_bytes();
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        let skip = match self {
            Self::Shortest | Self::Signed => zeros.min(7),
            Self::ZeroEmpty => zeros,
            Self::Octets(count) => octets.len().saturating_sub(count),
        };
        let shortest = octets.get(skip..).unwrap_or_default();
        let sign = self == Self::Signed && shortest.first().is_some_and(|octet| octet >> 7 == 1);
        let sign = if sign { &[0][..] } else { &[] };
        [sign, shortest].concat()
    }
}

/// Everything a UID is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inputs {
    identity: String,
    kms: String,
    period: u64,
    offset: u64,
    number: u64,
    width: Width,
}

impl Inputs {
    pub(super) fn new(identity: &str, kms: &KmsCertificate, number: u64) -> Self {
        Self {
            identity: identity.to_owned(),
            kms: kms.kms_uri.as_str().to_owned(),
            period: kms.period.period(),
            offset: kms.period.offset(),
            number,
            width: Width::Shortest,
        }
    }

    //= TS 33.180 F.2.1
    pub(super) fn uid(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update([0x00]);
        let mut field = |octets: &[u8]| {
            hash.update(octets);
            hash.update(
                u16::try_from(octets.len())
                    .unwrap_or(u16::MAX)
                    .to_be_bytes(),
            );
        };
        field(b"MIKEY-SAKKE-UID");
        field(self.identity.as_bytes());
        field(self.kms.as_bytes());
        for integer in [self.period, self.offset, self.number] {
            field(&self.width.octets(integer));
        }
        hash.finalize().into()
    }

    /// The inputs with one mistake each, the likely ones first.
    fn with_one_mistake(&self, time: NtpTime) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut other = self.clone();
            change(&mut other);
            if other != *self && !all.contains(&other) {
                all.push(other);
            }
        };
        let number = self.number;
        for near in [1, 2] {
            add(&|i| i.number = number.saturating_sub(near));
            add(&|i| i.number = number.saturating_add(near));
        }
        for identity in respellings(&self.identity) {
            add(&|i| i.identity.clone_from(&identity));
        }
        for kms in respellings(&self.kms) {
            add(&|i| i.kms.clone_from(&kms));
        }
        let unix = u64::from(time.seconds()).saturating_sub(UNIX_EPOCH);
        // Zero once it was exchanged with the offset: then there are no periods to count.
        let periods = |seconds: u64| seconds.checked_div(self.period).unwrap_or_default();
        let whole = periods(time.seconds().into());
        for number in [periods(unix), whole, whole + 1, 0] {
            add(&|i| i.number = number);
        }
        add(&|i| i.offset = 0);
        add(&|i| std::mem::swap(&mut i.period, &mut i.offset));
        for period in [2_592_000, 2_628_000, 604_800, 86_400] {
            let number = u64::from(time.seconds()).saturating_sub(self.offset) / period;
            add(&|i| (i.period, i.number) = (period, number));
            add(&|i| i.period = period);
        }
        for width in [
            Width::Octets(4),
            Width::Octets(8),
            Width::ZeroEmpty,
            Width::Signed,
        ] {
            add(&|i| i.width = width);
        }
        // Some widths write these integers as the annex does.
        let own = self.uid();
        all.retain(|inputs| inputs.uid() != own);
        all
    }

    /// The inputs that reproduce what the other side has, searched among the known mistakes;
    /// `cheap` allows two mistakes at once.
    pub(super) fn search(
        &self,
        time: NtpTime,
        cheap: bool,
        reproduces: impl Fn(&[u8; 32]) -> bool,
    ) -> Option<Self> {
        let holds = |inputs: &Self| reproduces(&inputs.uid());
        if holds(self) {
            return Some(self.clone());
        }
        let single = self.with_one_mistake(time);
        let found = single.iter().find(|inputs| holds(inputs)).cloned();
        if found.is_some() || !cheap {
            return found;
        }
        let double = single.iter().flat_map(|one| one.with_one_mistake(time));
        double.into_iter().find(|inputs| holds(inputs))
    }

    /// The list for people: these inputs against those the other side took.
    pub(super) fn compared(&self, other: Option<&Self>) -> Vec<UidInput> {
        let input = |name, of: &dyn Fn(&Self) -> String| UidInput {
            name,
            expected: of(self),
            seen: other.map(of),
        };
        vec![
            input("P0 constant", &|_| "MIKEY-SAKKE-UID".to_owned()),
            input("P1 identity", &|i| i.identity.clone()),
            input("P2 KMS URI", &|i| i.kms.clone()),
            input("P3 UserKeyPeriod", &|i| i.period.to_string()),
            input("P4 UserKeyOffset", &|i| i.offset.to_string()),
            input("P5 KeyPeriodNo", &|i| i.number.to_string()),
            input("P3 to P5 as octets", &|i| match i.width {
                Width::Shortest => "shortest".to_owned(),
                Width::ZeroEmpty => "shortest, of zero none".to_owned(),
                Width::Signed => "shortest, signed".to_owned(),
                Width::Octets(count) => format!("{count} octets each"),
            }),
            input("UID", &|i| hex(&i.uid())),
        ]
    }
}

/// Other spellings of one URI: scheme, case, port, parameters, brackets.
fn respellings(uri: &str) -> Vec<String> {
    let bare = uri.split_once(':').filter(|(scheme, rest)| {
        scheme.bytes().all(|b| b.is_ascii_alphabetic())
            && !rest.starts_with(|c: char| c.is_ascii_digit())
    });
    let bare = bare.map_or(uri, |(_, rest)| rest.trim_start_matches('/'));
    let plain = bare.split([';', '?']).next().unwrap_or(bare);
    let host = plain.rsplit_once('@').map_or(plain, |(_, host)| host);
    let mut all = vec![bare.to_owned(), plain.to_owned(), uri.to_lowercase()];
    all.extend(["sip:", "sips:", "tel:", "https://", "http://"].map(|s| format!("{s}{plain}")));
    all.push(format!("sip:{bare}"));
    all.push(format!("<{uri}>"));
    all.push(format!("{uri}/"));
    all.push(format!("{uri}:443"));
    if let Some((without_port, _)) = plain.rsplit_once(':') {
        all.push(without_port.to_owned());
    }
    all.push(host.to_owned());
    all
}
