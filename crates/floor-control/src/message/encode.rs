//! From messages to octets; fields in the order of the message's clause.

use super::{
    ACK_BIT, FloorGranted, FloorMessage, FloorPacket, FloorReleaseMultiTalker, FloorRequest,
    FloorTaken, NAME, QueuedFloorRequests,
};
use crate::error::EncodeError;
use crate::field::{self, FloorIndicator, TrackInfo, id};
use crate::wire::PacketWriter;

impl FloorPacket {
    /// Appends the message to `out`, so that several can share a datagram.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if a text or list does not fit its field; `out` is then as before.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut packet = PacketWriter::default();
        self.message.write(&mut packet)?;
        let subtype = self.message.subtype();
        let ack = self.ack_required && FloorMessage::subtype_may_ask_ack(subtype);
        packet.finish(
            subtype | if ack { ACK_BIT } else { 0 },
            self.ssrc,
            NAME,
            out,
        )
    }

    /// The message as a datagram of its own.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if a text or list does not fit its field.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.encode(&mut out)?;
        Ok(out)
    }
}

impl FloorMessage {
    fn write(&self, packet: &mut PacketWriter) -> Result<(), EncodeError> {
        match self {
            Self::FloorRequest(request) => request.write(packet),
            Self::FloorGranted(granted) => granted.write(packet),
            Self::FloorTaken(taken) => taken.write(packet),
            Self::FloorDeny(deny) => {
                reject_cause(packet, deny.cause.into(), &deny.phrase)?;
                track_and_indicator(packet, deny.track_info.as_ref(), deny.indicator)
            }
            Self::FloorRelease(release) => {
                track_and_indicator(packet, release.track_info.as_ref(), release.indicator)
            }
            Self::FloorIdle(idle) => {
                packet.u16(id::SEQUENCE_NUMBER, idle.sequence_number)?;
                track_and_indicator(packet, idle.track_info.as_ref(), idle.indicator)
            }
            Self::FloorRevoke(revoke) => {
                reject_cause(packet, revoke.cause.into(), &revoke.phrase)?;
                track_and_indicator(packet, revoke.track_info.as_ref(), revoke.indicator)
            }
            Self::FloorRevokeRequest(request) => {
                packet.field(id::REVOKE_USER_ID, request.user_id.as_bytes())
            }
            Self::QueuePositionRequest(request) => {
                track_and_indicator(packet, request.track_info.as_ref(), None)
            }
            Self::QueuePositionInfo(info) => {
                let queue = info.queue_info;
                packet.field(id::QUEUE_INFO, &[queue.position.into(), queue.priority])?;
                track_and_indicator(packet, info.track_info.as_ref(), info.indicator)
            }
            Self::FloorAck(ack) => {
                packet.u16(id::SOURCE, ack.source.into())?;
                packet.field(id::MESSAGE_TYPE, &[ack.message_type & !ACK_BIT, 0])?;
                track_and_indicator(packet, ack.track_info.as_ref(), None)
            }
            Self::UnicastMediaFlowControl(control) => {
                packet.u16(id::MEDIA_FLOW_CONTROL, u16::from(control.resume) << 15)
            }
            Self::QueuedFloorRequests(queued) => queued.write(packet),
            Self::FloorReleaseMultiTalker(release) => release.write(packet),
        }
    }
}

fn reject_cause(packet: &mut PacketWriter, cause: u16, phrase: &str) -> Result<(), EncodeError> {
    let value = [&cause.to_be_bytes(), phrase.as_bytes()].concat();
    packet.field(id::REJECT_CAUSE, &value)
}

fn ssrc(packet: &mut PacketWriter, ssrc: u32) -> Result<(), EncodeError> {
    let [a, b, c, d] = ssrc.to_be_bytes();
    packet.field(id::SSRC, &[a, b, c, d, 0, 0])
}

fn text(packet: &mut PacketWriter, id: u8, text: Option<&String>) -> Result<(), EncodeError> {
    text.map_or(Ok(()), |text| packet.field(id, text.as_bytes()))
}

fn track_and_indicator(
    packet: &mut PacketWriter,
    track_info: Option<&TrackInfo>,
    indicator: Option<FloorIndicator>,
) -> Result<(), EncodeError> {
    if let Some(track_info) = track_info {
        packet.field(id::TRACK_INFO, &track_info.encode()?)?;
    }
    if let Some(indicator) = indicator {
        packet.u16(id::INDICATOR, indicator.0)?;
    }
    Ok(())
}

impl FloorRequest {
    fn write(&self, packet: &mut PacketWriter) -> Result<(), EncodeError> {
        if let Some(priority) = self.priority {
            packet.field(id::FLOOR_PRIORITY, &[priority, 0])?;
        }
        track_and_indicator(packet, self.track_info.as_ref(), self.indicator)?;
        text(packet, id::FUNCTIONAL_ALIAS, self.functional_alias.as_ref())?;
        if let Some(location) = &self.location {
            packet.field(id::LOCATION, &location.encode())?;
        }
        Ok(())
    }
}

impl FloorGranted {
    fn write(&self, packet: &mut PacketWriter) -> Result<(), EncodeError> {
        let seconds = u16::try_from(self.duration.as_secs()).unwrap_or(u16::MAX);
        packet.u16(id::DURATION, seconds)?;
        if let Some(value) = self.ssrc {
            ssrc(packet, value)?;
        }
        if let Some(priority) = self.priority {
            packet.field(id::FLOOR_PRIORITY, &[priority, 0])?;
        }
        track_and_indicator(packet, self.track_info.as_ref(), self.indicator)
    }
}

impl FloorTaken {
    fn write(&self, packet: &mut PacketWriter) -> Result<(), EncodeError> {
        text(packet, id::GRANTED_PARTY, self.granted_party.as_ref())?;
        packet.u16(id::PERMISSION, self.may_request.into())?;
        packet.u16(id::SEQUENCE_NUMBER, self.sequence_number)?;
        track_and_indicator(packet, self.track_info.as_ref(), self.indicator)?;
        if let Some(value) = self.ssrc {
            ssrc(packet, value)?;
        }
        if !self.granted_users.is_empty() {
            let users = field::texts_to(id::GRANTED_USERS, &self.granted_users)?;
            packet.field(id::GRANTED_USERS, &users)?;
        }
        if !self.ssrcs.is_empty() {
            packet.field(id::SSRCS, &field::ssrcs_to(&self.ssrcs)?)?;
        }
        text(packet, id::FUNCTIONAL_ALIAS, self.functional_alias.as_ref())?;
        if !self.functional_aliases.is_empty() {
            let aliases = field::texts_to(id::FUNCTIONAL_ALIASES, &self.functional_aliases)?;
            packet.field(id::FUNCTIONAL_ALIASES, &aliases)?;
        }
        if let Some(location) = &self.location {
            packet.field(id::LOCATION, &location.encode())?;
        }
        if let Some(locations) = &self.locations {
            packet.field(id::LOCATIONS, locations)?;
        }
        Ok(())
    }
}

impl QueuedFloorRequests {
    fn write(&self, packet: &mut PacketWriter) -> Result<(), EncodeError> {
        if let Some(purpose) = self.purpose {
            packet.u16(id::QUEUED_PURPOSE, purpose)?;
        }
        if let Some(users) = &self.users {
            packet.field(id::QUEUED_USERS, users)?;
        }
        if let Some(result) = self.result {
            packet.u16(id::QUEUED_RESULT, result)?;
        }
        Ok(())
    }
}

impl FloorReleaseMultiTalker {
    fn write(&self, packet: &mut PacketWriter) -> Result<(), EncodeError> {
        if let Some(value) = self.ssrc {
            ssrc(packet, value)?;
        }
        text(packet, id::USER_ID, self.user_id.as_ref())?;
        track_and_indicator(packet, None, self.indicator)
    }
}
