//! `mcbox client`: a reference MC client in the terminal, in a running lab.
//!
//! Lines typed are commands, lines printed are events. `--say` and `--seconds` make it a tool for
//! scripts: the client says a file or listens for a time, and leaves.

mod session;
pub(crate) mod tell;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use mc_audio::wav::Rate;
use mc_client::ClientConfig;
use mc_ids::GroupId;

use self::session::Session;
use self::tell::Teller;
use crate::parties::{Party, client_config};
use crate::sound;
use crate::supervisor::Lab;

/// What `mcbox client --help` ends with.
pub(crate) const HELP: &str =
    "Sound goes in and out as WAV files: there is no microphone and no loudspeaker.

Commands to type, one a line:
  call          join the group's call, or start it
  talk          ask for the floor (push-to-talk) without saying anything, in a new call if there is none
  say FILE      ask for the floor, say a WAV (8 or 16 kHz, 16 bit, one channel), release it
  release       give the floor back
  hangup        leave the call
  quit          leave the lab; so do Ctrl-D and Ctrl-C

Examples:
  mcbox client --user carol --group sip:command-1@mc.example
  mcbox client --user alice --say target/speech/mc.wav
  mcbox client --user bob --seconds 20 --record heard.wav
  printf 'call\\nsay target/speech/mc.wav\\nhangup\\n' | mcbox client --user alice
  mcbox client --user bob --seconds 20 --json | jq -r .event";

/// What the user wants.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// Login name of a user of the lab: alice, bob or carol.
    #[arg(long)]
    user: String,
    /// The group to use.
    #[arg(long, default_value = "sip:fireground-1@mc.example")]
    group: String,
    /// Calls the group, says this WAV (8 or 16 kHz, 16 bit, one channel), and leaves.
    #[arg(long, value_name = "FILE", conflicts_with = "seconds")]
    say: Option<PathBuf>,
    /// Stays for so long, takes no commands, and leaves.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Writes what was heard to this WAV at the end.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Prints events as JSON lines.
    #[arg(long)]
    json: bool,
}

/// Runs the client until it has said or heard what it was to, `quit`, Ctrl-C or the end of the input.
///
/// # Errors
/// When the client cannot start, is refused or does not come up, or a file cannot be read or written.
pub async fn run(lab: &Lab, args: &ClientArgs) -> anyhow::Result<()> {
    let group: GroupId = args.group.parse()?;
    // Files first: nobody takes the floor for a file that cannot be said.
    let words = args.say.as_deref().map(sound::read).transpose()?;
    args.record.as_deref().map(sound::writable).transpose()?;
    let teller = Teller { json: args.json };
    let config = config(lab, args)?;
    let _alone = alone(&config.state_dir, &args.user)?;
    let party = Party::start_as(lab, config).await?;
    let mut session = Session::new(&party, group, teller);
    let outcome = match (words, args.seconds) {
        (Some(words), _) => session.say_and_leave(words.into_16k()).await,
        (None, Some(seconds)) => session.stay(seconds).await,
        (None, None) => session.converse().await,
    };
    let heard = session.ended();
    party.stop().await;
    let heard = heard?;
    if let Some(file) = &args.record {
        let length = sound::write(file, Rate::Hz16000, heard.samples)?;
        teller.note(tell::recorded(file, length))?;
    }
    outcome
}

/// A client of its own beside the one that `mcbox up` may run for the same user, as a second device
/// is: it has another SIP identity, and remembers by itself which SSRCs it has used.
fn config(lab: &Lab, args: &ClientArgs) -> anyhow::Result<ClientConfig> {
    let mut config = client_config(lab, &args.user, &[&args.group])?;
    let name = format!("{}-terminal", args.user);
    config.state_dir = lab.state().file("data", &format!("client-{name}"));
    if let Some(sip) = &mut config.sip {
        sip.impu = format!("sip:{name}@ims.mc.example");
    }
    Ok(config)
}

/// Holds the state of a client as long as the file lives.
fn alone(state_dir: &Path, user: &str) -> anyhow::Result<File> {
    std::fs::create_dir_all(state_dir)?;
    let lock = File::create(state_dir.join("lock"))?;
    let taken = || format!("{user} is at another terminal of this lab: take another --user");
    lock.try_lock().with_context(taken)?;
    Ok(lock)
}
