//! SRTP and SRTCP streams (RFC 3711, RFC 7714, RFC 4771 mode 3).

use super::args::{Args, Field, Type};
use super::error::{Error, Kind};
use super::op::{Op, Results, hex, results};
use mc_media::reproducible::{rtp_index, seal_rtcp, seal_rtp};
use mc_media::rtp::Header;
use mc_media::{Layout, MasterKey, Mki, OpenError, RocTransport, SrtcpReceiver, SrtpReceiver};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Octets of the AEAD tag.
const TAG: usize = 16;

const FIELDS: &[Field] = &[
    Field::hex("master_key"),
    Field::hex("master_salt"),
    Field::hex("mki"),
    Field::new("packets", Type::HexList),
    Field::new("roc", Type::Integer).optional(),
    Field::new("rcc", Type::Boolean).optional(),
    Field::new("keys", Type::Word(&["master", "session"])).optional(),
    Field::new("index", Type::Integer).optional(),
];
const RESULTS: &[Field] = &[Field::new("packets", Type::HexList)];

pub(super) const OPS: &[Op] = &[
    Op {
        name: "srtp.protect",
        fields: FIELDS,
        either: &[],
        results: RESULTS,
        about: "protects RTP packets, one stream in order. `roc` begins it (0), `rcc` puts the ROC \
                behind the MKI (false), `keys` tells what key and salt are (master)",
        run: protect_rtp,
    },
    Op {
        name: "srtp.unprotect",
        fields: FIELDS,
        either: &[],
        results: RESULTS,
        about: "opens SRTP packets, one stream in order; replays are refused",
        run: unprotect_rtp,
    },
    Op {
        name: "srtcp.protect",
        fields: FIELDS,
        either: &[],
        results: RESULTS,
        about: "protects RTCP packets; `index` is the SRTCP index of the first (1). There is no \
                ROC: `roc` must be 0 and `rcc` false",
        run: protect_rtcp,
    },
    Op {
        name: "srtcp.unprotect",
        fields: FIELDS,
        either: &[],
        results: RESULTS,
        about: "opens SRTCP packets, one stream in order; replays are refused",
        run: unprotect_rtcp,
    },
];

struct Stream {
    master: MasterKey,
    mki: Mki,
    roc: u32,
    transport: RocTransport,
    packets: Vec<Vec<u8>>,
}

impl Stream {
    fn of(args: &Args<'_>) -> Result<Self, Error> {
        let (key, salt) = (args.array("master_key")?, args.array("master_salt")?);
        let mki = Mki::read(&args.octets("mki")?);
        let mki = mki.ok_or_else(|| Error::new(Kind::Length, "an MKI has 4 or 8 octets"))?;
        let master = match args.text("keys") {
            "session" => MasterKey::of_session(key, salt),
            _ => MasterKey::new(key, salt),
        };
        let transport = if args.boolean("rcc") {
            RocTransport::InPacket
        } else {
            RocTransport::Estimated
        };
        Ok(Self {
            master,
            mki,
            roc: args.small("roc")?.unwrap_or_default(),
            transport,
            packets: args.octets_list("packets")?,
        })
    }

    /// The stream of SRTCP packets and the index of its first.
    fn of_rtcp(args: &Args<'_>) -> Result<(Self, u32), Error> {
        let stream = Self::of(args)?;
        if stream.roc != 0 || stream.transport == RocTransport::InPacket {
            return Err(Error::field("roc, rcc", "SRTCP has no roll-over counter"));
        }
        Ok((stream, args.small("index")?.unwrap_or(1)))
    }

    fn key_of(&self, mki: Mki) -> Option<MasterKey> {
        (mki == self.mki).then(|| self.master.clone())
    }

    /// Octets behind the tag of an SRTP packet.
    const fn trailer(&self) -> usize {
        let roc = match self.transport {
            RocTransport::InPacket => 4,
            RocTransport::Estimated => 0,
        };
        self.mki.length().octets() + roc
    }
}

fn answer(packets: impl Iterator<Item = Result<Vec<u8>, Error>>) -> Results {
    let numbered = packets.enumerate();
    let packets: Result<Vec<Value>, Error> = numbered
        .map(|(at, packet)| packet.map(hex).map_err(|e| e.at(at)))
        .collect();
    results([("packets", packets?.into())])
}

fn protect_rtp(args: &Args<'_>) -> Results {
    let stream = Stream::of(args)?;
    if args.has("index") {
        return Err(Error::field(
            "index",
            "SRTP packets carry their sequence numbers",
        ));
    }
    let mut highest = BTreeMap::new();
    let mut used = BTreeSet::new();
    answer(stream.packets.iter().map(|packet| {
        let malformed = || Error::new(Kind::Malformed, "not an RTP packet");
        let ssrc = Header::read(packet).ok_or_else(malformed)?.ssrc;
        let index = rtp_index(packet, highest.get(&ssrc).copied(), stream.roc);
        let index = index.ok_or_else(malformed)?;
        if !used.insert((ssrc, index)) {
            let detail = format!("SSRC {ssrc:08x} index {index} twice would repeat a nonce");
            return Err(Error::new(Kind::Replay, detail));
        }
        let highest = highest.entry(ssrc).or_insert(index);
        *highest = index.max(*highest);
        let sealed = seal_rtp(&stream.master, stream.mki, stream.transport, index, packet);
        sealed.ok_or_else(malformed)
    }))
}

fn unprotect_rtp(args: &Args<'_>) -> Results {
    let stream = Stream::of(args)?;
    if args.has("index") {
        return Err(Error::field(
            "index",
            "SRTP packets carry their sequence numbers",
        ));
    }
    let layout = Layout {
        mki: stream.mki.length(),
        roc: stream.transport,
    };
    let mut receiver = SrtpReceiver::new(layout).beginning_at(stream.roc);
    answer(stream.packets.iter().map(|packet| {
        let mut packet = packet.clone();
        receiver
            .open(&mut packet, |mki| stream.key_of(mki))
            .map_err(open_error)?;
        // Decryption was in place: header, plain payload and padding stand before the tag.
        packet.truncate(packet.len().saturating_sub(stream.trailer() + TAG));
        Ok(packet)
    }))
}

fn protect_rtcp(args: &Args<'_>) -> Results {
    let (stream, first) = Stream::of_rtcp(args)?;
    answer(stream.packets.iter().zip(0_u32..).map(|(packet, number)| {
        let index = first.checked_add(number).filter(|index| *index < 1 << 31);
        let index = index.ok_or_else(|| Error::new(Kind::Range, "the index has 31 bits"))?;
        let sealed = seal_rtcp(&stream.master, stream.mki, index, packet);
        sealed.ok_or_else(|| Error::new(Kind::Malformed, "not an RTCP packet"))
    }))
}

fn unprotect_rtcp(args: &Args<'_>) -> Results {
    let (stream, _) = Stream::of_rtcp(args)?;
    if args.has("index") {
        return Err(Error::field("index", "SRTCP packets carry their index"));
    }
    let mut receiver = SrtcpReceiver::new(stream.mki.length());
    answer(stream.packets.iter().map(|packet| {
        let mut packet = packet.clone();
        let opened = receiver.open(&mut packet, |mki| stream.key_of(mki));
        opened
            .map(|opened| opened.packet.to_vec())
            .map_err(open_error)
    }))
}

fn open_error(error: OpenError) -> Error {
    let kind = match error {
        OpenError::PeerMalformed => Kind::Malformed,
        OpenError::PeerUnknownKey(_) => Kind::KeyMissing,
        OpenError::PeerNotAuthentic(_) => Kind::Integrity,
        OpenError::PeerReplayed { .. } | OpenError::PeerForeignSource(_) => Kind::Replay,
        OpenError::PeerNotEncrypted => Kind::Unsupported,
        OpenError::LocalStreamLimit => Kind::Range,
    };
    Error::new(kind, error.to_string())
}
