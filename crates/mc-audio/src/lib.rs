//! Speech: G.711, AMR-WB, resampling, jitter buffer, WAV and intelligibility
