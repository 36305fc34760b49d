//! Reports of a bridge as log, trace events, counters and audit records.

use std::sync::Arc;

use mc_ids::McServiceId;
use mc_runtime::trace::Tracer;
use mc_trace::{Declared, Event, names};
use serde_json::{Value, json};

use super::Joined;
use crate::audit::{Audit, Occurrence, Record};
use crate::bridge::{Direction, ExternalCommand, ExternalTalker, McTalker, Refusal, Report};
use crate::encrypted::KeyIds;
use crate::passthrough::{BYPASSED, Protection};
use crate::status::{GatewayStatus, hex_id};
use crate::user_map::{Represented, UserMap};

/// Records what happens on one channel.
pub(crate) struct Recorder {
    joined: Joined,
    users: Arc<UserMap>,
    audit: Audit,
    tracer: Tracer,
    status: Arc<GatewayStatus>,
    calls: u64,
    /// An MC talker whose first speech is still to be opened: only then the key is known.
    awaited: Option<McTalker>,
}

impl Recorder {
    pub(crate) const fn new(
        joined: Joined,
        users: Arc<UserMap>,
        audit: Audit,
        tracer: Tracer,
        status: Arc<GatewayStatus>,
    ) -> Self {
        Self {
            joined,
            users,
            audit,
            tracer,
            status,
            calls: 0,
            awaited: None,
        }
    }

    pub(crate) const fn joined(&self) -> &Joined {
        &self.joined
    }

    /// A private call begins.
    pub(crate) fn begun(&mut self, direction: &str) {
        let summary = format!("private call {direction} begins");
        let decoded = json!({ "direction": direction });
        self.emit(&names::SEGY_CALL_BRIDGED, &summary, decoded);
    }

    /// A private call is not even tried.
    pub(crate) fn turned_away(&mut self, unit: Option<&str>, reason: &'static str, detail: &str) {
        self.status.counters.refused(reason);
        let decoded = json!({ "unit": unit, "reason": reason, "detail": detail });
        self.emit(&names::SEGY_REFUSED, detail, decoded);
        self.audit.write(&Record {
            external_identity: unit.map(str::to_owned),
            reason: Some(detail.to_owned()),
            ..self.record(Occurrence::Refused)
        });
    }

    /// Sees a command before it is carried out; true when it is speech.
    pub(crate) fn played(&mut self, command: &ExternalCommand) -> bool {
        match command {
            ExternalCommand::Speech(_) => {
                if let Some(talker) = self.awaited.take() {
                    self.opened(&talker);
                }
                true
            }
            ExternalCommand::Lost | ExternalCommand::Silence => true,
            ExternalCommand::Press(_)
            | ExternalCommand::Release
            | ExternalCommand::Refuse
            | ExternalCommand::Alert
            | ExternalCommand::Answer
            | ExternalCommand::Reject(_) => false,
        }
    }

    pub(crate) fn report(&mut self, report: Report) {
        match report {
            Report::CallBridged => {
                self.calls += 1;
                self.emit(&names::SEGY_CALL_BRIDGED, "call bridged", json!({}));
                self.say_if_bypassed();
            }
            Report::CallEnded { reason } => {
                let summary = format!("call ended: {reason}");
                self.emit(
                    &names::SEGY_CALL_ENDED,
                    &summary,
                    json!({ "reason": reason }),
                );
            }
            Report::TalkStarted(Direction::ToMc {
                talker,
                represented,
            }) => {
                self.heard_by_mc(&talker, &represented);
            }
            Report::TalkStarted(Direction::ToExternal(talker)) => self.heard_outside(talker),
            Report::TalkEnded => {
                self.awaited = None;
                let summary = "nobody talks";
                self.emit(
                    &names::SEGY_TALKER_CHANGED,
                    summary,
                    json!({ "direction": null }),
                );
            }
            Report::Refused { talker, refusal } => self.refused(&talker, &refusal),
            Report::NotReached { failure, detail } => {
                let summary = format!("call does not come up: {detail}");
                let decoded = json!({ "reason": failure, "detail": detail });
                self.emit(&names::SEGY_CALL_ENDED, &summary, decoded);
            }
            Report::NotRelayed => {
                let summary = "the radio side does not carry the MC talker";
                self.status.counters.refused("not_relayed");
                self.emit(
                    &names::SEGY_REFUSED,
                    summary,
                    json!({ "reason": "not_relayed" }),
                );
            }
            Report::Echo => self.status.counters.echoes.add(1),
            Report::Overflow => self.status.counters.dropped_to_mc.add(1),
        }
    }

    /// A call of a group without protection: nothing ends here, and that is said.
    //= TS 33.180 L.5.2
    fn say_if_bypassed(&self) {
        if self.keys(None).0 == Protection::Bypassed {
            self.emit(&names::SEGY_BYPASSED, BYPASSED, json!({}));
            self.audit.write(&self.record(Occurrence::PassedThrough));
        }
    }

    fn keys(&self, identity: Option<&McServiceId>) -> (Protection, KeyIds) {
        match self.joined.group() {
            Some(group) => self.status.protection(group, identity),
            // A private call without its PCK is refused by the client.
            None => (Protection::Protected, KeyIds::default()),
        }
    }

    /// The call in records: the channel's how manieth.
    fn correlation(&self) -> String {
        match &self.joined {
            Joined::Talkgroup { talkgroup, .. } => format!("{talkgroup}#{}", self.calls),
            Joined::Private { call, .. } => format!("private#{call}"),
        }
    }

    fn emit(&self, name: &Declared, summary: &str, mut decoded: Value) {
        let label = self.joined.label();
        tracing::info!(channel = label, event = name.name, "{summary}");
        if let Value::Object(fields) = &mut decoded {
            let (name, value) = match &self.joined {
                Joined::Talkgroup { talkgroup, group } => {
                    fields.insert("group".to_owned(), json!(group.as_str()));
                    ("talkgroup", talkgroup)
                }
                Joined::Private { unit, mc_user, .. } => {
                    fields.insert("mc_user".to_owned(), json!(mc_user));
                    ("unit", unit)
                }
            };
            fields.entry(name).or_insert_with(|| json!(value));
        }
        let (_, keys) = self.keys(None);
        let mut event = Event::local(name, format!("{label}: {summary}"))
            .correlation(self.correlation())
            .decoded(decoded);
        let (gmk, own) = (
            keys.gmk.map(|id| id.key_id()),
            keys.own.map(|id| id.key_id()),
        );
        for id in gmk.into_iter().chain(own) {
            event = event.key(id.0);
        }
        self.tracer.emit(event);
    }

    fn record(&self, event: Occurrence) -> Record {
        let (_, keys) = self.keys(None);
        let (talkgroup, group) = match &self.joined {
            Joined::Talkgroup { talkgroup, group } => {
                (Some(talkgroup.clone()), Some(group.as_str().to_owned()))
            }
            Joined::Private { .. } => (None, None),
        };
        Record {
            event,
            talkgroup,
            group,
            call: self.correlation(),
            mc_identity: None,
            functional_alias: None,
            external_identity: None,
            gmk_id: keys.gmk.map(|id| hex_id(id.key_id())),
            guk_id: None,
            emergency: false,
            reason: (event == Occurrence::PassedThrough).then(|| BYPASSED.to_owned()),
        }
    }

    /// What the record of a termination is called: a group without protection has none.
    fn occurrence(&self, protected: Occurrence) -> Occurrence {
        match self.keys(None).0 {
            Protection::Bypassed => Occurrence::PassedThrough,
            Protection::Protected | Protection::Unknown => protected,
        }
    }

    fn heard_by_mc(&self, talker: &ExternalTalker, represented: &Represented) {
        self.status.counters.talks_to_mc.add(1);
        let unit = talker.unit.clone().unwrap_or_default();
        let shown = represented.shown();
        self.emit(
            &names::SEGY_TALKER_CHANGED,
            &format!("unit {unit} talks to the MC side as {shown}"),
            json!({ "direction": "to_mc", "unit": unit, "talker": shown, "emergency": talker.emergency }),
        );
        let (_, keys) = self.keys(Some(&represented.identity));
        self.audit.write(&Record {
            mc_identity: Some(represented.identity.as_str().to_owned()),
            functional_alias: represented.functional_alias.clone(),
            external_identity: talker.unit.clone(),
            guk_id: keys.own.map(|id| hex_id(id.key_id())),
            emergency: talker.emergency,
            ..self.record(self.occurrence(Occurrence::Protected))
        });
    }

    fn heard_outside(&mut self, talker: McTalker) {
        self.status.counters.talks_to_external.add(1);
        let (unit, name) = (self.users.shown(&talker).unit, talker.shown());
        self.emit(
            &names::SEGY_TALKER_CHANGED,
            &format!(
                "{} talks to the radio side",
                name.as_deref().unwrap_or("an MC user")
            ),
            json!({ "direction": "to_external", "unit": unit, "talker": name }),
        );
        self.awaited = Some(talker);
    }

    /// The first speech of an MC user is handed over in clear.
    fn opened(&self, talker: &McTalker) {
        let (_, keys) = self.keys(None);
        self.audit.write(&Record {
            mc_identity: talker.id.clone(),
            functional_alias: talker.functional_alias.clone(),
            external_identity: Some(self.users.shown(talker).unit),
            guk_id: keys.heard.map(|id| hex_id(id.key_id())),
            ..self.record(self.occurrence(Occurrence::Opened))
        });
    }

    fn refused(&self, talker: &ExternalTalker, refusal: &Refusal) {
        self.status.counters.refused(refusal.kind());
        let unit = talker.unit.clone().unwrap_or_default();
        self.emit(
            &names::SEGY_REFUSED,
            &format!("unit {unit} refused: {refusal}"),
            json!({ "unit": unit, "reason": refusal.kind(), "detail": refusal.to_string() }),
        );
        self.audit.write(&Record {
            external_identity: talker.unit.clone(),
            emergency: talker.emergency,
            reason: Some(refusal.to_string()),
            ..self.record(Occurrence::Refused)
        });
    }
}
