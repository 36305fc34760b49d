//! Key management server of TS 33.180 Annex D
