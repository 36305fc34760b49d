//! Deployment, fake peers and matchers for the end-to-end tests

pub mod lab_ca;
pub mod postgres;
pub mod python;
