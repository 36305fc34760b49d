//! Push-to-talk read from speech: what a leg's packets mean.

use std::time::Duration;

use mc_audio::level::is_louder;
use tokio::time::Instant;

use super::super::rtp::{PCMU, Packet, Stamp};
use crate::config::MediaConfig;
use crate::network::Frame;
use crate::talkgroup::Talker;

/// Patience with a leg that signals its key, in units of the silence time: its word counts first.
const SIGNALLED_PATIENCE: u32 = 4;

/// What a packet means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing: not speech, or the leg may not talk now.
    Nothing,
    /// The key was pressed, with the first speech.
    Press(Spoken),
    /// More speech.
    Speech(Spoken),
}

/// The speech of one packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    pub(super) stamp: Stamp,
    pub(super) frames: Vec<Frame>,
}

/// The key as the packets show it.
#[derive(Debug)]
pub(super) struct SpeechIn {
    /// The leg as a talker when it says nothing else.
    pub(super) talker: Talker,
    silence: Duration,
    vox_level: u16,
    /// The leg signals its key; level does not matter then.
    signals: bool,
    pressed: bool,
    /// The press was refused: nothing more until the leg was silent.
    refused: bool,
    last: Option<Instant>,
}

impl SpeechIn {
    pub(super) const fn new(media: &MediaConfig, talker: Talker) -> Self {
        Self {
            talker,
            silence: Duration::from_millis(media.silence_ms),
            vox_level: media.vox_level,
            signals: false,
            pressed: false,
            refused: false,
            last: None,
        }
    }

    /// The leg said that its key is pressed or released.
    pub(super) fn signalled(&mut self, pressed: bool) {
        self.signals = true;
        self.pressed = pressed;
        self.refused = false;
        self.last = pressed.then(Instant::now);
    }

    /// The press was refused or the channel taken away.
    pub(super) fn refused(&mut self) {
        self.pressed = false;
        self.refused = true;
        self.last = Some(Instant::now());
    }

    /// When silence will have lasted long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let patience = if self.signals { SIGNALLED_PATIENCE } else { 1 };
        self.last.map(|last| last + self.silence * patience)
    }

    /// Silence has lasted; true when that released the key.
    pub(super) fn silence(&mut self) -> bool {
        self.refused = false;
        self.last = None;
        std::mem::take(&mut self.pressed)
    }

    /// Reads a packet.
    pub(super) fn packet(&mut self, octets: &[u8]) -> Heard {
        let Some(packet) = Packet::parse(octets).filter(|p| p.payload_type == PCMU) else {
            return Heard::Nothing;
        };
        let frames = packet.frames();
        let loud = self.signals
            || self.vox_level == 0
            || frames.iter().any(|frame| is_louder(frame, self.vox_level));
        if frames.is_empty() || (!loud && !self.pressed) {
            return Heard::Nothing;
        }
        if self.signals && !self.pressed && (self.refused || !packet.stamp.marker) {
            // Packets still on the way after the release; a marked one outran its INFO.
            return Heard::Nothing;
        }
        if loud {
            self.last = Some(Instant::now());
        }
        if self.refused {
            return Heard::Nothing;
        }
        let spoken = Spoken {
            stamp: packet.stamp,
            frames,
        };
        if std::mem::replace(&mut self.pressed, true) {
            Heard::Speech(spoken)
        } else {
            Heard::Press(spoken)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::air::analogue::rtp::Sender;
    use crate::talkgroup::ParticipantId;
    use mc_audio::FRAME_8K as FRAME;

    fn speech_in(vox_level: u16) -> SpeechIn {
        let media = MediaConfig {
            vox_level,
            ..MediaConfig::default()
        };
        let talker = Talker {
            participant: ParticipantId(1),
            unit: "0".into(),
            name: None,
            emergency: false,
        };
        SpeechIn::new(&media, talker)
    }

    #[test]
    fn a_softphone_that_sends_silence_does_not_press() {
        let (mut speech, mut sender) = (speech_in(150), Sender::new(1, 1, 1));
        assert_eq!(speech.packet(&sender.packet(&[0; FRAME])), Heard::Nothing);
        assert_eq!(speech.deadline(), None);
        assert!(matches!(
            speech.packet(&sender.packet(&[4000; FRAME])),
            Heard::Press(_)
        ));
        let deadline = speech.deadline();
        // Silence between words goes out but does not keep the key pressed.
        assert!(matches!(
            speech.packet(&sender.packet(&[0; FRAME])),
            Heard::Speech(_)
        ));
        assert_eq!(speech.deadline(), deadline);
        assert!(speech.silence());
        assert!(!speech.silence(), "released once");
    }

    #[test]
    fn a_refused_talker_must_be_silent_first() {
        let (mut speech, mut sender) = (speech_in(0), Sender::new(1, 1, 1));
        assert!(matches!(
            speech.packet(&sender.packet(&[0; FRAME])),
            Heard::Press(_)
        ));
        speech.refused();
        assert_eq!(
            speech.packet(&sender.packet(&[9000; FRAME])),
            Heard::Nothing
        );
        assert!(!speech.silence());
        assert!(matches!(
            speech.packet(&sender.packet(&[9000; FRAME])),
            Heard::Press(_)
        ));
    }

    #[test]
    fn the_word_of_a_signalling_peer_counts() {
        let (mut speech, mut sender) = (speech_in(150), Sender::new(1, 1, 1));
        speech.signalled(true);
        assert!(matches!(
            speech.packet(&sender.packet(&[0; FRAME])),
            Heard::Speech(_)
        ));
        speech.signalled(false);
        assert_eq!(
            speech.packet(&sender.packet(&[9000; FRAME])),
            Heard::Nothing,
            "late packet"
        );
        sender.begin(800);
        assert!(
            matches!(
                speech.packet(&sender.packet(&[9000; FRAME])),
                Heard::Press(_)
            ),
            "outran INFO"
        );
    }
}
