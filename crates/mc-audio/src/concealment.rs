//! Concealment of lost G.711 frames: the last pitch period goes on, and fades.
//!
//! After the idea of G.711 Appendix I, without its delay of 3.75 ms: what comes before a loss is
//! played as it came, and the repeated period is made to meet its own beginning instead. The first
//! 10 ms repeat one period at full level; then two periods, later three, so that a long loss does
//! not buzz, and the level falls by a fifth each 10 ms to silence after 60 ms. The first frame after
//! a loss is faded in over the going-on sound.

use crate::{FRAME_8K, Frame8k, SILENCE_8K, to_sample};

/// Kept sound: three of the longest periods and a quarter of one.
const HISTORY: usize = 390;
/// Shortest pitch period, 5 ms (200 Hz): higher voices repeat whole multiples.
const SHORTEST: usize = 40;
/// Longest pitch period, 15 ms (66 Hz).
const LONGEST: usize = 120;
/// Samples compared to find the period: 20 ms.
const COMPARED: usize = 160;
/// Samples in one step of the fading: 10 ms.
const STEP: usize = 80;
/// Fall of the level in one sample: a fifth in 10 ms.
const FALL: f32 = 0.2 / 80.0;
/// Samples over which true sound is faded in after a loss of one frame: 5 ms; more after longer.
const FADE_IN: usize = 40;

/// Concealment for one stream.
#[derive(Debug, Clone)]
pub struct Concealer {
    /// The last sound that was received, oldest first.
    history: [f32; HISTORY],
    loss: Option<Loss>,
}

/// A loss that goes on.
#[derive(Debug, Clone)]
struct Loss {
    pitch: usize,
    /// What is repeated: one period, its end blended into what came before its beginning.
    cycle: Vec<f32>,
    /// Place in the cycle.
    place: usize,
    /// Samples made up so far.
    made: usize,
}

impl Default for Concealer {
    fn default() -> Self {
        Self::new()
    }
}

impl Concealer {
    /// A concealer that has heard silence.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            history: [0.0; HISTORY],
            loss: None,
        }
    }

    /// A frame arrived: gives what to play, which after a loss begins with the made-up sound.
    #[must_use]
    pub fn received(&mut self, frame: &Frame8k) -> Frame8k {
        let mut played = *frame;
        if let Some(mut loss) = self.loss.take() {
            let frames = loss.made / FRAME_8K;
            let fade = (FADE_IN * frames.max(1)).min(2 * FADE_IN);
            for (n, sample) in played.iter_mut().take(fade).enumerate() {
                let share = ratio(n + 1, fade + 1);
                let made_up = loss.sample(&self.history);
                *sample = to_sample(made_up.mul_add(1.0 - share, f32::from(*sample) * share));
            }
        }
        self.history.copy_within(FRAME_8K.., 0);
        let kept = self.history.iter_mut().skip(HISTORY - FRAME_8K);
        kept.zip(&played)
            .for_each(|(kept, s)| *kept = f32::from(*s));
        played
    }

    /// A frame is lost: gives what to play instead, silence after 60 ms.
    #[must_use]
    pub fn conceal(&mut self) -> Frame8k {
        let history = &self.history;
        let loss = self.loss.get_or_insert_with(|| Loss::new(history));
        let mut frame = SILENCE_8K;
        for sample in &mut frame {
            *sample = to_sample(loss.sample(history));
        }
        frame
    }
}

impl Loss {
    fn new(history: &[f32; HISTORY]) -> Self {
        let pitch = pitch(history);
        Self {
            pitch,
            cycle: cycle(history, pitch, 1),
            place: 0,
            made: 0,
        }
    }

    /// The next made-up sample.
    fn sample(&mut self, history: &[f32; HISTORY]) -> f32 {
        if self.place >= self.cycle.len() {
            self.place = 0;
            // At a seam more periods come in, the longer the loss lasts.
            let periods = (self.made / STEP + 1).min(3);
            if periods * self.pitch != self.cycle.len() {
                self.cycle = cycle(history, self.pitch, periods);
            }
        }
        let level = 1.0 - FALL * ratio(self.made.saturating_sub(STEP), 1);
        let sample = self.cycle.get(self.place).copied().unwrap_or_default();
        self.place += 1;
        self.made += 1;
        if self.made > 6 * STEP {
            return 0.0;
        }
        sample * level.max(0.0)
    }
}

/// The last `periods` periods. Their end is blended into what came before their beginning, so that
/// the repetition has no seam.
fn cycle(history: &[f32; HISTORY], pitch: usize, periods: usize) -> Vec<f32> {
    let length = pitch * periods;
    let mut cycle = history.get(HISTORY - length..).unwrap_or_default().to_vec();
    let blended = pitch / 4;
    let before = history
        .get(HISTORY - length - blended..HISTORY - length)
        .unwrap_or_default();
    for (n, (sample, before)) in cycle
        .iter_mut()
        .skip(length - blended)
        .zip(before)
        .enumerate()
    {
        let share = ratio(n + 1, blended + 1);
        *sample = before.mul_add(share, *sample * (1.0 - share));
    }
    cycle
}

/// The distance at which the last 20 ms are most like what came before them.
fn pitch(history: &[f32; HISTORY]) -> usize {
    let likeness = |lag: usize| -> f32 {
        let recent = history.get(HISTORY - COMPARED..).unwrap_or_default();
        let earlier = history
            .get(HISTORY - COMPARED - lag..HISTORY - lag)
            .unwrap_or_default();
        let product: f32 = recent.iter().zip(earlier).map(|(a, b)| a * b).sum();
        let energy: f32 = earlier.iter().map(|b| b * b).sum();
        // The square root of a small number keeps silence from dividing by zero.
        product / energy.max(1.0).sqrt()
    };
    (SHORTEST..=LONGEST)
        .max_by(|a, b| likeness(*a).total_cmp(&likeness(*b)))
        .unwrap_or(SHORTEST)
}

/// `part / whole` of sample counts below 2^16.
fn ratio(part: usize, whole: usize) -> f32 {
    let small = |n: usize| f32::from(u16::try_from(n).unwrap_or(u16::MAX));
    small(part) / small(whole)
}

#[cfg(test)]
mod tests;
