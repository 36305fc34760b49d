//! The call into one channel, kept up: made, served, made again.

use std::time::Duration;

use mc_runtime::CancellationToken;
use tokio::time::Instant;

use super::Shared;
use super::session::{End, Session, Target};
use crate::bridge::ExternalEvent;
use crate::unencrypted::AdapterPort;

/// The first wait between attempts.
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// The leg of one talkgroup.
#[derive(Debug)]
pub(super) struct Leg {
    shared: Shared,
    talkgroup: String,
    port: AdapterPort,
}

impl Leg {
    pub(super) fn new(shared: Shared, talkgroup: &str, port: AdapterPort) -> Self {
        Self {
            shared,
            talkgroup: talkgroup.to_owned(),
            port,
        }
    }

    /// Runs until the shutdown, or until nobody listens any more.
    pub(super) async fn run(mut self) {
        let mut wait = FIRST_RETRY;
        let shutdown = self.shared.context.shutdown.clone();
        loop {
            let session = tokio::select! {
                session = self.establish() => session,
                () = self.port.events.closed() => return,
                () = shutdown.cancelled() => return,
            };
            let why = match session {
                Ok(session) => {
                    wait = FIRST_RETRY;
                    tracing::info!(talkgroup = self.talkgroup, "channel connected");
                    match self.serve(session).await {
                        End::Stopped => return,
                        End::Lost(why) => why,
                    }
                }
                Err(why) => why,
            };
            tracing::warn!(
                talkgroup = self.talkgroup,
                why,
                ?wait,
                "channel not connected"
            );
            if self.idle(wait).await {
                return;
            }
            wait = (wait * 2).min(self.shared.config.longest_retry());
        }
    }

    async fn establish(&self) -> Result<Session, String> {
        let target = Target::channel(&self.shared.config, &self.talkgroup);
        let target = target.map_err(|refused| refused.why)?;
        let never = CancellationToken::new();
        let session = Session::establish(&self.shared, target, || (), &never).await;
        session.map_err(|refused| refused.why)
    }

    async fn serve(&mut self, session: Session) -> End {
        if self.port.events.send(ExternalEvent::Up).await.is_err() {
            return End::Stopped;
        }
        let end = session.serve(&mut self.port).await;
        if self.port.events.send(ExternalEvent::Down).await.is_err() {
            return End::Stopped;
        }
        end
    }

    /// Waits; what the channel is told meanwhile is lost. True when it is over.
    async fn idle(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return false,
                () = self.shared.context.shutdown.cancelled() => return true,
                command = self.port.commands.recv() => if command.is_none() {
                    return true;
                },
            }
        }
    }
}
