//! The interface to the MC system (TS 33.180 L.4): what the gateway is as MC clients.
//!
//! One client, or one for each external user (`roster`), performs steps T, K, G and S and holds its
//! keys; each is registered, or all are attached by one interconnection. What several clients tell of one group is merged to one account of it (`merge`); a private
//! call is one client's. This module and its parts turn events of clients into [`McEvent`]s for
//! bridges and carry out their [`McCommand`]s.

mod dispatch;
mod legs;
mod merge;
mod provision;
mod roster;
mod stamp;

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_client::{Attachment, Callee, ClientError, Interconnection};
use mc_ids::{GmkId, GroupId, GukId};
use mc_runtime::clock::SharedClock;
use mc_runtime::trace::Tracer;
use tokio::sync::mpsc;

use crate::audit::Audit;
use crate::bridge::{McCommand, McEvent, McTalker};
use crate::config::Config;
use crate::status::GatewayStatus;
use crate::user_map::Represented;
use provision::Provisioner;
use roster::Roster;

/// Events and commands that may wait: some seconds of speech.
const QUEUE: usize = 512;
/// Places kept free of speech.
const RESERVED: usize = 64;
/// Private calls that may wait to be looked at.
const OFFERS: usize = 64;

/// Opens the interconnection that all clients share, if there is one.
async fn attachment(
    config: &Config,
    tracer: &Tracer,
    status: &GatewayStatus,
) -> Result<Attachment, ClientError> {
    let Some(interconnection) = &config.interconnection else {
        return Ok(Attachment::Registered);
    };
    let opened = Interconnection::open(interconnection.clone(), tracer.clone()).await?;
    status.interconnected(opened.clone());
    Ok(Attachment::Interconnected(opened))
}

/// One MC call, or the calls of one group.
#[derive(Debug)]
pub struct McPort {
    /// What it is told to do.
    pub commands: mpsc::Sender<McCommand>,
    /// What happens in it.
    pub events: mpsc::Receiver<McEvent>,
}

/// Both ends of a port.
type Ends = (McPort, mpsc::Receiver<McCommand>, mpsc::Sender<McEvent>);

fn port() -> Ends {
    let (commands, told) = mpsc::channel(QUEUE);
    let (tell, events) = mpsc::channel(QUEUE);
    (McPort { commands, events }, told, tell)
}

/// A private call that an MC user makes to an external user.
#[derive(Debug)]
pub struct McOffer {
    /// Who calls.
    pub caller: McTalker,
    /// Which of the gateway's identities is called, and under which functional alias.
    pub called: Represented,
    /// The call; it is answered and refused through it.
    pub port: McPort,
}

/// Identifiers of the keys that protect a group's speech.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyIds {
    /// The GMK.
    pub gmk: Option<GmkId>,
    /// Our own GUK-ID under it.
    pub own: Option<GukId>,
    /// GUK-ID of the talker heard last.
    pub heard: Option<GukId>,
}

/// The MC side.
#[derive(Debug, Clone)]
pub struct Encrypted {
    roster: Arc<Roster>,
    manual: bool,
}

/// What the MC side has for the bridges.
#[derive(Debug)]
pub struct McSide {
    /// The handle.
    pub encrypted: Encrypted,
    /// A port for each group.
    pub groups: BTreeMap<GroupId, McPort>,
    /// Private calls to external users.
    pub offers: mpsc::Receiver<McOffer>,
}

impl Encrypted {
    /// Starts the clients; what they do shows in `status`.
    ///
    /// # Errors
    /// See [`ClientError`]; servers that are not there yet are no error.
    pub async fn start(
        config: &Config,
        clock: SharedClock,
        tracer: Tracer,
        status: Arc<GatewayStatus>,
        audit: Audit,
    ) -> Result<McSide, ClientError> {
        let (offered, offers) = mpsc::channel(OFFERS);
        let at = attachment(config, &tracer, &status).await?;
        let made = Provisioner::of(config, clock.clone(), audit)
            .map_err(|error| ClientError::Configuration(error.to_string()))?;
        let roster = Roster::new(config, made, at, clock, tracer, status, offered);
        let roster = Arc::new(roster);
        let mut groups = BTreeMap::new();
        for talkgroup in &config.talkgroups {
            let group = talkgroup.group.clone();
            let (port, told, tell) = port();
            roster.open_group(&group, tell);
            tokio::spawn(legs::group(roster.clone(), group.clone(), told));
            groups.insert(group, port);
        }
        roster.start().await?;
        let encrypted = Self {
            roster,
            manual: config.private_calls.manual_commencement,
        };
        Ok(McSide {
            encrypted,
            groups,
            offers,
        })
    }

    /// A private call of ours, which begins with [`McCommand::StartCall`].
    #[must_use]
    pub fn private_call(&self, callee: Callee) -> McPort {
        let (port, told, tell) = port();
        let call = legs::ToBeMade {
            callee,
            manual: self.manual,
            events: tell,
        };
        tokio::spawn(legs::made(self.roster.clone(), call, told));
        port
    }

    /// Leaves all calls, deregisters and stops.
    pub async fn stop(&self) {
        self.roster.stop().await;
    }
}

#[cfg(test)]
mod tests;
