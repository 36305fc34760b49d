//! What a client says of itself: one line for a person, one JSON object for a program.
//!
//! Each object has `time_us` (Unix microseconds), `event` and the event's own fields, whose names and
//! types stay as they are.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use mc_client::{CallId, ClientEvent, StepFailure};
use mc_ids::{GroupId, McServiceId};
use serde_json::{Map, Value, json};

use crate::parties::now_us;

/// Where events go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Teller {
    /// JSON lines instead of text.
    pub(super) json: bool,
}

/// An event: its name and fields for programs, its line for people.
pub(super) type Told = (&'static str, Value, String);

/// An event of a call, which is named apart.
type InCall<'a> = (&'static str, &'a CallId, Value, String);

impl Teller {
    /// An event of the client; speech is heard, not told.
    pub(super) fn event(self, event: &ClientEvent, at_us: u64) -> anyhow::Result<()> {
        match told(event) {
            Some(told) => self.print(told, at_us),
            None => Ok(()),
        }
    }

    /// Something this command does or finds.
    pub(super) fn note(self, told: Told) -> anyhow::Result<()> {
        self.print(told, now_us())
    }

    fn print(self, (event, fields, text): Told, at_us: u64) -> anyhow::Result<()> {
        let line = if self.json {
            object(event, fields, at_us)
        } else {
            text
        };
        Ok(writeln!(std::io::stdout(), "{line}")?)
    }
}

/// An event in one line, for reports of others.
pub(crate) fn line(event: &ClientEvent) -> String {
    told(event).map_or_else(|| "speech".to_owned(), |(_, _, text)| text)
}

fn object(event: &str, fields: Value, at_us: u64) -> String {
    let mut object = Map::new();
    object.insert("time_us".to_owned(), json!(at_us));
    object.insert("event".to_owned(), json!(event));
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object).to_string()
}

/// What is told of an event: those of the client itself here, those of a call below.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything else is of a call"
)]
fn told(event: &ClientEvent) -> Option<Told> {
    Some(match event {
        ClientEvent::StepPassed(step) => {
            let step = format!("{step:?}");
            (
                "step_passed",
                json!({ "step": step }),
                format!("step {step} passed"),
            )
        }
        ClientEvent::StepFailed(step, why) => {
            let text = format!("step {step:?} failed: {why}");
            (
                "step_failed",
                failed("step", &format!("{step:?}"), why),
                text,
            )
        }
        ClientEvent::AccountRefused { detail } => (
            "account_refused",
            json!({ "detail": detail }),
            format!("account refused: {detail}"),
        ),
        ClientEvent::Registered { mcptt_id, expires } => (
            "registered",
            json!({ "mcptt_id": mcptt_id.as_str(), "expires_s": expires.as_secs() }),
            format!("registered as {mcptt_id} for {} s", expires.as_secs()),
        ),
        ClientEvent::Interconnected { mcptt_id } => (
            "interconnected",
            json!({ "mcptt_id": mcptt_id.as_str() }),
            format!("reachable as {mcptt_id}"),
        ),
        ClientEvent::GroupKnown {
            group,
            display_name,
            protected,
            ends_at_gateway,
        } => (
            "group_known",
            json!({
                "group": group.as_str(), "display_name": display_name, "protected": protected,
                "ends_at_gateway": ends_at_gateway,
            }),
            format!(
                "group {group}: {}{}",
                how(*protected),
                end(*ends_at_gateway)
            ),
        ),
        ClientEvent::GroupRefused { group, failure } => (
            "group_refused",
            failed("group", group.as_str(), failure),
            format!("group {group} refused: {failure}"),
        ),
        ClientEvent::KeyReceived {
            groups,
            gmk_id,
            guk_id,
            ends_at_gateway,
        } => (
            "key_received",
            json!({
                "groups": names(groups), "gmk_id": gmk_id.to_string(), "guk_id": guk_id.to_string(),
                "ends_at_gateway": ends_at_gateway,
            }),
            format!("GMK {gmk_id} received{}", end(*ends_at_gateway)),
        ),
        ClientEvent::KeyRefused { detail } => (
            "key_refused",
            json!({ "detail": detail }),
            format!("key message refused: {detail}"),
        ),
        ClientEvent::Affiliated { groups } => {
            let groups = names(groups);
            let text = format!("affiliated to {}", groups.join(", "));
            ("affiliated", json!({ "groups": groups }), text)
        }
        ClientEvent::Ready => ("ready", json!({}), "ready".to_owned()),
        ClientEvent::AliasesActive { aliases } => {
            let text = format!("aliases active: {}", aliases.join(", "));
            ("aliases_active", json!({ "aliases": aliases }), text)
        }
        ClientEvent::AliasesRefused { aliases, detail } => (
            "aliases_refused",
            json!({ "aliases": aliases, "detail": detail }),
            format!("aliases {} refused: {detail}", aliases.join(", ")),
        ),
        ClientEvent::EndsAtGateway { user } => (
            "ends_at_gateway",
            json!({ "user": user.as_str() }),
            format!("protection of calls with {user} ends at a security gateway"),
        ),
        ClientEvent::Disconnected { detail } => (
            "disconnected",
            json!({ "detail": detail }),
            format!("connection lost, trying again: {detail}"),
        ),
        ClientEvent::Stopped => ("stopped", json!({}), "stopped".to_owned()),
        _ => return of_call(event),
    })
}

fn of_call(event: &ClientEvent) -> Option<Told> {
    let (name, call, mut fields, text) = of_set_up(event).or_else(|| of_floor(event))?;
    let call = call.to_string();
    let text = format!("{call}: {text}");
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("call".to_owned(), json!(call));
    }
    Some((name, fields, text))
}

fn refused(status: u16, warning: Option<u16>, detail: &str) -> (Value, String) {
    let fields = json!({ "status": status, "warning": warning, "detail": detail });
    (fields, format!("refused: {status} {detail}"))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything else is told elsewhere"
)]
fn of_set_up(event: &ClientEvent) -> Option<InCall<'_>> {
    Some(match event {
        ClientEvent::CallOffered {
            call,
            caller,
            functional_alias,
            called_alias,
            automatic,
        } => {
            let fields = json!({
                "caller": caller.as_str(), "functional_alias": functional_alias,
                "called_alias": called_alias, "automatic": automatic,
            });
            ("call_offered", call, fields, format!("{caller} calls"))
        }
        ClientEvent::CallRinging { call } => {
            ("call_ringing", call, json!({}), "it rings".to_owned())
        }
        ClientEvent::CallStarted {
            call,
            caller,
            protected,
        } => {
            let caller = caller.as_ref().map(McServiceId::as_str);
            let by = caller.map_or_else(String::new, |caller| format!(" by {caller}"));
            let fields = json!({ "caller": caller, "protected": protected });
            let text = format!("call started{by}, {}", how(*protected));
            ("call_started", call, fields, text)
        }
        ClientEvent::CallRefused {
            call,
            status,
            warning,
            detail,
        } => {
            let (fields, text) = refused(*status, *warning, detail);
            ("call_refused", call, fields, format!("call {text}"))
        }
        ClientEvent::Emergency { call, active } => {
            let text = if *active {
                "EMERGENCY"
            } else {
                "emergency over"
            };
            (
                "emergency",
                call,
                json!({ "active": active }),
                text.to_owned(),
            )
        }
        ClientEvent::EmergencyRefused {
            call,
            status,
            warning,
            detail,
        } => {
            let (fields, text) = refused(*status, *warning, detail);
            (
                "emergency_refused",
                call,
                fields,
                format!("emergency {text}"),
            )
        }
        ClientEvent::Released { call, reason } => (
            "released",
            call,
            json!({ "reason": reason }),
            format!("call over: {reason}"),
        ),
        _ => return None,
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything else is told elsewhere"
)]
fn of_floor(event: &ClientEvent) -> Option<InCall<'_>> {
    Some(match event {
        ClientEvent::FloorGranted { call, duration } => {
            let fields = json!({ "duration_s": duration.map(|granted| granted.as_secs()) });
            (
                "floor_granted",
                call,
                fields,
                "floor granted, talk now".to_owned(),
            )
        }
        ClientEvent::FloorTaken {
            call,
            talker,
            functional_alias,
        } => {
            let fields = json!({ "talker": talker, "functional_alias": functional_alias });
            let who = functional_alias.as_ref().or(talker.as_ref());
            let who = who.map_or("somebody", String::as_str);
            ("floor_taken", call, fields, format!("{who} talks"))
        }
        ClientEvent::FloorIdle { call } => {
            ("floor_idle", call, json!({}), "nobody talks".to_owned())
        }
        ClientEvent::FloorDenied {
            call,
            cause,
            phrase,
        } => {
            let fields = json!({ "cause": cause, "phrase": phrase });
            (
                "floor_denied",
                call,
                fields,
                format!("floor denied: cause {cause} {phrase}"),
            )
        }
        ClientEvent::FloorQueued { call } => (
            "floor_queued",
            call,
            json!({}),
            "the floor request waits".to_owned(),
        ),
        ClientEvent::FloorRevoked {
            call,
            cause,
            phrase,
        } => {
            let fields = json!({ "cause": cause, "phrase": phrase });
            (
                "floor_revoked",
                call,
                fields,
                format!("floor taken away: cause {cause} {phrase}"),
            )
        }
        ClientEvent::FloorReleased { call } => (
            "floor_released",
            call,
            json!({}),
            "floor released".to_owned(),
        ),
        ClientEvent::FloorRequestTimedOut { call } => {
            let text = "the floor control server does not answer".to_owned();
            ("floor_request_timed_out", call, json!({}), text)
        }
        _ => return None,
    })
}

/// The fields of a note that is only text.
pub(super) fn detail(text: &str) -> Value {
    json!({ "detail": text })
}

/// A recording that was written.
pub(super) fn recorded(file: &Path, length: Duration) -> Told {
    let (file, seconds) = (file.display().to_string(), length.as_secs_f64());
    let text = match length {
        Duration::ZERO => format!("{file}: nothing was heard"),
        _ => format!("{file}: {seconds:.1} s were heard"),
    };
    (
        "recorded",
        json!({ "file": file, "seconds": seconds }),
        text,
    )
}

/// Why something failed, with what failed.
fn failed(field: &str, value: &str, why: &StepFailure) -> Value {
    json!({ field: value, "service": why.service, "clause": why.clause, "detail": why.detail })
}

fn names(groups: &[GroupId]) -> Vec<&str> {
    groups.iter().map(GroupId::as_str).collect()
}

const fn how(protected: bool) -> &'static str {
    if protected { "protected" } else { "in clear" }
}

const fn end(at_gateway: bool) -> &'static str {
    if at_gateway {
        ", protection ends at a security gateway"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mc_client::Step;

    #[test]
    fn a_line_has_no_rust_in_it_and_an_object_has_plain_fields() {
        let group: GroupId = "sip:fireground-1@mc.example".parse().unwrap();
        let call = CallId::from(group);
        let failure = StepFailure {
            service: "idms",
            clause: "TS 33.180 5.1.2",
            detail: "user name or password refused".to_owned(),
        };
        let taken = ClientEvent::FloorTaken {
            call: call.clone(),
            talker: Some("sip:segy@mc.example".to_owned()),
            functional_alias: None,
        };
        let granted = ClientEvent::FloorGranted {
            call,
            duration: Some(Duration::from_secs(30)),
        };
        let cases = [
            (
                taken,
                "sip:fireground-1@mc.example: sip:segy@mc.example talks",
                json!({
                    "time_us": 5, "event": "floor_taken", "call": "sip:fireground-1@mc.example",
                    "talker": "sip:segy@mc.example", "functional_alias": null,
                }),
            ),
            (
                granted,
                "sip:fireground-1@mc.example: floor granted, talk now",
                json!({
                    "time_us": 5, "event": "floor_granted", "call": "sip:fireground-1@mc.example",
                    "duration_s": 30,
                }),
            ),
            (
                ClientEvent::StepFailed(Step::T, failure),
                "step T failed: idms: user name or password refused (TS 33.180 5.1.2)",
                json!({
                    "time_us": 5, "event": "step_failed", "step": "T", "service": "idms",
                    "clause": "TS 33.180 5.1.2", "detail": "user name or password refused",
                }),
            ),
        ];
        for (event, line, expected) in cases {
            let (name, fields, text) = told(&event).unwrap();
            assert_eq!(text, line);
            let object: Value = serde_json::from_str(&object(name, fields, 5)).unwrap();
            assert_eq!(object, expected);
        }
    }
}
