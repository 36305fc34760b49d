//! Step S of a client: registered with a CSK, or found to be reachable over the interconnection.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mc_sip::Response;
use mc_xml::poc_settings::AnswerMode;

use crate::Association;
use crate::attachment::Attached;
use crate::client::established::{Established, described};
use crate::client::{client_failure, mcptt_token};
use crate::event::{ClientEvent, StepFailure};

impl Established {
    /// Makes this client known to the MCPTT server.
    pub(super) async fn attach(&mut self) -> Result<(), StepFailure> {
        match &self.link.attached {
            Attached::Registered(association) => {
                let association = association.clone();
                self.register(association).await?;
            }
            // The other system knows our users from its configuration; we serve those that have a
            // token for it.
            Attached::Interconnected(place) => {
                place.interconnection().ask().await?;
                self.authorise().await?;
                let mcptt_id = self.link.identity.mcptt_id.clone();
                self.emit(ClientEvent::Interconnected { mcptt_id });
            }
        }
        self.activate_aliases().await;
        Ok(())
    }

    /// Service authorisation by our own function.
    async fn authorise(&mut self) -> Result<(), StepFailure> {
        let Some(place) = self.link.attached.place() else {
            return Ok(());
        };
        let user = &self.link.identity.mcptt_id;
        let (tokens, http) = (&self.tokens, &self.documents.http);
        let at = place.interconnection();
        let lasts = at.authorise(user, tokens, http, &self.shared.clock).await?;
        self.attachment_due = lasts.map(|lasts| Instant::now() + lasts);
        Ok(())
    }

    /// Registration with service authorisation.
    //= TS 24.379 7.2.1
    //= TS 33.180 5.4
    async fn register(&mut self, association: Association) -> Result<(), StepFailure> {
        let token = mcptt_token(&self.tokens).await?;
        let message = self.csk_message(association).await?;
        let expires = self.registration_s();
        let request = self.make(|r| r.register(expires, message, &token, &self.bodies));
        let response = self
            .succeed(request, "mcptt-server", "TS 24.379 7.2.1")
            .await?;
        self.registered(&response);
        let answer_mode = if self.config.manual_answer {
            AnswerMode::Manual
        } else {
            AnswerMode::Automatic
        };
        let settings = self.make(|r| r.publish_settings(answer_mode));
        self.succeed(settings, "mcptt-server", "TS 24.379 7.2.3")
            .await?;
        Ok(())
    }

    fn registration_s(&self) -> u32 {
        self.config.sip.as_ref().map_or(0, |sip| sip.registration_s)
    }

    fn registered(&mut self, response: &Response) {
        let contact = response.headers.contact();
        let granted = contact.as_ref().and_then(|c| c.params.get("expires"));
        let granted = granted
            .and_then(|text| text.parse().ok())
            .or(response.headers.expires());
        let granted = granted.unwrap_or_else(|| self.registration_s()).max(2);
        let expires = Duration::from_secs(granted.into());
        self.attachment_due = Some(Instant::now() + expires / 2);
        let mcptt_id = self.link.identity.mcptt_id.clone();
        self.emit(ClientEvent::Registered { mcptt_id, expires });
    }

    async fn csk_message(&self, association: Association) -> Result<Vec<u8>, StepFailure> {
        let time = self.shared.clock.ntp();
        let user = self.link.identity.mcptt_id.as_str();
        let keys = self.ring.current(user, time).cloned();
        let keys = keys.ok_or_else(|| client_failure("no keys for this key period".to_owned()))?;
        self.export_csk(&association);
        let (root, mdsi) = (self.ring.root().clone(), self.config.servers.mdsi.clone());
        let make = move || association.i_message(&keys, &root, &mdsi, time, &mut mc_runtime::rng());
        let made = tokio::task::spawn_blocking(make).await;
        let made = made.map_err(|error| client_failure(error.to_string()))?;
        made.map_err(|error| client_failure(format!("CSK message: {error}")))
    }

    /// Whether there is a way to the MCPTT server, so that what it did not do it has refused.
    pub(super) fn reaches_server(&self) -> bool {
        match &self.link.attached {
            Attached::Registered(_) => {
                let connected = self.link.endpoint.is_connected(self.link.server);
                connected && self.answered.load(Ordering::Relaxed)
            }
            Attached::Interconnected(place) => place.interconnection().is_up(),
        }
    }

    /// Keeps the attachment; an error is its loss.
    pub(super) async fn stay_attached(&mut self, now: Instant) -> Result<(), String> {
        let due = self.attachment_due.is_some_and(|due| now >= due);
        match &self.link.attached {
            Attached::Interconnected(place) if !place.is_held() => {
                Err("the interconnection is down".to_owned())
            }
            Attached::Interconnected(_) if due => self
                .authorise()
                .await
                .map_err(|failure| failure.to_string()),
            // Who lost the connection asks at once whether the server still knows it.
            //= RFC 5626 4.5
            Attached::Registered(_) if due || !self.reaches_server() => {
                self.refresh_registration().await
            }
            Attached::Registered(_) => self.probe(now).await,
            Attached::Interconnected(_) => Ok(()),
        }
    }

    pub(super) async fn refresh_registration(&mut self) -> Result<(), String> {
        let expires = self.registration_s();
        let request = self.make(|r| r.bare_register(expires));
        let response = self.transact(request).await?;
        if response.status.is_success() {
            self.registered(&response);
            return Ok(());
        }
        // A server that forgot us wants CSK and token again.
        Err(format!(
            "refresh of the registration answered {}",
            described(&response)
        ))
    }

    /// Leaves the MCPTT server: deregistered, or affiliated to no group any more.
    pub(super) async fn detach(&self) {
        let requests = match &self.link.attached {
            Attached::Registered(_) => vec![self.make(|r| r.bare_register(0))],
            Attached::Interconnected(_) => self.affiliations("0", 0),
        };
        for request in requests {
            if let Err(error) = self.transact(request).await {
                tracing::debug!(error, "not detached");
            }
        }
    }
}
