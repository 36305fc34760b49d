//! One MC client: token, keys, groups, registration, calls, floor and speech

pub mod keys;
pub mod login;
