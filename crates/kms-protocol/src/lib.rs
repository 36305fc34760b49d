//! The TS 33.180 Annex D key management documents
