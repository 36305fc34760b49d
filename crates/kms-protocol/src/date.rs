//! `xs:dateTime` as the interface uses it: whole seconds, UTC when no zone is given.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Reads an `xs:dateTime`, without fractions of its seconds; examples of the annex carry no zone,
/// which then means UTC.
#[must_use]
pub fn parse_date(text: &str) -> Option<OffsetDateTime> {
    // The RFC 3339 form needs a zone; a date without one ends in a digit of its seconds.
    let (_, clock) = text.split_once('T')?;
    let zoned = clock.ends_with('Z') || clock.contains('+') || clock.contains('-');
    let owned;
    let text = if zoned {
        text
    } else {
        owned = format!("{text}Z");
        &owned
    };
    let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    // The first and the last hours of the calendar may not be in it in UTC.
    let date = date.checked_to_offset(UtcOffset::UTC)?;
    (date.year() >= 0)
        .then_some(date)?
        .replace_nanosecond(0)
        .ok()
}

/// Writes whole seconds with the zone `Z`.
#[must_use]
pub fn format_date(date: OffsetDateTime) -> String {
    let date = date.to_offset(UtcOffset::UTC);
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let (hour, minute, second) = (date.hour(), date.minute(), date.second());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_their_absence() {
        let unix = |text| parse_date(text).map(OffsetDateTime::unix_timestamp);
        assert_eq!(unix("2014-02-23T08:39:14"), Some(1_393_144_754));
        assert_eq!(unix("2014-02-23T08:39:14Z"), Some(1_393_144_754));
        assert_eq!(unix("2014-02-23T08:39:14.250Z"), Some(1_393_144_754));
        assert_eq!(unix("2014-02-23T09:39:14+01:00"), Some(1_393_144_754));
        for bad in [
            "",
            "2014-02-23",
            "2014-02-30T00:00:00Z",
            "2014-02-23T08:39",
            "T",
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
        ] {
            assert_eq!(unix(bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_seconds_round_trip() {
        let date = parse_date("2026-11-24T01:02:03.9Z").unwrap();
        assert_eq!(format_date(date), "2026-11-24T01:02:03Z");
        assert_eq!(parse_date(&format_date(date)), Some(date));
    }
}
