//! The running gateway: a bridge for each talkgroup and each private call, its two sides, and what is
//! told of it.

mod recorder;
mod switchboard;

use std::sync::Arc;
use std::time::Instant;

use mc_ids::GroupId;
use mc_runtime::CancellationToken;

use crate::bridge::{Carrier, ExternalEvent, Input, McCommand, Output};
use crate::encrypted::McPort;
use crate::status::GatewayStatus;
use crate::unencrypted::ExternalPort;
pub(crate) use recorder::Recorder;
pub(crate) use switchboard::Switchboard;

/// What a channel joins.
#[derive(Debug, Clone)]
pub(crate) enum Joined {
    /// A talkgroup and a group.
    Talkgroup { talkgroup: String, group: GroupId },
    /// An external user and an MC user.
    Private {
        /// The call's number.
        call: u64,
        unit: String,
        mc_user: String,
    },
}

impl Joined {
    /// For people.
    fn label(&self) -> String {
        match self {
            Self::Talkgroup { talkgroup, .. } => format!("talkgroup {talkgroup}"),
            Self::Private { call, .. } => format!("private call {call}"),
        }
    }

    const fn group(&self) -> Option<&GroupId> {
        match self {
            Self::Talkgroup { group, .. } => Some(group),
            Self::Private { .. } => None,
        }
    }
}

/// A channel of the external side joined to the calls of the MC side.
pub(crate) struct Channel {
    carrier: Box<dyn Carrier>,
    mc: McPort,
    external: ExternalPort,
    recorder: Recorder,
    status: Arc<GatewayStatus>,
}

impl Channel {
    pub(crate) fn new(
        carrier: Box<dyn Carrier>,
        mc: McPort,
        external: ExternalPort,
        recorder: Recorder,
        status: Arc<GatewayStatus>,
    ) -> Self {
        let channel = Self {
            carrier,
            mc,
            external,
            recorder,
            status,
        };
        channel.connected(false);
        channel
    }

    /// Carries calls until the shutdown, the end of the call, or until a side has ended.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        self.carry_out_all();
        self.show();
        while !self.carrier.is_over() {
            let input = tokio::select! {
                Some(event) = self.external.events.recv() => {
                    self.note(&event);
                    Input::External(event)
                }
                Some(event) = self.mc.events.recv() => Input::Mc(event),
                () = until(self.carrier.poll_timeout()) => Input::Timeout,
                () = shutdown.cancelled() => break,
                else => break,
            };
            self.carrier.handle(input, Instant::now());
            if self.carry_out_all() {
                self.show();
            }
        }
        if let Joined::Private { call, .. } = self.recorder.joined() {
            self.status.private_call_over(*call);
        }
    }

    /// Does all that the carrier wants; true when that is worth showing.
    fn carry_out_all(&mut self) -> bool {
        let mut changed = false;
        while let Some(output) = self.carrier.poll_output() {
            changed |= self.carry_out(output);
        }
        changed
    }

    fn note(&self, event: &ExternalEvent) {
        let up = match event {
            ExternalEvent::Up => true,
            ExternalEvent::Down => false,
            ExternalEvent::PttOn(_)
            | ExternalEvent::PttOff
            | ExternalEvent::Speech(_)
            | ExternalEvent::PressDenied
            | ExternalEvent::Ringing
            | ExternalEvent::Refused(_) => return,
        };
        self.connected(up);
    }

    /// A talkgroup that is not connected is what the gateway's health waits for.
    fn connected(&self, up: bool) {
        if let Joined::Talkgroup { talkgroup, .. } = self.recorder.joined() {
            self.status.external(talkgroup, up);
        }
    }

    /// Does what the bridge wants; true when that is worth showing.
    fn carry_out(&mut self, output: Output) -> bool {
        match output {
            Output::External(command) => {
                let speech = self.recorder.played(&command);
                if self.external.commands.try_send(command).is_err() {
                    self.status.counters.dropped_to_external.add(1);
                }
                !speech
            }
            Output::Mc(command) => {
                let speech = matches!(command, McCommand::Speech(_));
                if self.mc.commands.try_send(command).is_err() {
                    self.status.counters.dropped_to_mc.add(1);
                }
                !speech
            }
            Output::Report(report) => {
                self.recorder.report(report);
                true
            }
        }
    }

    fn show(&self) {
        let bridge = self.carrier.bridge();
        match self.recorder.joined() {
            Joined::Talkgroup { talkgroup, group } => {
                let concealed = bridge.concealed();
                self.status
                    .bridged(talkgroup, group, bridge.status(), concealed);
            }
            Joined::Private {
                call,
                unit,
                mc_user,
            } => self
                .status
                .private_call(*call, unit, mc_user, bridge.status()),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
