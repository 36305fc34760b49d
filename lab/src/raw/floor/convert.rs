//! Between the flat object and the typed message.

use super::{Flat, Track};
use crate::raw::error::{Error, Kind};
use floor_control::message::{
    DenyCause, FloorAck, FloorDeny, FloorGranted, FloorIdle, FloorIndicator, FloorRelease,
    FloorReleaseMultiTalker, FloorRequest, FloorRevoke, FloorRevokeRequest, FloorTaken, Location,
    QueueInfo, QueuePositionInfo, QueuePositionRequest, QueuedFloorRequests, RevokeCause,
    TrackInfo, UnicastMediaFlowControl,
};
use floor_control::{FloorMessage, FloorPacket};
use std::time::Duration;

impl Flat {
    pub(super) fn of(packet: &FloorPacket) -> Self {
        let mut flat = Self {
            kind: packet.message.name().to_lowercase().replace(' ', "-"),
            ssrc: format!("{:08x}", packet.ssrc),
            ack_required: packet.ack_required,
            ..Self::default()
        };
        flat.take(&packet.message);
        flat
    }

    fn common(&mut self, track: Option<&TrackInfo>, indicator: Option<FloorIndicator>) {
        self.indicator = indicator.map(|bits| bits.0);
        self.track_info = track.map(|track| Track {
            queueing_capability: track.queueing_capability,
            participant_type: track.participant_type.clone(),
            references: track.references.clone(),
        });
    }

    fn take(&mut self, message: &FloorMessage) {
        match message {
            FloorMessage::FloorRequest(m) => {
                self.common(m.track_info.as_ref(), m.indicator);
                self.priority = m.priority;
                self.functional_alias.clone_from(&m.functional_alias);
                self.location = m.location.as_ref().map(location_hex);
            }
            FloorMessage::FloorGranted(m) => {
                self.common(m.track_info.as_ref(), m.indicator);
                self.duration = Some(u16::try_from(m.duration.as_secs()).unwrap_or(u16::MAX));
                self.media_ssrc = m.ssrc.map(ssrc_hex);
                self.priority = m.priority;
            }
            FloorMessage::FloorTaken(m) => self.taken(m),
            FloorMessage::FloorDeny(m) => {
                self.common(m.track_info.as_ref(), m.indicator);
                (self.cause, self.phrase) = (Some(m.cause.into()), Some(m.phrase.clone()));
            }
            FloorMessage::FloorRevoke(m) => {
                self.common(m.track_info.as_ref(), m.indicator);
                (self.cause, self.phrase) = (Some(m.cause.into()), Some(m.phrase.clone()));
            }
            FloorMessage::FloorRelease(m) => self.common(m.track_info.as_ref(), m.indicator),
            FloorMessage::FloorIdle(m) => {
                self.common(m.track_info.as_ref(), m.indicator);
                self.sequence_number = Some(m.sequence_number);
            }
            FloorMessage::FloorRevokeRequest(m) => self.user_id = Some(m.user_id.clone()),
            FloorMessage::QueuePositionRequest(m) => self.common(m.track_info.as_ref(), None),
            FloorMessage::QueuePositionInfo(m) => {
                self.common(m.track_info.as_ref(), m.indicator);
                self.queue_position = Some(m.queue_info.position.into());
                self.priority = Some(m.queue_info.priority);
            }
            FloorMessage::FloorAck(m) => {
                self.common(m.track_info.as_ref(), None);
                self.source = Some(m.source.into());
                self.message_type = Some(m.message_type);
            }
            FloorMessage::UnicastMediaFlowControl(m) => self.resume = Some(m.resume),
            FloorMessage::QueuedFloorRequests(m) => {
                (self.purpose, self.result) = (m.purpose, m.result);
                self.queued_users = m.users.as_ref().map(hex::encode);
            }
            FloorMessage::FloorReleaseMultiTalker(m) => {
                self.common(None, m.indicator);
                self.media_ssrc = m.ssrc.map(ssrc_hex);
                self.user_id.clone_from(&m.user_id);
            }
        }
    }

    fn taken(&mut self, m: &FloorTaken) {
        self.common(m.track_info.as_ref(), m.indicator);
        self.granted_party.clone_from(&m.granted_party);
        self.may_request = Some(m.may_request);
        self.sequence_number = Some(m.sequence_number);
        self.media_ssrc = m.ssrc.map(ssrc_hex);
        self.granted_users.clone_from(&m.granted_users);
        self.media_ssrcs = m.ssrcs.iter().copied().map(ssrc_hex).collect();
        self.functional_alias.clone_from(&m.functional_alias);
        self.functional_aliases.clone_from(&m.functional_aliases);
        self.location = m.location.as_ref().map(location_hex);
        self.locations = m.locations.as_ref().map(hex::encode);
    }

    /// The typed packet.
    pub(super) fn packet(&self) -> Result<FloorPacket, Error> {
        Ok(FloorPacket {
            ssrc: ssrc_of("ssrc", &self.ssrc)?,
            ack_required: self.ack_required,
            message: self.message()?,
        })
    }

    fn message(&self) -> Result<FloorMessage, Error> {
        let (track_info, indicator) = (self.track(), self.indicator.map(FloorIndicator));
        let phrase = self.phrase.clone().unwrap_or_default();
        Ok(match self.kind.as_str() {
            "floor-request" => FloorRequest {
                priority: self.priority,
                track_info,
                indicator,
                functional_alias: self.functional_alias.clone(),
                location: self.location()?,
            }
            .into(),
            "floor-granted" => FloorGranted {
                duration: Duration::from_secs(need("duration", self.duration)?.into()),
                ssrc: self.media_ssrc()?,
                priority: self.priority,
                track_info,
                indicator,
            }
            .into(),
            "floor-taken" => self.floor_taken(track_info, indicator)?.into(),
            "floor-deny" => FloorDeny {
                cause: DenyCause::from(need("cause", self.cause)?),
                phrase,
                track_info,
                indicator,
            }
            .into(),
            "floor-revoke" => FloorRevoke {
                cause: RevokeCause::from(need("cause", self.cause)?),
                phrase,
                track_info,
                indicator,
            }
            .into(),
            "floor-release" => FloorRelease {
                track_info,
                indicator,
            }
            .into(),
            "floor-idle" => FloorIdle {
                sequence_number: need("sequence_number", self.sequence_number)?,
                track_info,
                indicator,
            }
            .into(),
            other => self.rare(other, track_info, indicator)?,
        })
    }

    fn rare(
        &self,
        kind: &str,
        track_info: Option<TrackInfo>,
        indicator: Option<FloorIndicator>,
    ) -> Result<FloorMessage, Error> {
        Ok(match kind {
            "floor-revoke-request" => FloorRevokeRequest {
                user_id: need("user_id", self.user_id.clone())?,
            }
            .into(),
            "floor-queue-position-request" => QueuePositionRequest { track_info }.into(),
            "floor-queue-position-info" => QueuePositionInfo {
                queue_info: QueueInfo {
                    position: need("queue_position", self.queue_position)?.into(),
                    priority: need("priority", self.priority)?,
                },
                track_info,
                indicator,
            }
            .into(),
            "floor-ack" => FloorAck {
                source: need("source", self.source)?.into(),
                message_type: need("message_type", self.message_type)?,
                track_info,
            }
            .into(),
            "unicast-media-flow-control" => UnicastMediaFlowControl {
                resume: need("resume", self.resume)?,
            }
            .into(),
            "queued-floor-requests" => QueuedFloorRequests {
                purpose: self.purpose,
                users: octets("queued_users", self.queued_users.as_deref())?,
                result: self.result,
            }
            .into(),
            "floor-release-multi-talker" => FloorReleaseMultiTalker {
                ssrc: self.media_ssrc()?,
                user_id: self.user_id.clone(),
                indicator,
            }
            .into(),
            other => return Err(Error::field("type", format!("no message {other:?}"))),
        })
    }

    fn floor_taken(
        &self,
        track_info: Option<TrackInfo>,
        indicator: Option<FloorIndicator>,
    ) -> Result<FloorTaken, Error> {
        let ssrcs = self
            .media_ssrcs
            .iter()
            .map(|text| ssrc_of("media_ssrcs", text));
        Ok(FloorTaken {
            granted_party: self.granted_party.clone(),
            may_request: need("may_request", self.may_request)?,
            sequence_number: need("sequence_number", self.sequence_number)?,
            track_info,
            indicator,
            ssrc: self.media_ssrc()?,
            granted_users: self.granted_users.clone(),
            ssrcs: ssrcs.collect::<Result<_, _>>()?,
            functional_alias: self.functional_alias.clone(),
            functional_aliases: self.functional_aliases.clone(),
            location: self.location()?,
            locations: octets("locations", self.locations.as_deref())?,
        })
    }

    fn track(&self) -> Option<TrackInfo> {
        self.track_info.as_ref().map(|track| TrackInfo {
            queueing_capability: track.queueing_capability,
            participant_type: track.participant_type.clone(),
            references: track.references.clone(),
        })
    }

    fn media_ssrc(&self) -> Result<Option<u32>, Error> {
        let ssrc = self.media_ssrc.as_deref();
        ssrc.map(|text| ssrc_of("media_ssrc", text)).transpose()
    }

    /// A type octet and what that type codes.
    fn location(&self) -> Result<Option<Location>, Error> {
        let Some(octets) = octets("location", self.location.as_deref())? else {
            return Ok(None);
        };
        let split = octets.split_first();
        let (kind, value) = split.ok_or_else(|| Error::field("location", "no type octet"))?;
        Ok(Some(Location {
            kind: (*kind).into(),
            value: value.to_vec(),
        }))
    }
}

fn need<T>(name: &str, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::field(name, "missing"))
}

fn octets(name: &str, text: Option<&str>) -> Result<Option<Vec<u8>>, Error> {
    let decoded = text.map(hex::decode).transpose();
    decoded.map_err(|e| Error::field(name, e))
}

fn location_hex(location: &Location) -> String {
    hex::encode([&[u8::from(location.kind)], location.value.as_slice()].concat())
}

fn ssrc_hex(ssrc: u32) -> String {
    format!("{ssrc:08x}")
}

pub(super) fn ssrc_of(name: &str, text: &str) -> Result<u32, Error> {
    let octets = octets(name, Some(text))?.unwrap_or_default();
    let length = octets.len();
    octets.try_into().map(u32::from_be_bytes).map_err(|_| {
        Error::new(
            Kind::Length,
            format!("{name} has {length} octets, 4 are needed"),
        )
    })
}
