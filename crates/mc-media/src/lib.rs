//! SRTP and SRTCP with MKI and ROC transport, keyed by TS 33.180
