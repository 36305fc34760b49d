//! The MC Security Gateway (SeGy) of TR 33.880 clause 7.8: it ends MC security for external systems
//! that have none.
//!
//! An approach is data on a few axes ([`approach::Profile`]); what acts on it matches on the axes
//! and never on the approach.

pub mod approach;
