//! Messages as a person reads them in a trace.

use super::{FloorMessage, FloorPacket};
use crate::field::{FloorIndicator, TrackInfo};

/// Field names and values in message order.
pub type NamedFields = Vec<(&'static str, String)>;

impl FloorPacket {
    /// One line: the message and what matters most in it.
    #[must_use]
    pub fn summary(&self) -> String {
        let name = self.message.name();
        match &self.message {
            FloorMessage::FloorGranted(granted) => {
                format!("{name} for {} s", granted.duration.as_secs())
            }
            FloorMessage::FloorTaken(taken) => {
                let party = taken.granted_party.as_deref().unwrap_or("somebody");
                format!("{name} by {}", party.escape_debug())
            }
            FloorMessage::FloorDeny(deny) => format!("{name}: {}", deny.cause),
            FloorMessage::FloorRevoke(revoke) => format!("{name}: {}", revoke.cause),
            FloorMessage::QueuePositionInfo(info) => {
                format!("{name}: {}", info.queue_info.position)
            }
            FloorMessage::FloorAck(ack) => format!("{name} of type {}", ack.message_type),
            FloorMessage::FloorRequest(_)
            | FloorMessage::FloorRelease(_)
            | FloorMessage::FloorIdle(_)
            | FloorMessage::FloorRevokeRequest(_)
            | FloorMessage::QueuePositionRequest(_)
            | FloorMessage::UnicastMediaFlowControl(_)
            | FloorMessage::QueuedFloorRequests(_)
            | FloorMessage::FloorReleaseMultiTalker(_) => name.to_owned(),
        }
    }

    /// Every field by name, the header's SSRC first.
    #[must_use]
    pub fn fields(&self) -> NamedFields {
        let mut fields = vec![("ssrc", format!("{:#010x}", self.ssrc))];
        if self.ack_required {
            fields.push(("ack_required", "true".to_owned()));
        }
        self.message.list(&mut fields);
        fields
    }
}

fn push<T: ToString>(fields: &mut NamedFields, name: &'static str, value: Option<T>) {
    if let Some(value) = value {
        fields.push((name, value.to_string()));
    }
}

fn common(fields: &mut NamedFields, track: Option<&TrackInfo>, bits: Option<FloorIndicator>) {
    push(
        fields,
        "track_info",
        track.map(|track| format!("{track:?}")),
    );
    push(fields, "floor_indicator", bits);
}

impl FloorMessage {
    fn list(&self, fields: &mut NamedFields) {
        match self {
            Self::FloorRequest(m) => {
                push(fields, "floor_priority", m.priority);
                common(fields, m.track_info.as_ref(), m.indicator);
                push(fields, "functional_alias", m.functional_alias.as_ref());
                push(
                    fields,
                    "location",
                    m.location.as_ref().map(|l| format!("{l:?}")),
                );
            }
            Self::FloorGranted(m) => {
                push(fields, "duration_s", Some(m.duration.as_secs()));
                push(
                    fields,
                    "audio_ssrc",
                    m.ssrc.map(|ssrc| format!("{ssrc:#010x}")),
                );
                push(fields, "floor_priority", m.priority);
                common(fields, m.track_info.as_ref(), m.indicator);
            }
            Self::FloorTaken(m) => {
                push(fields, "granted_party", m.granted_party.as_ref());
                push(fields, "permission_to_request", Some(m.may_request));
                push(fields, "message_sequence_number", Some(m.sequence_number));
                common(fields, m.track_info.as_ref(), m.indicator);
                push(
                    fields,
                    "audio_ssrc",
                    m.ssrc.map(|ssrc| format!("{ssrc:#010x}")),
                );
                let several = !m.granted_users.is_empty();
                push(
                    fields,
                    "granted_users",
                    several.then(|| m.granted_users.join(" ")),
                );
                push(fields, "functional_alias", m.functional_alias.as_ref());
                push(
                    fields,
                    "location",
                    m.location.as_ref().map(|l| format!("{l:?}")),
                );
            }
            Self::FloorDeny(m) => {
                push(fields, "reject_cause", Some(u16::from(m.cause)));
                push(fields, "reject_phrase", Some(&m.phrase));
                common(fields, m.track_info.as_ref(), m.indicator);
            }
            Self::FloorRevoke(m) => {
                push(fields, "reject_cause", Some(u16::from(m.cause)));
                push(fields, "reject_phrase", Some(&m.phrase));
                common(fields, m.track_info.as_ref(), m.indicator);
            }
            Self::FloorRelease(m) => common(fields, m.track_info.as_ref(), m.indicator),
            Self::FloorIdle(m) => {
                push(fields, "message_sequence_number", Some(m.sequence_number));
                common(fields, m.track_info.as_ref(), m.indicator);
            }
            Self::FloorRevokeRequest(m) => push(fields, "user_id", Some(&m.user_id)),
            Self::QueuePositionRequest(m) => common(fields, m.track_info.as_ref(), None),
            Self::QueuePositionInfo(m) => {
                push(fields, "queue_position", Some(m.queue_info.position));
                push(fields, "floor_priority", Some(m.queue_info.priority));
                common(fields, m.track_info.as_ref(), m.indicator);
            }
            Self::FloorAck(m) => {
                push(fields, "source", Some(m.source));
                push(fields, "message_type", Some(m.message_type));
                common(fields, m.track_info.as_ref(), None);
            }
            Self::UnicastMediaFlowControl(m) => push(fields, "resume", Some(m.resume)),
            Self::QueuedFloorRequests(m) => push(fields, "purpose", m.purpose),
            Self::FloorReleaseMultiTalker(m) => {
                push(
                    fields,
                    "audio_ssrc",
                    m.ssrc.map(|ssrc| format!("{ssrc:#010x}")),
                );
                push(fields, "user_id", m.user_id.as_ref());
                common(fields, None, m.indicator);
            }
        }
    }
}
