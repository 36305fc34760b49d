//! `mcbox`: the one command a person types. It writes the lab's certificates and configurations
//! into one state directory, starts the services as local processes, watches them and takes them
//! down again.
//!
//! Invariants: everything the lab writes is below the state directory; a process is only ever
//! signalled after its executable was compared with the one that was started.

pub mod certificates;
pub mod cli;
pub mod client;
mod configure;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod domain;
mod ear;
pub mod gateway;
pub mod health;
pub mod mikey_command;
pub mod operator;
pub mod parties;
pub mod process;
pub mod radio;
pub mod radios;
pub mod raw;
pub mod render;
pub mod site;
mod sound;
pub mod speech;
pub mod state;
pub mod supervisor;
pub mod topology;
