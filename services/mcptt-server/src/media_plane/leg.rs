//! One participant's sockets, and the checks its packets pass before anything looks at them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use floor_control::server::{ParticipantId, Profile};
use mc_media::rtp;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::config::MediaConfig;
use super::counters::Refusal;
use super::protection::FloorProtection;
use super::rate::RateLimit;
use super::{LegFacts, LegPorts, RemoteMedia};

/// A leg of a session.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) participant: ParticipantId,
    pub(super) facts: LegFacts,
    pub(super) ports: LegPorts,
    pub(super) audio: Arc<UdpSocket>,
    pub(super) floor: Option<Arc<UdpSocket>>,
    pub(super) remote: Option<RemoteMedia>,
    pub(super) protection: Option<FloorProtection>,
    /// Ends the tasks that read the sockets.
    pub(super) closed: CancellationToken,
    media_rate: RateLimit,
    floor_rate: RateLimit,
    symmetric: bool,
    max_media_packet: usize,
    /// Where an authentic floor control message came from.
    authentic: Option<IpAddr>,
    /// Whether a refused packet of this leg has been logged.
    pub(super) warned: bool,
}

impl Leg {
    pub(super) fn new(
        participant: ParticipantId,
        facts: LegFacts,
        (audio, floor): (UdpSocket, Option<UdpSocket>),
        protection: Option<FloorProtection>,
        config: &MediaConfig,
    ) -> std::io::Result<Self> {
        let ports = LegPorts {
            audio: audio.local_addr()?,
            floor: floor.as_ref().map(UdpSocket::local_addr).transpose()?,
        };
        Ok(Self {
            participant,
            facts,
            ports,
            audio: Arc::new(audio),
            floor: floor.map(Arc::new),
            remote: None,
            protection,
            closed: CancellationToken::new(),
            media_rate: RateLimit::new(config.media_packets_per_s),
            floor_rate: RateLimit::new(config.floor_packets_per_s),
            symmetric: config.symmetric,
            max_media_packet: config.max_media_packet,
            authentic: None,
            warned: false,
        })
    }

    /// The participant as the floor control server is to know it.
    pub(super) fn profile(&self) -> Profile {
        let facts = &self.facts;
        Profile {
            functional_aliases: facts.functional_aliases.clone(),
            negotiated_priority: facts.priority_negotiated.then_some(facts.priority),
            default_priority: facts.priority,
            queueing: facts.queueing,
            receive_only: facts.receive_only || !facts.floor_control,
            ..Profile::new(facts.participant.as_str())
        }
    }

    /// Checks a media packet; the floor is not asked yet. `moved` tells that the client's address
    /// was learnt anew.
    pub(super) fn admit_media(
        &mut self,
        packet: &[u8],
        from: SocketAddr,
        now: Instant,
    ) -> Result<Moved, Refusal> {
        let remote = self.remote.as_mut().ok_or(Refusal::NotConnected)?;
        let moved = if from == remote.audio {
            Moved::No
        } else if self.symmetric && self.authentic == Some(from.ip()) {
            Moved::Yes
        } else {
            return Err(Refusal::Source);
        };
        if !self.media_rate.allow(now) {
            return Err(Refusal::Rate);
        }
        if packet.len() > self.max_media_packet || !is_rtp(packet) {
            return Err(Refusal::Malformed);
        }
        if moved == Moved::Yes {
            remote.audio = from;
        }
        Ok(moved)
    }

    /// Checks a floor control packet and removes its protection; returns the clear length.
    pub(super) fn admit_floor(
        &mut self,
        packet: &mut [u8],
        from: SocketAddr,
        now: Instant,
    ) -> Result<usize, Refusal> {
        let remote = self.remote.as_mut().ok_or(Refusal::NotConnected)?;
        let expected = remote.floor.ok_or(Refusal::NotConnected)?;
        let learning = self.symmetric && self.protection.is_some();
        if from != expected && !learning {
            return Err(Refusal::Source);
        }
        if !self.floor_rate.allow(now) {
            return Err(Refusal::Rate);
        }
        let Some(protection) = &mut self.protection else {
            return Ok(packet.len());
        };
        let length = protection.open(packet)?;
        // Only now is it known who sent it.
        self.authentic = Some(from.ip());
        remote.floor = Some(from);
        Ok(length)
    }
}

/// Whether a client's media address was learnt anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// It is the one known.
    No,
    /// It is another one now.
    Yes,
}

/// Whether a packet is RTP and not RTCP on the media port (RFC 5761 4).
fn is_rtp(packet: &[u8]) -> bool {
    rtp::Header::read(packet).is_some_and(|header| {
        !(64..=95).contains(&header.payload_type) && packet.len() > header.length
    })
}
