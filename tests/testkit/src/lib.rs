//! Deployment, fake peers and matchers for the end-to-end tests

pub mod attack;
pub mod browser;
pub mod lab_ca;
pub mod libsrtp;
pub mod openssl;
pub mod postgres;
pub mod python;
pub mod recording;
pub mod tshark;
pub mod xmlsec;
