//! Why a message cannot be verified or opened: every check on its own, and the five inputs of each
//! UID one by one, because one wrong input looks like a wrong key (TS 33.180 F.2.1).

mod inputs;
mod receiver;
mod signer;

pub use inputs::UidInput;

use crate::domain::KmsCertificate;
use crate::message::Unverified;
use crate::variant::Variant;
use mc_ids::annex_f::Uid;
use mc_ids::{KmsUri, NtpTime};
use zeroize::Zeroizing;

/// A key set as somebody has it, not validated: whether it fits is one of the questions.
#[derive(Clone)]
pub struct KeySetAtHand {
    /// `UserUri`.
    pub uri: String,
    /// `KeyPeriodNo`.
    pub number: u64,
    /// `UserID`, when it is known.
    pub uid: Option<Uid>,
    /// `UserDecryptKey`, 257 octets.
    pub decrypt_key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for KeySetAtHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySetAtHand({}, {})", self.uri, self.number)
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Holds,
    /// Not as it should be, but a known form of peers that can be overlooked.
    Overlooked,
    /// Not as it should be.
    Fails,
    /// Nothing at hand to check it with.
    NotChecked,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked.
    pub what: &'static str,
    /// What is needed.
    pub expected: String,
    /// What is there.
    pub seen: String,
    /// What it came to.
    pub outcome: Outcome,
}

/// Everything found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    /// The checks in the order a receiver makes them.
    pub findings: Vec<Finding>,
    /// Inputs of the signer's UID.
    pub signer: Vec<UidInput>,
    /// Inputs of the receiver's UID.
    pub receiver: Vec<UidInput>,
    /// The first thing that is wrong, as a sentence; `None` when the message verifies and opens.
    pub cause: Option<String>,
}

impl Why {
    fn add(
        &mut self,
        what: &'static str,
        expected: impl Into<String>,
        seen: impl Into<String>,
        outcome: Outcome,
    ) {
        let (expected, seen) = (expected.into(), seen.into());
        if outcome == Outcome::Fails && self.cause.is_none() {
            self.cause = Some(format!("{what}: {expected} is needed, seen is {seen}"));
        }
        self.findings.push(Finding {
            what,
            expected,
            seen,
            outcome,
        });
    }

    fn defect(&mut self, what: &'static str, expected: &str, defect: Variant) {
        let switch = defect.switch().unwrap_or("none");
        self.add(
            what,
            expected,
            format!("known peer defect: {defect} (switch: {switch})"),
            Outcome::Overlooked,
        );
        if self.cause.is_none() {
            self.cause = Some(format!("{what}: {defect}"));
        }
    }
}

/// Makes every check that the certificates and key sets at hand allow. Nothing is decided by it;
/// `now` is compared with T if given.
#[must_use]
pub fn why(
    message: &Unverified,
    certificates: &[KmsCertificate],
    keys: &[KeySetAtHand],
    now: Option<NtpTime>,
) -> Why {
    let mut why = Why::default();
    let of = |uri: &KmsUri| certificates.iter().find(|c| c.kms_uri == *uri);
    let names: Vec<_> = certificates.iter().map(|c| c.kms_uri.as_str()).collect();
    let at_hand = match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    purpose(&mut why, message);
    if let Some(now) = now {
        let off = message.time.abs_diff(now);
        let fresh = off <= crate::VerifyPolicy::default().max_skew.unwrap_or(off);
        let outcome = if fresh {
            Outcome::Holds
        } else {
            Outcome::Fails
        };
        why.add(
            "time",
            "at most 120 s from now",
            format!("{} s from now", off.as_secs()),
            outcome,
        );
    }
    match of(&message.kms_initiator) {
        Some(kms) => signer::check(&mut why, message, kms, keys),
        None => certificate_missing(
            &mut why,
            "certificate of IDRkmsi",
            message.kms_initiator.as_str(),
            &at_hand,
        ),
    }
    match of(&message.kms_responder) {
        Some(kms) => receiver::check(&mut why, message, kms, keys),
        None => certificate_missing(
            &mut why,
            "certificate of IDRkmsr",
            message.kms_responder.as_str(),
            &at_hand,
        ),
    }
    why
}

fn certificate_missing(why: &mut Why, what: &'static str, needed: &str, at_hand: &str) {
    let outcome = if at_hand == "none" {
        Outcome::NotChecked
    } else {
        Outcome::Fails
    };
    why.add(what, needed, at_hand, outcome);
}

fn purpose(why: &mut Why, message: &Unverified) {
    let id = message.csb_id;
    let (seen, outcome) = match id.purpose() {
        Some(purpose) => (format!("{id}: {purpose:?}"), Outcome::Holds),
        None => (format!("{id}: tag {}", id.tag()), Outcome::Fails),
    };
    why.add("purpose tag of the CSB-ID", "0 to 6", seen, outcome);
}

#[cfg(test)]
mod tests;
