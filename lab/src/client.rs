//! `mcbox client`: a reference MC client in the terminal, in a running lab.
//!
//! Lines typed are commands, lines printed are events. `--say` and `--record` make it a tool for
//! scripts: the client calls the group, says the file, and leaves.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use mc_audio::FRAME_16K;
use mc_audio::wav::{Rate, Wav};
use mc_client::ClientEvent;
use mc_ids::GroupId;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};

use crate::ear::Ear;
use crate::parties::{Heard, Party};
use crate::supervisor::Lab;

/// How long the client may take to come up, and a call to be set up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest file that is said.
const LONGEST: Duration = Duration::from_secs(120);

/// What the user wants.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// Login name of a user of the lab: alice, bob or carol.
    #[arg(long)]
    user: String,
    /// The group to use.
    #[arg(long, default_value = "sip:fireground-1@mc.example")]
    group: String,
    /// Calls the group, says this WAV (8 or 16 kHz, 16 bit, mono), and leaves.
    #[arg(long)]
    say: Option<PathBuf>,
    /// Writes what was heard to this WAV at the end.
    #[arg(long)]
    record: Option<PathBuf>,
    /// Prints events as JSON lines.
    #[arg(long)]
    json: bool,
}

const HELP: &str = "call | talk | say FILE | release | hangup | quit";

/// Runs the client until `quit`, the end of the input, or the end of `--say`.
///
/// # Errors
/// When the client cannot start or come up, or a file cannot be read or written.
pub async fn run(lab: &Lab, args: &ClientArgs) -> anyhow::Result<()> {
    let group: GroupId = args.group.parse()?;
    let party = Party::start(lab, &args.user, &[&args.group]).await?;
    let mut heard = party.follow();
    let mut ear = Ear::default();
    let outcome = match &args.say {
        Some(file) => say_and_leave(&party, &group, file, args.json).await,
        None => converse(&party, &group, &mut heard, &mut ear, args.json).await,
    };
    while let Ok(last) = heard.try_recv() {
        take(&last, &mut ear, args.json)?;
    }
    party.stop().await;
    outcome?;
    if let Some(file) = &args.record {
        let (rate, samples) = (Rate::Hz16000, ear.samples);
        std::fs::write(file, Wav { rate, samples }.write()?)?;
    }
    Ok(())
}

async fn converse(
    party: &Party,
    group: &GroupId,
    heard: &mut tokio::sync::broadcast::Receiver<Heard>,
    ear: &mut Ear,
    json: bool,
) -> anyhow::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    if !json {
        print(&format!("{}: {HELP}", party.user))?;
    }
    let stop = tokio::signal::ctrl_c();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            _ = &mut stop => return Ok(()),
            event = heard.recv() => match event {
                Ok(event) => take(&event, ear, json)?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                if line.trim() == "quit" {
                    return Ok(());
                }
                if let Err(error) = obey(party, group, line.trim()).await {
                    print(&format!("{error}"))?;
                }
            }
        }
    }
}

async fn obey(party: &Party, group: &GroupId, line: &str) -> anyhow::Result<()> {
    let client = &party.client;
    match line.split_once(' ').unwrap_or((line, "")) {
        ("", _) => Ok(()),
        ("call", _) => Ok(client.group_call(group, false).await?),
        ("talk", _) => Ok(client.press_ptt(group).await?),
        ("release", _) => Ok(client.release_ptt(group).await?),
        ("hangup", _) => Ok(client.hang_up(group).await?),
        ("say", file) => say(party, group, Path::new(file)).await,
        _ => anyhow::bail!("{HELP}"),
    }
}

async fn say_and_leave(
    party: &Party,
    group: &GroupId,
    file: &Path,
    json: bool,
) -> anyhow::Result<()> {
    if let Err(steps) = party.until_ready(PATIENCE).await {
        anyhow::bail!("{} is not ready: {steps:?}", party.user);
    }
    let mut heard = party.follow();
    party.client.group_call(group, true).await?;
    let granted = async {
        loop {
            let Heard { event, .. } = heard.recv().await?;
            if matches!(event, ClientEvent::FloorGranted { .. }) {
                return Ok(());
            }
            if let ClientEvent::CallRefused { detail, .. } = event {
                anyhow::bail!("the call was refused: {detail}");
            } else if let ClientEvent::FloorDenied { cause, phrase, .. } = event {
                anyhow::bail!("the floor was denied: cause {cause} {phrase}");
            }
        }
    };
    tokio::time::timeout(PATIENCE, granted).await??;
    if !json {
        print("talking")?;
    }
    say(party, group, file).await?;
    party.client.release_ptt(group).await?;
    party.client.hang_up(group).await?;
    Ok(())
}

/// Sends a file in real time.
async fn say(party: &Party, group: &GroupId, file: &Path) -> anyhow::Result<()> {
    let octets = std::fs::read(file).map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    let samples = Wav::read(&octets, LONGEST)?.into_16k();
    let mut clock = interval(Duration::from_millis(20));
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for frame in samples.chunks(FRAME_16K) {
        clock.tick().await;
        let mut whole = frame.to_vec();
        whole.resize(FRAME_16K, 0);
        party.client.send_speech(group, whole).await?;
    }
    Ok(())
}

fn take(heard: &Heard, ear: &mut Ear, json: bool) -> anyhow::Result<()> {
    if let ClientEvent::Speech(frame) = &heard.event {
        ear.hear(frame, heard.at_us);
        return Ok(());
    }
    let text = format!("{:?}", heard.event);
    if json {
        let line = serde_json::json!({ "time_us": heard.at_us, "event": text });
        return print(&line.to_string());
    }
    print(&text)
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
