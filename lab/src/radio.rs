//! `mcbox radio`: a radio of the running lab at the command line, worked through the API of its radio
//! network.

mod networks;
mod work;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use self::networks::RadioNetwork;
use crate::cli::print_json;
use crate::site::Approach;

/// What `mcbox radio --help` ends with.
pub(crate) const HELP: &str = "Sound goes in and out as WAV files. A radio hears nobody while it talks: to hear one radio with another,
record with the second in another terminal. A talkgroup and an emergency stay as they are set here.

Exit code 0 only if the words were said to their end and the call was answered.

Examples:
  mcbox radio                                               # radios and talkgroups of the lab
  mcbox radio --unit 1001 --say target/speech/lmr.wav       # push-to-talk on its talkgroup
  mcbox radio --unit 1002 --record heard.wav --seconds 20   # what its loudspeaker plays
  mcbox radio --unit 1001 --call sip:bob@mc.example --say target/speech/lmr.wav
  mcbox radio --unit 1001 --call 9001 --record heard.wav    # the MC user with this unit number
  mcbox radio --unit 1003 --talkgroup 1 --say target/speech/lmr.wav --json
  mcbox radio --unit 2001 --emergency --say target/speech/lmr.wav
  mcbox radio --unit 2001 --emergency off";

/// What the user wants.
#[derive(Debug, Clone, Args)]
pub struct RadioArgs {
    /// Unit number of the radio; without it, radios and talkgroups are listed.
    #[arg(long, value_name = "N")]
    unit: Option<String>,
    /// Approach whose radio network is meant (default: the one that has the unit).
    #[arg(long, value_enum)]
    approach: Option<Approach>,
    /// API of a radio network that belongs to no lab here, such as 127.0.0.1:8446.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "approach")]
    api: Option<SocketAddr>,
    /// Tunes the radio to this talkgroup first.
    #[arg(long, value_name = "N", requires = "unit")]
    talkgroup: Option<u32>,
    /// Latches the radio's emergency first, or clears it; it counts from the next press on.
    #[arg(long, value_name = "on|off", value_enum, requires = "unit", num_args = 0..=1, default_missing_value = "on")]
    emergency: Option<Latch>,
    /// Dials first: an MC user (bob, sip:bob@mc.example) or a number. Hangs up at the end.
    #[arg(long, value_name = "WHOM", requires = "unit")]
    call: Option<String>,
    /// Presses the key, says this WAV (8 or 16 kHz, 16 bit, one channel), releases the key.
    #[arg(long, value_name = "FILE", requires = "unit")]
    say: Option<PathBuf>,
    /// Writes what the radio's loudspeaker plays to this WAV.
    #[arg(long, value_name = "FILE", requires = "unit")]
    record: Option<PathBuf>,
    /// How long it listens, after it has talked, when it records or has called.
    #[arg(long, value_name = "S", default_value_t = 10)]
    seconds: u64,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// State of the emergency button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Latch {
    /// Latched.
    On,
    /// Cleared.
    Off,
}

/// Lists the radios, or works one.
///
/// # Errors
/// What kept the radio from doing what it was told, with the cure.
pub async fn run(state: &Path, args: &RadioArgs) -> anyhow::Result<()> {
    let networks = match args.api {
        Some(api) => vec![RadioNetwork::at(api)?],
        None => networks::of_lab(state, args.approach)?,
    };
    match &args.unit {
        Some(unit) => work::run(networks, unit, args).await,
        None => networks::list(&networks, args.json).await,
    }
}
