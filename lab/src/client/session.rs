//! One client at work: what it hears, what it says, and what it is told to do.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use mc_audio::FRAME_16K;
use mc_client::{CallId, ClientEvent, StepFailure};
use mc_ids::GroupId;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::tell::{self, Teller};
use crate::ear::Ear;
use crate::parties::{Heard, Party};
use crate::sound;

/// How long the client may take to come up, and the floor to be given.
const PATIENCE: Duration = Duration::from_secs(30);

const COMMANDS: &str = "commands: call, talk, say FILE, release, hangup, quit";

/// A client, and what is going on.
pub(super) struct Session<'a> {
    party: &'a Party,
    group: GroupId,
    teller: Teller,
    heard: Receiver<Heard>,
    ear: Ear,
    saying: Option<Saying>,
    /// Whether a call of ours is being set up.
    calling: bool,
    /// Why a step failed last, for who waits in vain.
    failure: Option<StepFailure>,
}

/// Words that wait for the floor, or are being said.
struct Saying {
    frames: std::vec::IntoIter<Vec<i16>>,
    granted: bool,
    clock: Interval,
}

impl Saying {
    fn new(samples: &[i16]) -> Self {
        let whole = |frame: &[i16]| {
            let mut whole = frame.to_vec();
            whole.resize(FRAME_16K, 0);
            whole
        };
        let frames: Vec<_> = samples.chunks(FRAME_16K).map(whole).collect();
        let mut clock = interval(mc_audio::FRAME);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        Self {
            frames: frames.into_iter(),
            granted: false,
            clock,
        }
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(party: &'a Party, group: GroupId, teller: Teller) -> Self {
        Self {
            party,
            group,
            teller,
            heard: party.follow(),
            ear: Ear::default(),
            saying: None,
            calling: false,
            failure: None,
        }
    }

    /// Takes commands until `quit`, Ctrl-C or the end of the input; words that are being said then
    /// are said to their end.
    pub(super) async fn converse(&mut self) -> anyhow::Result<()> {
        let told = format!("{}: {COMMANDS}", self.party.user);
        self.teller
            .note(("commands", tell::detail(COMMANDS), told))?;
        let mut lines = Some(BufReader::new(tokio::io::stdin()).lines());
        let stop = tokio::signal::ctrl_c();
        tokio::pin!(stop);
        while lines.is_some() || self.saying.is_some() {
            // Who types ahead is not overtaken: one command at a time, once the client is ready.
            let takes = self.saying.is_none() && !self.calling && self.party.steps().ready;
            tokio::select! {
                _ = &mut stop => return Ok(()),
                happened = self.next() => happened?,
                line = next_line(&mut lines), if takes => match line? {
                    Some(line) if line.trim() != "quit" => self.obey(line.trim()).await?,
                    _ => lines = None,
                },
            }
        }
        Ok(())
    }

    /// Listens for some seconds.
    pub(super) async fn stay(&mut self, seconds: u64) -> anyhow::Result<()> {
        self.until_ready().await?;
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            tokio::select! {
                stop = tokio::signal::ctrl_c() => return Ok(stop?),
                () = sleep_until(end) => return Ok(()),
                happened = self.next() => happened?,
            }
        }
    }

    /// Calls the group, says something in it, and leaves the call.
    pub(super) async fn say_and_leave(&mut self, samples: Vec<i16>) -> anyhow::Result<()> {
        self.until_ready().await?;
        self.saying = Some(Saying::new(&samples));
        self.party.client.group_call(&self.group, true).await?;
        let granted = Instant::now() + PATIENCE;
        while let Some(saying) = &self.saying {
            let waits = !saying.granted;
            tokio::select! {
                stop = tokio::signal::ctrl_c() => return Ok(stop?),
                () = sleep_until(granted), if waits => {
                    bail!("the floor of {} was not given in {} s", self.group, PATIENCE.as_secs())
                }
                happened = self.next() => happened?,
            }
        }
        Ok(self.party.client.hang_up(&self.group).await?)
    }

    /// What was heard, with what is still in the queue.
    pub(super) fn ended(mut self) -> anyhow::Result<Ear> {
        loop {
            match self.heard.try_recv() {
                Ok(heard) => self.take(&heard)?,
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(self.ear),
            }
        }
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.party.steps().ready {
            tokio::select! {
                stop = tokio::signal::ctrl_c() => {
                    stop?;
                    bail!("interrupted before {} was ready", self.party.user);
                }
                () = sleep_until(end) => {
                    let why = self.failure.as_ref().map_or_else(
                        || "`mcbox status` shows the services".to_owned(),
                        ToString::to_string,
                    );
                    bail!("{} is not ready after {} s: {why}", self.party.user, PATIENCE.as_secs());
                }
                happened = self.next() => happened?,
            }
        }
        Ok(())
    }

    /// The next thing that happens: an event, or the next 20 ms of what is said.
    async fn next(&mut self) -> anyhow::Result<()> {
        let talks = self.saying.as_ref().is_some_and(|saying| saying.granted);
        tokio::select! {
            heard = self.heard.recv() => match heard {
                Ok(heard) => {
                    self.take(&heard)?;
                    self.judge(&heard.event).await
                }
                Err(RecvError::Lagged(_)) => Ok(()),
                Err(RecvError::Closed) => bail!("the client has stopped"),
            },
            () = tick(&mut self.saying), if talks => self.speak().await,
        }
    }

    fn take(&mut self, heard: &Heard) -> anyhow::Result<()> {
        if let ClientEvent::Speech(frame) = &heard.event {
            self.ear.hear(frame, heard.at_us);
        }
        self.teller.event(&heard.event, heard.at_us)
    }

    /// What an event means for what is to be said, and whether it ends everything.
    async fn judge(&mut self, event: &ClientEvent) -> anyhow::Result<()> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "everything else is told and changes nothing here"
        )]
        match event {
            ClientEvent::CallStarted { .. } => self.calling = false,
            ClientEvent::AccountRefused { detail } => {
                let user = &self.party.user;
                bail!("idms refuses {user}: {detail}; the lab's users are alice, bob and carol");
            }
            ClientEvent::GroupRefused { group, failure } => {
                let user = &self.party.user;
                bail!("{user} cannot use {group}: {failure}; --group names another");
            }
            ClientEvent::StepFailed(_, failure) => self.failure = Some(failure.clone()),
            ClientEvent::FloorGranted { .. } => {
                if let Some(saying) = &mut self.saying {
                    saying.granted = true;
                    saying.clock.reset_immediately();
                }
            }
            // A call that was up already gives nobody the floor by itself.
            ClientEvent::FloorIdle { .. } if self.waits_for_floor() => {
                self.party.client.press_ptt(&self.group).await?;
            }
            ClientEvent::CallRefused { status, detail, .. } => {
                self.calling = false;
                self.unsaid(&format!("the call was refused: {status} {detail}"))?;
            }
            ClientEvent::FloorDenied { cause, phrase, .. }
            | ClientEvent::FloorRevoked { cause, phrase, .. } => {
                self.unsaid(&format!("the floor was refused: cause {cause} {phrase}"))?;
            }
            ClientEvent::FloorRequestTimedOut { .. } => {
                self.unsaid("the floor control server does not answer")?;
            }
            ClientEvent::Released { reason, .. } => {
                self.unsaid(&format!("the call ended: {reason}"))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn waits_for_floor(&self) -> bool {
        self.saying.as_ref().is_some_and(|saying| !saying.granted)
    }

    /// Words that can no longer be said are an error.
    fn unsaid(&mut self, why: &str) -> anyhow::Result<()> {
        match self.saying.take() {
            Some(_) => bail!("not said: {why}"),
            None => Ok(()),
        }
    }

    /// Sends 20 ms of the words; releases the floor after the last.
    async fn speak(&mut self) -> anyhow::Result<()> {
        let client = &self.party.client;
        let frame = self.saying.as_mut().and_then(|s| s.frames.next());
        let Some(frame) = frame else {
            self.saying = None;
            return Ok(client.release_ptt(&self.group).await?);
        };
        Ok(client.send_speech(&self.group, frame).await?)
    }

    /// Does what was typed; what goes wrong is told, and the next command taken.
    async fn obey(&mut self, line: &str) -> anyhow::Result<()> {
        let (client, group) = (&self.party.client, &self.group);
        let done = match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => Ok(()),
            ("call", _) => self.call(false).await,
            ("talk", _) => self.press().await,
            ("release", _) => client.release_ptt(group).await.map_err(Into::into),
            ("hangup", _) => client.hang_up(group).await.map_err(Into::into),
            ("say", file) => self.begin_to_say(Path::new(file.trim())).await,
            (other, _) => Err(anyhow::anyhow!("{other:?} is no command; {COMMANDS}")),
        };
        done.or_else(|error| {
            let text = format!("{error:#}");
            self.teller.note(("error", tell::detail(&text), text))
        })
    }

    async fn begin_to_say(&mut self, file: &Path) -> anyhow::Result<()> {
        let saying = Saying::new(&sound::read(file)?.into_16k());
        self.press().await?;
        self.saying = Some(saying);
        Ok(())
    }

    /// Asks for the floor, in a new call if there is none.
    async fn press(&mut self) -> anyhow::Result<()> {
        if self.party.steps().in_call(&CallId::from(&self.group)) {
            return Ok(self.party.client.press_ptt(&self.group).await?);
        }
        self.call(true).await
    }

    async fn call(&mut self, implicit_floor: bool) -> anyhow::Result<()> {
        let client = &self.party.client;
        client.group_call(&self.group, implicit_floor).await?;
        self.calling = true;
        Ok(())
    }
}

async fn next_line(lines: &mut Option<Lines<BufReader<Stdin>>>) -> std::io::Result<Option<String>> {
    match lines {
        Some(lines) => lines.next_line().await,
        None => std::future::pending().await,
    }
}

async fn tick(saying: &mut Option<Saying>) {
    match saying {
        Some(saying) => {
            saying.clock.tick().await;
        }
        None => std::future::pending().await,
    }
}
