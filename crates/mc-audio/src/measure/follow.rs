//! Follows what jitter buffers do to time.
//!
//! They make up and skip frames, and with each the rest of the speech moves. A listener does not
//! notice 20 ms, but compared in place everything behind them would be different. So, as ITU-T P.862
//! does, the delay is followed through the speech: pieces of 400 ms are looked for around their place,
//! and one counts as moved when it is clearly more like the sent one there.

use super::align::{BLOCK, NEAR, best_near, envelope, likeness, shifted, to_i64};
use super::ends::correlation;
use crate::resample::to_8k;

/// Samples of a piece, 400 ms; blocks of an envelope divide it.
const PIECE: usize = 100 * BLOCK;
/// Samples around a piece that are compared too, 100 ms.
const CONTEXT: usize = 25 * BLOCK;
/// Blocks that a piece may be out of its place, 200 ms: the most a jitter buffer waits.
const REACH: i64 = 50;
/// How much more alike a moved piece must be than an unmoved one.
const CLEARLY: f64 = 0.1;

/// The received sound in the places of the sent one; `offset` is that of [`super::offset`].
pub(super) fn followed(sent: &[i16], received: &[i16], offset: i64) -> Vec<i16> {
    let (sent_8k, received_8k) = (to_8k(sent), to_8k(received));
    let (sent_levels, received_levels) = (envelope(sent), envelope(received));
    let part = |of: std::ops::Range<usize>| sent_8k.get(of).unwrap_or_default();
    let mut aligned = Vec::with_capacity(sent.len());
    let mut lag = offset;
    for begin in (0..sent.len()).step_by(PIECE) {
        let from = begin.saturating_sub(CONTEXT);
        let to = (begin + PIECE + CONTEXT).min(sent.len() / BLOCK * BLOCK);
        let piece = part(from / 2..to / 2);
        let at = |lag: i64| (to_i64(from) + lag) / 2;
        let levels = sent_levels
            .get(from / BLOCK..to / BLOCK)
            .unwrap_or_default();
        let coarse = moved(levels, &received_levels, to_i64(from) + offset) - to_i64(from);
        let still = likeness(piece, &received_8k, at(lag));
        if let Some((place, alike)) = best_near(piece, &received_8k, at(coarse), NEAR)
            && alike > still + CLEARLY
        {
            lag = 2 * place - to_i64(from);
        }
        let length = PIECE.min(sent.len() - begin);
        aligned.extend(shifted(received, to_i64(begin) + lag, length));
    }
    aligned
}

/// The sample near `place` where levels run most like those of a piece.
fn moved(piece: &[f64], received: &[f64], place: i64) -> i64 {
    let block = to_i64(BLOCK);
    let alike = |at: &i64| {
        let there = usize::try_from(*at).ok().and_then(|at| received.get(at..));
        there.map_or(0.0, |there| correlation(piece, there))
    };
    let around = place / block - REACH..=place / block + REACH;
    let best = around.max_by(|a, b| alike(a).total_cmp(&alike(b)));
    best.unwrap_or(place / block) * block
}
