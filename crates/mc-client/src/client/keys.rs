//! Groups and keys of an established client: documents, subscription, GMKs, key periods.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use mc_ids::Key128 as _;
use mc_ids::{GroupId, NtpTime};
use mc_runtime::auth::SCOPE_GMS;
use mc_sip::{Dialog, Uri};
use mc_trace::{Event, KeyKind, KeyLogEntry, names};
use mikey::{OpenError, Opened, ReplayCache, Unverified, VerifyError, VerifyPolicy};

use crate::Association;
use crate::client::established::Established;
use crate::client::fetch_keys;
use crate::client::partners::NotOpened;
use crate::client::protection::GroupProtection;
use crate::config::GmsHome;
use crate::event::{ClientEvent, StepFailure};
use crate::group_documents::{NotFetched, selector};
use crate::group_keys::own_guk_id;
use crate::keys::KeyRing;
use crate::mikey_config::{MikeyConfig, log_variants};

const CLAUSE: &str = "TS 24.481 6.3.13";
/// Time between two attempts to get keys of the next period.
const KEYS_RETRY: Duration = Duration::from_secs(60);

impl Established {
    /// Documents, subscription, affiliation; GMKs come later by themselves.
    pub(super) async fn join_groups(&mut self) -> Result<(), StepFailure> {
        for group in self.config.groups.clone() {
            self.learn(&group).await?;
        }
        if let Some(failure) = self.all_refused() {
            return Err(failure);
        }
        self.subscribe().await?;
        self.affiliate().await
    }

    async fn gms_token(&self, home: &GmsHome) -> Result<String, StepFailure> {
        let failed = |error: crate::login::LoginError| StepFailure {
            service: "idms",
            clause: "TS 33.180 B.5",
            detail: error.to_string(),
        };
        let token = match &home.partner {
            Some(partner) => self.tokens.partner_token(partner).await,
            None => self.tokens.token(SCOPE_GMS).await,
        };
        Ok(token.map_err(failed)?.secret().to_owned())
    }

    pub(super) async fn fetch_document(&mut self, group: &GroupId) -> Result<(), NotFetched> {
        let home = self.config.home_of(group);
        let token = self.gms_token(&home).await?;
        let fetched = self.documents.get(&home.xcap_root, group, &token).await?;
        let protection = GroupProtection::from(fetched.document.settings());
        self.ask_for(group, protection);
        let display_name = fetched.document.display_name();
        let mut members = fetched.document.members().iter();
        let ends_at_gateway = members.any(|member| self.ring.ends_at_gateway(&member.uri));
        self.etags.insert(group.clone(), fetched.etag);
        self.emit(ClientEvent::GroupKnown {
            group: group.clone(),
            display_name,
            protected: protection.media,
            ends_at_gateway,
        });
        Ok(())
    }

    /// Subscribes to the documents at the GMSs that have them and are not subscribed to yet, which also
    /// makes them send the GMKs.
    //= TS 24.481 6.3.13
    pub(super) async fn subscribe(&mut self) -> Result<(), StepFailure> {
        let mut homes: BTreeMap<String, (GmsHome, Vec<String>)> = BTreeMap::new();
        for group in &self.admitted() {
            let home = self.config.home_of(group);
            if !self.subscriptions.contains_key(&home.uri) {
                let of_home = homes.entry(home.uri.clone());
                let (_, documents) = of_home.or_insert_with(|| (home, Vec::new()));
                documents.push(selector(group));
            }
        }
        for (uri, (home, documents)) in homes {
            let dialog = self.subscribe_at(&home, &documents).await?;
            self.subscriptions.insert(uri, dialog);
        }
        Ok(())
    }

    async fn subscribe_at(
        &self,
        home: &GmsHome,
        documents: &[String],
    ) -> Result<Dialog, StepFailure> {
        let failed = |detail: String| StepFailure {
            service: "gms",
            clause: CLAUSE,
            detail,
        };
        let gms: Uri = home
            .uri
            .parse()
            .map_err(|_| failed(format!("{:?} is no SIP URI", home.uri)))?;
        let token = self.gms_token(home).await?;
        let request = self.make(|r| r.subscribe_groups(&gms, documents, &token));
        let response = self.succeed(request.clone(), "gms", CLAUSE).await?;
        Dialog::uac(&request, &response)
            .map_err(|error| failed(format!("answer to SUBSCRIBE: {error}")))
    }

    /// A key message: verified, opened, taken over. What to answer with otherwise.
    //= TS 33.180 5.7
    pub(super) async fn on_key_message(&mut self, octets: &[u8]) -> Result<(), NotOpened> {
        let taken = match self.open(octets).await {
            Ok(opened) => self
                .accept_key(&opened)
                .map_err(|detail| NotOpened::because(&detail)),
            Err(not_opened) => Err(not_opened),
        };
        taken.inspect_err(|refused| self.key_refused(refused.detail.clone()))
    }

    /// Reports a key message that is not taken.
    pub(super) fn key_refused(&self, detail: String) {
        tracing::warn!(node = self.config.node, detail, "key message refused");
        self.shared
            .tracer
            .emit(Event::local(&names::MIKEY_REFUSED, detail.clone()));
        self.emit(ClientEvent::KeyRefused { detail });
    }

    /// Verifies and opens an I_MESSAGE that is meant for us.
    pub(super) async fn open(&mut self, octets: &[u8]) -> Result<Opened, NotOpened> {
        let message = Unverified::parse(octets).map_err(|e| NotOpened::because(&e))?;
        if self
            .ring
            .certificate(message.claimed_kms_initiator())
            .is_none()
        {
            self.renew_partners().await;
        }
        let (ring, now) = (self.ring.clone(), self.shared.clock.ntp());
        let mut replay = std::mem::replace(&mut self.replay, ReplayCache::new(0));
        let claimed = message.clone();
        let overlooked = self.config.mikey;
        // Signature and decapsulation are a few milliseconds each.
        let work = move || {
            let opened = opened(message, &ring, overlooked, now, &mut replay);
            (opened, replay)
        };
        let done = tokio::task::spawn_blocking(work).await;
        let (opened, replay) = done.map_err(|e| NotOpened::because(&e))?;
        self.replay = replay;
        match opened {
            Ok(opened) => opened
                .inspect(|opened| log_variants(&self.config.node, opened))
                .map_err(|e| NotOpened::because(&e)),
            Err(error) => Err(NotOpened {
                redirect: self.redirect(&claimed, &error),
                ..NotOpened::because(&error)
            }),
        }
    }

    fn accept_key(&mut self, opened: &Opened) -> Result<(), String> {
        let (managers, groups) = (&self.config.servers, &self.config.groups);
        let mut keys = self
            .shared
            .keys
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let key = keys
            .accept(opened, managers, groups)
            .map_err(|error| error.to_string())?;
        let (gmk_id, groups) = (key.gmk_id, key.groups.clone());
        let ends_at_gateway = key.shared_with_gateway;
        let guk_id = own_guk_id(key, &self.shared.mcptt_id);
        let (octets, rand) = (key.gmk.octets(), &key.rand);
        let entry = KeyLogEntry::distributed(KeyKind::Gmk, gmk_id.key_id().0, octets, rand);
        self.shared.tracer.key(entry);
        drop(keys);
        let event = Event::local(&names::MIKEY_VERIFIED, format!("GMK {gmk_id} accepted"));
        self.shared.tracer.emit(event.key(gmk_id.key_id().0));
        self.emit(ClientEvent::KeyReceived {
            groups,
            gmk_id,
            guk_id,
            ends_at_gateway,
        });
        self.check_ready();
        Ok(())
    }

    pub(super) fn export_csk(&self, association: &Association) {
        let (id, octets) = (association.id().key_id().0, association.csk().octets());
        let entry = KeyLogEntry::distributed(KeyKind::Csk, id, octets, association.rand());
        self.shared.tracer.key(entry);
    }

    /// Keys of the next period are fetched before the boundary; a failure is tried again.
    //= RFC 6509 3.3
    pub(super) async fn renew_keys_if_due(&mut self, now: Instant) {
        let time = self.shared.clock.ntp();
        let ahead = self.ring.root().period.period().min(7200) / 2;
        let soon = NtpTime(time.0.saturating_add(ahead << 32));
        let user = self.link.identity.mcptt_id.clone();
        let covered = self.ring.current(user.as_str(), soon).is_some();
        if covered || now.duration_since(self.keys_tried) < KEYS_RETRY {
            return;
        }
        self.keys_tried = now;
        match fetch_keys(&self.tokens, &self.kms, &user).await {
            Ok(newer) => self.ring.renew(newer, time),
            Err(error) => tracing::warn!(%error, "keys of the next period not fetched"),
        }
    }
}

/// A message verified and opened, overlooking what is configured.
fn opened(
    message: Unverified,
    ring: &KeyRing,
    overlooked: MikeyConfig,
    now: NtpTime,
    replay: &mut ReplayCache,
) -> Result<Result<Opened, OpenError>, VerifyError> {
    let policy = overlooked.verify_policy(VerifyPolicy::default().max_skew);
    let verified = message.verify(ring.certificates(), policy, now, replay)?;
    Ok(verified.open_with(ring.root(), ring.keys(), overlooked.open_policy()))
}

#[cfg(test)]
mod tests;
