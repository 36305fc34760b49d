//! The running gateway: a bridge for each talkgroup, its two sides, and what is told of it.

mod recorder;

use std::sync::Arc;
use std::time::Instant;

use mc_ids::GroupId;
use mc_runtime::CancellationToken;

use crate::bridge::{Bridge, ExternalEvent, Input, Output, Timing};
use crate::encrypted::McPort;
use crate::status::GatewayStatus;
use crate::unencrypted::ExternalPort;
use crate::user_map::UserMap;
pub(crate) use recorder::Recorder;

/// One talkgroup joined to one group.
pub(crate) struct Channel {
    bridge: Bridge,
    mc: McPort,
    external: ExternalPort,
    recorder: Recorder,
    status: Arc<GatewayStatus>,
}

impl Channel {
    pub(crate) fn new(
        timing: Timing,
        users: Arc<UserMap>,
        mc: McPort,
        external: ExternalPort,
        recorder: Recorder,
        status: Arc<GatewayStatus>,
    ) -> Self {
        status.external(recorder.talkgroup(), false);
        Self {
            bridge: Bridge::new(timing, users, Instant::now()),
            mc,
            external,
            recorder,
            status,
        }
    }

    /// Carries calls until the shutdown, or until a side has ended.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        self.show();
        loop {
            let input = tokio::select! {
                Some(event) = self.external.events.recv() => {
                    self.note(&event);
                    Input::External(event)
                }
                Some(event) = self.mc.events.recv() => Input::Mc(event),
                () = until(self.bridge.poll_timeout()) => Input::Timeout,
                () = shutdown.cancelled() => return,
                else => return,
            };
            self.bridge.handle(input, Instant::now());
            let mut changed = false;
            while let Some(output) = self.bridge.poll_output() {
                changed |= self.carry_out(output);
            }
            if changed {
                self.show();
            }
        }
    }

    fn note(&self, event: &ExternalEvent) {
        let up = match event {
            ExternalEvent::Up => true,
            ExternalEvent::Down => false,
            ExternalEvent::PttOn(_)
            | ExternalEvent::PttOff
            | ExternalEvent::Speech(_)
            | ExternalEvent::PressDenied => return,
        };
        self.status.external(self.recorder.talkgroup(), up);
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
                let speech = matches!(command, crate::bridge::McCommand::Speech(_));
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
        let (talkgroup, group) = (self.recorder.talkgroup(), self.recorder.group());
        let concealed = self.bridge.concealed();
        self.status
            .bridged(talkgroup, group, self.bridge.status(), concealed);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// What a recorder records about.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub(crate) talkgroup: String,
    pub(crate) group: GroupId,
}

#[cfg(test)]
mod tests;
