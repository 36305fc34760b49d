//! The codecs and the measure of intelligibility against software that is not ours, on speech of
//! espeak-ng: ffmpeg (its own AMR-WB decoder and G.711), sox (opencore-amrwb), vo-amrwbenc, pystoi.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod codecs;
mod support;
mod understood;
