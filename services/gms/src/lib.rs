//! Group management server of TS 24.481: XCAP group documents and GMK delivery
