//! The audit log: each termination of MC protection and each refusal, one line of JSON
//! (TS 33.180 clause 10, class E: interworking). Identifiers of keys, never keys.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use mc_ids::McServiceId;
use mc_runtime::clock::SharedClock;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Occurrence {
    /// Protection ended here: MC speech was opened for the external side.
    Opened,
    /// Protection began here: external speech was protected for the MC side.
    Protected,
    /// A call, or what is said in it, passes without MC protection because the group has none (TS 33.180
    /// L.5.2).
    PassedThrough,
    /// A talker was refused.
    Refused,
    /// A user of the gateway's domain was made for a unit on the air.
    UserMade,
}

/// One record; the time is added.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// What happened.
    pub event: Occurrence,
    /// Talkgroup on the external side, of a group call.
    pub talkgroup: Option<String>,
    /// MC group, of a group call.
    pub group: Option<String>,
    /// The bridged call: `1#3` is the third one of talkgroup 1, `private#7` the seventh private one;
    /// empty when it is about none.
    pub call: String,
    /// The MC identity: the talker, or the one that stands for him.
    pub mc_identity: Option<String>,
    /// Functional alias.
    pub functional_alias: Option<String>,
    /// The external identity: the talker, or the unit he is shown as.
    pub external_identity: Option<String>,
    /// GMK-ID, hexadecimal.
    pub gmk_id: Option<String>,
    /// GUK-ID, hexadecimal.
    pub guk_id: Option<String>,
    /// Whether it was an emergency.
    pub emergency: bool,
    /// Why: of a refusal, and of what passes without protection.
    pub reason: Option<String>,
}

impl Record {
    /// One about an external user and no call.
    #[must_use]
    pub fn of_user(event: Occurrence, unit: &str, identity: &McServiceId) -> Self {
        Self {
            event,
            talkgroup: None,
            group: None,
            call: String::new(),
            mc_identity: Some(identity.as_str().to_owned()),
            functional_alias: None,
            external_identity: Some(unit.to_owned()),
            gmk_id: None,
            guk_id: None,
            emergency: false,
            reason: None,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    record: &'a Record,
}

/// Where records go; clones share it.
#[derive(Debug, Clone)]
pub struct Audit {
    clock: SharedClock,
    file: Option<Arc<Mutex<File>>>,
}

impl Audit {
    /// Opens the log; without a path, records go to the service's log only.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: Option<&Path>, clock: SharedClock) -> std::io::Result<Self> {
        let open = |path| {
            let mut options = OpenOptions::new();
            options.create(true).append(true).mode(0o600).open(path)
        };
        let file = path.map(open).transpose()?;
        let file = file.map(|file| Arc::new(Mutex::new(file)));
        Ok(Self { clock, file })
    }

    /// Records; what cannot be written is an error in the log, not the end of the call.
    pub fn write(&self, record: &Record) {
        tracing::info!(
            target: "segy::audit",
            event = ?record.event,
            call = record.call,
            reason = record.reason,
            "audit"
        );
        let Some(file) = &self.file else { return };
        let line = Line {
            time: rfc3339(&self.clock),
            record,
        };
        let written = serde_json::to_vec(&line).map_err(std::io::Error::from);
        let written = written.and_then(|mut line| {
            line.push(b'\n');
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&line)
        });
        if let Err(error) = written {
            tracing::error!(%error, "audit record not written");
        }
    }
}

/// The time of day, UTC.
pub(crate) fn rfc3339(clock: &SharedClock) -> String {
    let nanos = i128::try_from(clock.unix().as_nanos()).unwrap_or_default();
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos);
    let text = time.map(|time| time.format(&Rfc3339));
    text.ok().and_then(Result::ok).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mc_runtime::TestClock;

    #[test]
    fn a_record_is_a_line_that_others_cannot_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let clock = Arc::new(TestClock::at_unix_s(1_800_000_000));
        let audit = Audit::open(Some(&path), clock).unwrap();
        let record = Record {
            event: Occurrence::Refused,
            talkgroup: Some("1".to_owned()),
            group: Some("sip:fire@mc.example".to_owned()),
            call: "1#0".to_owned(),
            mc_identity: None,
            functional_alias: None,
            external_identity: Some("4711".to_owned()),
            gmk_id: None,
            guk_id: None,
            emergency: false,
            reason: Some("unmapped".to_owned()),
        };
        audit.write(&record);
        audit.write(&record);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["time"], "2027-01-15T08:00:00Z");
        assert_eq!(lines[0]["event"], "refused");
        assert_eq!(lines[0]["external_identity"], "4711");
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
