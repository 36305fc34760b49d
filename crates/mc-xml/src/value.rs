//! Simple types of XML Schema that the documents use.

use std::time::Duration;

use crate::{Element, XmlError};

/// Reads an `xs:duration` without years and months: `P1DT2H3M4.5S`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim().strip_prefix('P')?;
    let (days, time) = text
        .split_once('T')
        .map_or((text, None), |(d, t)| (d, Some(t)));
    let mut millis: u64 = 0;
    let mut parts = 0;
    if !days.is_empty() {
        let count: u64 = days.strip_suffix('D')?.parse().ok()?;
        millis = count.checked_mul(86_400_000)?;
        parts += 1;
    }
    let mut rest = time.unwrap_or_default();
    for (unit, scale) in [('H', 3_600_000), ('M', 60_000), ('S', 1000)] {
        let Some((number, tail)) = rest.split_once(unit) else {
            continue;
        };
        millis = millis.checked_add(scaled(number, scale)?)?;
        rest = tail;
        parts += 1;
    }
    (rest.is_empty() && parts > 0 && time != Some("")).then(|| Duration::from_millis(millis))
}

/// A decimal number times `scale`, only seconds may have a fraction.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    if number.contains('.') && (scale != 1000 || fraction.is_empty()) {
        return None;
    }
    let milli: String = fraction.chars().chain("000".chars()).take(3).collect();
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(scale)?
        .checked_add(milli.parse().ok()?)
}

/// Writes an `xs:duration` in seconds, with milliseconds when there are any.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    if millis == 0 {
        format!("PT{seconds}S")
    } else {
        format!("PT{seconds}.{millis:03}S")
    }
}

impl Element {
    /// A boolean child, `None` when absent.
    pub(crate) fn child_bool(
        &self,
        ns: &str,
        local: &'static str,
    ) -> Result<Option<bool>, XmlError> {
        self.child_text(ns, local)
            .map(|t| crate::dom::parse_bool(&t).ok_or_else(|| XmlError::value(local, &t)))
            .transpose()
    }

    /// A number child, `None` when absent.
    pub(crate) fn child_number<T: std::str::FromStr>(
        &self,
        ns: &str,
        local: &'static str,
    ) -> Result<Option<T>, XmlError> {
        self.child_text(ns, local)
            .map(|t| t.parse().map_err(|_| XmlError::value(local, &t)))
            .transpose()
    }

    /// A duration child, `None` when absent.
    pub(crate) fn child_duration(
        &self,
        ns: &str,
        local: &'static str,
    ) -> Result<Option<Duration>, XmlError> {
        self.child_text(ns, local)
            .map(|t| parse_duration(&t).ok_or_else(|| XmlError::value(local, &t)))
            .transpose()
    }

    /// The attribute, or an error naming it.
    pub(crate) fn required_attribute(&self, local: &'static str) -> Result<String, XmlError> {
        self.attribute(local)
            .map(str::to_owned)
            .ok_or(XmlError::PeerMissing(local))
    }
}
