//! From octets to messages.

use core::time::Duration;

use super::{
    ACK_BIT, FloorAck, FloorDeny, FloorGranted, FloorIdle, FloorMessage, FloorPacket, FloorRelease,
    FloorReleaseMultiTalker, FloorRequest, FloorRevoke, FloorRevokeRequest, FloorTaken, NAME,
    QueuePositionInfo, QueuePositionRequest, QueuedFloorRequests, UnicastMediaFlowControl,
};
use crate::error::DecodeError;
use crate::field::{self, FloorIndicator, Location, QueueInfo, TrackInfo, id};
use crate::wire::{AppPacket, AppPackets, Fields};

impl FloorPacket {
    /// Reads every message of one datagram, in order.
    ///
    /// A message that must be ignored comes out as an error; the ones after it still come out
    /// unless the datagram is truncated.
    ///
    /// # Errors
    ///
    /// Each item is an error if that message is malformed, incomplete or of an unknown type.
    pub fn decode_all(datagram: &[u8]) -> impl Iterator<Item = Result<Self, DecodeError>> + '_ {
        AppPackets::new(datagram).map(|packet| packet.and_then(|packet| Self::decode(&packet)))
    }

    //= TS 24.380 8.1.4
    fn decode(packet: &AppPacket<'_>) -> Result<Self, DecodeError> {
        if packet.name != NAME {
            return Err(DecodeError::UnsupportedName(packet.name));
        }
        let ack_required = packet.subtype & ACK_BIT != 0;
        let subtype = packet.subtype & !ACK_BIT;
        if ack_required && !FloorMessage::subtype_may_ask_ack(subtype) {
            return Err(DecodeError::UnsupportedSubtype(packet.subtype));
        }
        let fields = FieldSet::collect(subtype, packet.fields)?;
        Ok(Self {
            ssrc: packet.ssrc,
            ack_required,
            message: fields.into_message()?,
        })
    }
}

/// The known fields of one message; the first of each kind counts.
#[derive(Debug, Default)]
struct FieldSet<'a> {
    subtype: u8,
    priority: Option<u8>,
    track_info: Option<TrackInfo>,
    indicator: Option<FloorIndicator>,
    ssrc: Option<u32>,
    location: Option<Location>,
    values: [Option<&'a [u8]>; 26],
}

impl<'a> FieldSet<'a> {
    fn collect(subtype: u8, octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut set = Self {
            subtype,
            ..Self::default()
        };
        for field in Fields::new(octets) {
            let (id, value) = field?;
            // A field of a later release is skipped by its length.
            if let Some(slot) = set.values.get_mut(usize::from(id)) {
                slot.get_or_insert(value);
            }
        }
        set.priority = set
            .octets::<2>(id::FLOOR_PRIORITY)?
            .map(|[priority, _]| priority);
        set.indicator = set.u16(id::INDICATOR)?.map(FloorIndicator);
        // Some peers leave the two spare octets of this field away.
        set.ssrc = set.octets::<4>(id::SSRC)?.map(u32::from_be_bytes);
        set.track_info = set
            .value(id::TRACK_INFO)
            .map(TrackInfo::decode)
            .transpose()?;
        set.location = set.value(id::LOCATION).map(Location::decode).transpose()?;
        Ok(set)
    }

    fn value(&self, id: u8) -> Option<&'a [u8]> {
        self.values.get(usize::from(id)).copied().flatten()
    }

    /// The first `N` octets of a field; more are tolerated, fewer are not.
    fn octets<const N: usize>(&self, id: u8) -> Result<Option<[u8; N]>, DecodeError> {
        let Some(value) = self.value(id) else {
            return Ok(None);
        };
        let octets = value
            .first_chunk::<N>()
            .ok_or(DecodeError::PeerFieldLength {
                id,
                len: value.len(),
            })?;
        Ok(Some(*octets))
    }

    fn u16(&self, id: u8) -> Result<Option<u16>, DecodeError> {
        Ok(self.octets::<2>(id)?.map(u16::from_be_bytes))
    }

    fn text(&self, id: u8) -> Result<Option<String>, DecodeError> {
        self.value(id)
            .map(|value| field::text_of(id, value))
            .transpose()
    }

    fn texts(&self, id: u8) -> Result<Vec<String>, DecodeError> {
        self.value(id)
            .map_or_else(|| Ok(Vec::new()), |value| field::texts_of(id, value))
    }

    fn need<T>(&self, field: u8, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or(DecodeError::PeerFieldMissing {
            subtype: self.subtype,
            field,
        })
    }

    fn need_u16(&self, field: u8) -> Result<u16, DecodeError> {
        self.need(field, self.u16(field)?)
    }

    /// The cause and phrase of Deny and Revoke.
    fn reject_cause(&self) -> Result<(u16, String), DecodeError> {
        let cause = self.need_u16(id::REJECT_CAUSE)?;
        let phrase = self
            .value(id::REJECT_CAUSE)
            .and_then(|value| value.get(2..));
        Ok((
            cause,
            field::text_of(id::REJECT_CAUSE, phrase.unwrap_or(&[]))?,
        ))
    }

    fn into_message(self) -> Result<FloorMessage, DecodeError> {
        Ok(match self.subtype {
            0 => self.floor_request()?.into(),
            1 => self.floor_granted()?.into(),
            2 => self.floor_taken()?.into(),
            3 => {
                let (cause, phrase) = self.reject_cause()?;
                let Self {
                    track_info,
                    indicator,
                    ..
                } = self;
                FloorDeny {
                    cause: cause.into(),
                    phrase,
                    track_info,
                    indicator,
                }
                .into()
            }
            4 => FloorRelease {
                track_info: self.track_info,
                indicator: self.indicator,
            }
            .into(),
            5 => {
                let sequence_number = self.need_u16(id::SEQUENCE_NUMBER)?;
                let Self {
                    track_info,
                    indicator,
                    ..
                } = self;
                FloorIdle {
                    sequence_number,
                    track_info,
                    indicator,
                }
                .into()
            }
            6 => {
                let (cause, phrase) = self.reject_cause()?;
                let Self {
                    track_info,
                    indicator,
                    ..
                } = self;
                FloorRevoke {
                    cause: cause.into(),
                    phrase,
                    track_info,
                    indicator,
                }
                .into()
            }
            7 => {
                let user_id = self.need(id::REVOKE_USER_ID, self.text(id::REVOKE_USER_ID)?)?;
                FloorRevokeRequest { user_id }.into()
            }
            8 => QueuePositionRequest {
                track_info: self.track_info,
            }
            .into(),
            9 => self.queue_position_info()?.into(),
            10 => self.floor_ack()?.into(),
            11 => {
                let octets = self.need_u16(id::MEDIA_FLOW_CONTROL)?;
                UnicastMediaFlowControl {
                    resume: octets & 0x8000 != 0,
                }
                .into()
            }
            14 => self.queued_floor_requests()?.into(),
            15 => {
                let user_id = self.text(id::USER_ID)?;
                let Self {
                    ssrc, indicator, ..
                } = self;
                FloorReleaseMultiTalker {
                    ssrc,
                    user_id,
                    indicator,
                }
                .into()
            }
            undefined => return Err(DecodeError::UnsupportedSubtype(undefined)),
        })
    }

    fn floor_request(self) -> Result<FloorRequest, DecodeError> {
        Ok(FloorRequest {
            functional_alias: self.text(id::FUNCTIONAL_ALIAS)?,
            priority: self.priority,
            track_info: self.track_info,
            indicator: self.indicator,
            location: self.location,
        })
    }

    fn floor_granted(self) -> Result<FloorGranted, DecodeError> {
        let seconds = self.need_u16(id::DURATION)?;
        Ok(FloorGranted {
            duration: Duration::from_secs(seconds.into()),
            ssrc: self.ssrc,
            priority: self.priority,
            track_info: self.track_info,
            indicator: self.indicator,
        })
    }

    fn floor_taken(self) -> Result<FloorTaken, DecodeError> {
        Ok(FloorTaken {
            granted_party: self.text(id::GRANTED_PARTY)?,
            may_request: self.need_u16(id::PERMISSION)? != 0,
            sequence_number: self.need_u16(id::SEQUENCE_NUMBER)?,
            granted_users: self.texts(id::GRANTED_USERS)?,
            ssrcs: self
                .value(id::SSRCS)
                .map_or_else(|| Ok(Vec::new()), field::ssrcs_of)?,
            functional_alias: self.text(id::FUNCTIONAL_ALIAS)?,
            functional_aliases: self.texts(id::FUNCTIONAL_ALIASES)?,
            locations: self.value(id::LOCATIONS).map(<[u8]>::to_vec),
            track_info: self.track_info,
            indicator: self.indicator,
            ssrc: self.ssrc,
            location: self.location,
        })
    }

    fn queue_position_info(self) -> Result<QueuePositionInfo, DecodeError> {
        let [position, priority] = self.need(id::QUEUE_INFO, self.octets::<2>(id::QUEUE_INFO)?)?;
        Ok(QueuePositionInfo {
            queue_info: QueueInfo {
                position: position.into(),
                priority,
            },
            track_info: self.track_info,
            indicator: self.indicator,
        })
    }

    fn floor_ack(self) -> Result<FloorAck, DecodeError> {
        let source = self.need_u16(id::SOURCE)?.into();
        let [message_type, _] = self.need(id::MESSAGE_TYPE, self.octets::<2>(id::MESSAGE_TYPE)?)?;
        Ok(FloorAck {
            source,
            // A peer may leave the bit of the message that it acknowledges.
            message_type: message_type & !ACK_BIT,
            track_info: self.track_info,
        })
    }

    fn queued_floor_requests(self) -> Result<QueuedFloorRequests, DecodeError> {
        Ok(QueuedFloorRequests {
            purpose: self.u16(id::QUEUED_PURPOSE)?,
            users: self.value(id::QUEUED_USERS).map(<[u8]>::to_vec),
            result: self.u16(id::QUEUED_RESULT)?,
        })
    }
}
