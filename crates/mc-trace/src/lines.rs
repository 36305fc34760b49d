//! Events as lines of JSON: one event, one line.

use crate::event::Event;

/// The longest line a reader accepts, in octets.
pub const MAX_LINE: usize = 1 << 20;

/// A line that is not an event.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The line is longer than [`MAX_LINE`].
    #[error("line {line} is longer than {MAX_LINE} octets")]
    TooLong {
        /// Line number from 1.
        line: usize,
    },
    /// The line is not the JSON form of an event.
    #[error("line {line}: {source}")]
    NotAnEvent {
        /// Line number from 1.
        line: usize,
        /// What the JSON reader found.
        source: serde_json::Error,
    },
}

/// Appends an event and a line feed to `out`.
///
/// # Errors
/// If the decoded view cannot be written as JSON.
pub fn write(event: &Event, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *out, event)?;
    out.push(b'\n');
    Ok(())
}

/// Reads the events of a trace file's text; empty lines are skipped, and so is an unfinished last
/// line (the writer may still be at it).
pub fn read(text: &str) -> impl Iterator<Item = Result<Event, LineError>> {
    let unfinished = !text.ends_with('\n');
    let mut lines = text.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        loop {
            let (index, line) = lines.next()?;
            let last = unfinished && lines.peek().is_none();
            if line.trim().is_empty() {
                continue;
            }
            match parse(index + 1, line) {
                Err(_) if last => return None,
                parsed => return Some(parsed),
            }
        }
    })
}

fn parse(line: usize, text: &str) -> Result<Event, LineError> {
    if text.len() > MAX_LINE {
        return Err(LineError::TooLong { line });
    }
    serde_json::from_str(text).map_err(|source| LineError::NotAnEvent { line, source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::{Endpoint, Transport};
    use crate::names;

    #[test]
    fn an_event_survives_its_line() {
        let event = Event::sent(
            &names::FLOOR_SENT,
            Endpoint::new("mcptt-server", "127.0.0.1:40002".parse().unwrap()),
            Endpoint::named("alice"),
            [0x80, 0xcc],
        )
        .over(Transport::Udp)
        .call("c1")
        .correlation("k1")
        .key(0x2ddd_5bf0)
        .clear([1, 2])
        .decoded(json!({"message": "Floor Granted"}));
        let mut out = Vec::new();
        write(&event, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1);
        let back: Vec<Event> = read(&text).collect::<Result<_, _>>().unwrap();
        assert_eq!(back, [event]);
    }

    #[test]
    fn the_json_form_is_stable() {
        let event = Event::local(&names::LMR_PTT, "unit 1001 pressed");
        assert_eq!(
            serde_json::to_value(&event).unwrap(),
            json!({
                "time_us": 0, "node": "", "name": "lmr:ptt", "interface": "LMR",
                "protocol": "none", "transport": "none", "direction": "local",
                "from": {"name": ""}, "to": {"name": ""},
                "summary": "unit 1001 pressed", "clause": "TR 33.880 7.1",
            })
        );
    }

    #[test]
    fn a_bad_line_is_named_and_an_unfinished_last_line_is_not_an_error() {
        let mut out = Vec::new();
        write(&Event::local(&names::LMR_PTT, "a"), &mut out).unwrap();
        let good = String::from_utf8(out).unwrap();
        let read_all = |text: &str| read(text).map(|r| r.is_ok()).collect::<Vec<_>>();
        assert_eq!(read_all(&format!("{good}\n{{\"time")), [true]);
        assert_eq!(
            read_all(&format!("{good}nonsense\n{good}")),
            [true, false, true]
        );
        let error = read("nonsense\n").next().unwrap().unwrap_err();
        assert!(error.to_string().starts_with("line 1:"), "{error}");
    }
}
