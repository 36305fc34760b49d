//! Configuration management documents of TS 24.484: the fields that servers and clients read.

pub mod service;
pub mod ue_init;
pub mod user_profile;
