//! Speech in and out of the packets of a call (TS 33.180 7.4, 7.5).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use mc_audio::amr_wb::{Decoder, Encoder, Mode, Packing};
use mc_audio::{FRAME, Frame16k};
use mc_media::SRTP_OVERHEAD;
use mc_media::rtp::{Frame, Header};
use mc_trace::{Endpoint, Event, names};

use crate::call::protection::{Format, Incoming, NotHeard, Outgoing, Received, SpeechProtection};
use crate::call::reorder::Reorder;
use crate::call::{EventSink, Remote, Shared};
use crate::call_id::CallId;
use crate::event::{ClientEvent, SpeechFrame};

/// Room for a payload of one frame.
const MAX_PAYLOAD: usize = 128;
/// RTP clock ticks of a frame: AMR-WB counts samples (RFC 4867 4.1).
const TICKS: u32 = 320;
/// Most frames made up for a gap; longer gaps are silence.
const MAX_CONCEALED: u64 = 5;
/// Most talkers whose decoders are kept.
const MAX_DECODERS: usize = 16;

/// Sends our speech while we have the floor.
pub(super) struct Talker {
    shared: Shared,
    protection: SpeechProtection,
    stream: Option<Stream>,
    talking: bool,
    first: bool,
    out: Box<[u8; MAX_PAYLOAD + SRTP_OVERHEAD]>,
}

/// A stream under one key, or in clear: kept between talk bursts, so that an SSRC is not used up by each.
struct Stream {
    packets: Outgoing,
    encoder: Encoder,
    packing: Packing,
    octet_align: bool,
    timestamp: u32,
    /// When the last frame was sent: silence between bursts advances the timestamp too.
    last: Instant,
}

impl Talker {
    pub(super) fn new(shared: Shared, protection: SpeechProtection) -> Self {
        let out = Box::new([0; MAX_PAYLOAD + SRTP_OVERHEAD]);
        Self {
            shared,
            protection,
            stream: None,
            talking: false,
            first: false,
            out,
        }
    }

    pub(super) fn start(&mut self) {
        self.talking = true;
        self.first = true;
    }

    pub(super) fn stop(&mut self) {
        self.talking = false;
    }

    /// The packet for one frame; none without the floor or without a key.
    pub(super) fn packet(&mut self, samples: &[i16], remote: Remote) -> Option<&[u8]> {
        let samples = <&Frame16k>::try_from(samples).ok()?;
        if !self.talking {
            return None;
        }
        if self.first {
            self.begin_burst(remote);
        } else if !self.goes_on() {
            // A re-key during the burst: what follows is a new stream, which begins at once.
            self.first = true;
            self.begin_burst(remote);
        }
        let stream = self.stream.as_mut()?;
        let payload = stream
            .encoder
            .encode(samples)
            .and_then(|coded| stream.packing.pack(&coded))
            .inspect_err(|error| tracing::warn!(%error, "speech not encoded"))
            .ok()?;
        let frame = Frame {
            payload_type: remote.payload_type,
            marker: self.first,
            timestamp: stream.timestamp,
        };
        let length = stream
            .packets
            .write(frame, &payload, self.out.as_mut_slice())
            .ok()?;
        stream.timestamp = stream.timestamp.wrapping_add(TICKS);
        stream.last = Instant::now();
        self.first = false;
        let packet = self.out.get(..length)?;
        trace_sent(&self.shared, remote.audio, packet);
        Some(packet)
    }

    fn goes_on(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| self.protection.is_current(&self.shared, &stream.packets))
    }

    /// Each burst begins under the key that is current then.
    fn begin_burst(&mut self, remote: Remote) {
        let goes_on = self.goes_on();
        if let Some(stream) = self
            .stream
            .as_mut()
            .filter(|stream| goes_on && stream.octet_align == remote.octet_align)
        {
            let frames = stream.last.elapsed().as_millis() / FRAME.as_millis();
            let frames = u32::try_from(frames).unwrap_or_default();
            stream.timestamp = stream.timestamp.wrapping_add(frames.wrapping_mul(TICKS));
            return;
        }
        self.stream = self
            .new_stream(remote)
            .inspect_err(|error| tracing::error!(error, "cannot send speech"))
            .ok();
    }

    fn new_stream(&self, remote: Remote) -> Result<Stream, String> {
        Ok(Stream {
            packets: self.protection.begin(&self.shared)?,
            encoder: Encoder::new(Mode::default()).map_err(|error| error.to_string())?,
            packing: Packing::new(remote.octet_align).map_err(|error| error.to_string())?,
            octet_align: remote.octet_align,
            timestamp: 0,
            last: Instant::now(),
        })
    }
}

/// Receives the speech of others.
pub(super) struct Listener {
    shared: Shared,
    call: CallId,
    receiver: Incoming,
    streams: BTreeMap<u32, Receiving>,
    format: Format,
}

struct Receiving {
    decoder: Decoder,
    packing: Packing,
    order: Reorder<(Received, Instant)>,
    heard: Instant,
}

impl Receiving {
    /// Tells what a packet says, after what those said that were lost before it.
    fn decode(
        &mut self,
        lost: u64,
        (packet, received): (Received, Instant),
        call: &CallId,
        events: &EventSink,
    ) {
        let Received {
            header,
            talker,
            payload,
        } = packet;
        let mut frames = Vec::new();
        if !header.marker && lost <= MAX_CONCEALED {
            for _ in 0..lost {
                frames.extend(self.decoder.conceal().ok().map(|samples| (true, samples)));
            }
        }
        let (packing, decoder) = (self.packing, &mut self.decoder);
        let decoded = packing.unpack(&payload).and_then(|coded| {
            let decoded = coded.iter().map(|coded| decoder.decode(coded));
            decoded.collect::<Result<Vec<_>, _>>()
        });
        match decoded {
            Ok(decoded) => frames.extend(decoded.into_iter().map(|samples| (false, samples))),
            Err(error) => tracing::debug!(%error, "payload not decoded"),
        }
        for (concealed, samples) in frames {
            events.emit(ClientEvent::Speech(SpeechFrame {
                call: call.clone(),
                guk_id: talker,
                ssrc: header.ssrc,
                sequence: header.sequence,
                timestamp: header.timestamp,
                marker: header.marker && !concealed,
                concealed,
                received,
                samples: samples.to_vec(),
            }));
        }
    }
}

impl Listener {
    pub(super) fn new(shared: Shared, call: CallId, protection: SpeechProtection) -> Self {
        Self {
            shared,
            call,
            receiver: protection.receiver(),
            streams: BTreeMap::new(),
            format: Format {
                payload_type: 0,
                octet_align: true,
            },
        }
    }

    pub(super) fn expect(&mut self, payload_type: u8, octet_align: bool) {
        self.format = Format {
            payload_type,
            octet_align,
        };
    }

    /// Takes in a packet that came at `received`; true if it is the call's.
    pub(super) fn packet(&mut self, packet: &mut [u8], received: Instant) -> bool {
        let raw = self.shared.tracer.wants_media().then(|| packet.to_vec());
        let heard = match self.receiver.open(&self.shared, packet, self.format) {
            Ok(heard) => heard,
            Err(error) => {
                refuse(&self.shared, &error);
                return false;
            }
        };
        if let Some(raw) = raw {
            trace_received(&self.shared, &raw, &heard.payload, heard.header);
        }
        if heard.header.payload_type == self.format.payload_type {
            self.take(heard, received);
        }
        true
    }

    fn take(&mut self, heard: Received, received: Instant) {
        let header = heard.header;
        if !self.streams.contains_key(&header.ssrc) && !self.open_stream(header) {
            return;
        }
        let Some(stream) = self.streams.get_mut(&header.ssrc) else {
            return;
        };
        stream.heard = received;
        // Of one that is late, what it would have said was made up already.
        stream
            .order
            .push(header.sequence, (heard, received), received);
        self.release(received);
    }

    /// When [`Self::release`] has something to do without another packet.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.streams.values().filter_map(|s| s.order.due()).min()
    }

    /// Tells of the packets whose turn it is.
    pub(super) fn release(&mut self, now: Instant) {
        let (events, call) = (&self.shared.events, &self.call);
        for stream in self.streams.values_mut() {
            while let Some((lost, packet)) = stream.order.pull(now) {
                stream.decode(lost, packet, call, events);
            }
        }
    }

    /// Tells of all packets: the talk burst or the call is over.
    pub(super) fn release_all(&mut self) {
        let (events, call) = (&self.shared.events, &self.call);
        for stream in self.streams.values_mut() {
            while let Some((lost, packet)) = stream.order.give_up() {
                stream.decode(lost, packet, call, events);
            }
        }
    }

    fn open_stream(&mut self, header: Header) -> bool {
        let (Ok(decoder), Ok(packing)) = (Decoder::new(), Packing::new(self.format.octet_align))
        else {
            return false;
        };
        if self.streams.len() >= MAX_DECODERS {
            let quietest = self
                .streams
                .iter()
                .min_by_key(|(_, s)| s.heard)
                .map(|(ssrc, _)| *ssrc);
            if let Some(ssrc) = quietest {
                self.streams.remove(&ssrc);
            }
        }
        let heard = Instant::now();
        self.streams.insert(
            header.ssrc,
            Receiving {
                decoder,
                packing,
                order: Reorder::new(header.sequence),
                heard,
            },
        );
        true
    }
}

fn refuse(shared: &Shared, error: &NotHeard) {
    tracing::debug!(%error, "speech packet dropped");
    shared
        .tracer
        .emit(Event::local(&names::MEDIA_REFUSED, error.to_string()));
}

fn trace_sent(shared: &Shared, to: SocketAddr, packet: &[u8]) {
    if shared.tracer.wants_media() {
        let ends = (
            Endpoint::named(shared.node.clone()),
            Endpoint::new("mcptt-server", to),
        );
        shared
            .tracer
            .emit(Event::sent(&names::MEDIA_SENT, ends.0, ends.1, packet));
    }
}

fn trace_received(shared: &Shared, raw: &[u8], payload: &[u8], header: Header) {
    let ends = (
        Endpoint::named("mcptt-server"),
        Endpoint::named(shared.node.clone()),
    );
    // In clear: header and payload, as an unprotected packet would have them.
    let clear = raw.get(..header.length).unwrap_or_default();
    let clear = [clear, payload].concat();
    shared
        .tracer
        .emit(Event::received(&names::MEDIA_RECEIVED, ends.0, ends.1, raw).clear(clear));
}
