//! An interconnected MC system as this server knows it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mc_client::{Demand, SpkAssociation};
use mc_ids::{ClientId, GroupId, IdentityPattern, McServiceId};
use mc_media::SsrcLedger;
use mc_runtime::Tracer;
use mc_runtime::sip::SipEndpoint;
use mc_sip::{Peer, Request, Uri};
use mc_xml::poc_settings::AnswerMode;
use serde::Serialize;

use super::config::PartnerConfig;
use crate::error::ServerError;
use crate::media_plane::{FloorContext, FloorKey};
use crate::registration::Binding;
use crate::store::Store;

/// An interconnected MC system.
#[derive(Debug)]
pub struct Partner {
    config: PartnerConfig,
    psi: Uri,
    peer: Peer,
    association: SpkAssociation,
    floor: Arc<FloorContext>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    heard_unix_s: AtomicU64,
    identity: AtomicU64,
    source: AtomicU64,
    protection: AtomicU64,
    policy: AtomicU64,
}

/// What was heard of a partner since the server started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PartnerCounters {
    /// Requests taken.
    pub requests: u64,
    /// When the last one came, seconds since the Unix epoch; 0 for never.
    pub heard_unix_s: u64,
    /// Requests refused because the partner may not assert the user.
    pub refused_identity: u64,
    /// Requests refused because they came from another address.
    pub refused_source: u64,
    /// Requests refused because their bodies were in clear or did not open.
    pub refused_protection: u64,
    /// Requests refused because the partner may not use the group or service.
    pub refused_policy: u64,
}

/// Why a request of a partner is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It asserts a user that is not the partner's.
    Identity,
    /// It came from another address.
    Source,
    /// Its bodies are in clear, or do not open.
    Protection,
    /// The partner may not do that.
    Policy,
}

impl Partner {
    async fn open(
        config: PartnerConfig,
        store: &Store,
        tracer: &Tracer,
    ) -> Result<Self, ServerError> {
        let uri = |text: &str| text.parse().map_err(|_| ServerError::Uri(text.to_owned()));
        let wrong = |error: &dyn std::fmt::Display| ServerError::Partner {
            name: config.name.clone(),
            detail: error.to_string(),
        };
        let address: Uri = uri(&config.address)?;
        let peer = SipEndpoint::resolve(&address)
            .await
            .map_err(|source| ServerError::Route {
                target: config.address.clone(),
                source,
            })?;
        let association = SpkAssociation::new(&config.spk).map_err(|e| wrong(&e))?;
        for entry in association.log_entries() {
            tracer.key(entry);
        }
        let id = association.id().key_id();
        let used = store.spk_ssrcs(id).await?;
        let ledger = SsrcLedger::read::<std::convert::Infallible>(&used).map_err(|e| wrong(&e))?;
        let (srtcp, half) = (association.floor_context(), config.ssrcs.into());
        Ok(Self {
            psi: uri(&config.psi)?,
            peer,
            floor: FloorContext::lasting(id, srtcp, half, ledger, Arc::new(store.clone())),
            association,
            counters: Counters::default(),
            config,
        })
    }

    /// Its configuration.
    #[must_use]
    pub const fn config(&self) -> &PartnerConfig {
        &self.config
    }

    /// Its name in logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Service identity of its participating function.
    #[must_use]
    pub const fn psi(&self) -> &Uri {
        &self.psi
    }

    /// Where requests for it go.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// The key shared with it.
    #[must_use]
    pub const fn association(&self) -> &SpkAssociation {
        &self.association
    }

    /// What its bodies must be.
    #[must_use]
    pub const fn demand(&self) -> Demand {
        Demand {
            encryption: self.config.require_protection,
            signature: self.config.require_signature,
        }
    }

    /// Whether an address is one of the partner's.
    #[must_use]
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.peer.address.ip() == address || self.config.sources.contains(&address)
    }

    /// Whether a user is the partner's to represent.
    #[must_use]
    pub fn serves(&self, user: &McServiceId) -> bool {
        let same = |domain: &String| domain.eq_ignore_ascii_case(user.domain());
        let listed = |pattern: &IdentityPattern| pattern.matches(user.as_str());
        self.config.users.iter().any(listed) || self.config.domains.iter().any(same)
    }

    /// Whether the partner's users may use a group.
    #[must_use]
    pub fn may_use(&self, group: &GroupId) -> bool {
        self.config.groups.contains(group)
    }

    /// A user of the partner, as one who can be called: the partner's function reconciles how a
    /// call begins with what the user has set (TS 24.379 11.1.1.3.2).
    #[must_use]
    pub fn binding(self: &Arc<Self>, user: McServiceId, client_id: ClientId) -> Binding {
        Binding {
            impu: user.as_str().parse().unwrap_or_else(|_| self.psi.clone()),
            contact: self.psi.clone(),
            flow: self.peer,
            mcptt_id: user,
            client_id,
            floor_key: Some(FloorKey::Spk(self.floor.clone())),
            bodies: Some(self.association.bodies().clone()),
            answer_mode: Some(AnswerMode::Automatic),
            expires_unix_s: u64::MAX,
            partner: Some(self.clone()),
        }
    }

    pub(crate) fn heard(&self, now_unix_s: u64) {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.counters
            .heard_unix_s
            .store(now_unix_s, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, why: Refused) {
        let counter = match why {
            Refused::Identity => &self.counters.identity,
            Refused::Source => &self.counters.source,
            Refused::Protection => &self.counters.protection,
            Refused::Policy => &self.counters.policy,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What was heard of the partner.
    #[must_use]
    pub fn counters(&self) -> PartnerCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PartnerCounters {
            requests: read(&self.counters.requests),
            heard_unix_s: read(&self.counters.heard_unix_s),
            refused_identity: read(&self.counters.identity),
            refused_source: read(&self.counters.source),
            refused_protection: read(&self.counters.protection),
            refused_policy: read(&self.counters.policy),
        }
    }
}

/// All interconnected systems.
#[derive(Debug, Default)]
pub struct Partners {
    all: Vec<Arc<Partner>>,
}

impl Partners {
    /// Takes over the peer table.
    ///
    /// # Errors
    /// A value that cannot be used, or two partners that could be taken for each other.
    pub async fn open(
        configs: &[PartnerConfig],
        store: &Store,
        tracer: &Tracer,
    ) -> Result<Self, ServerError> {
        let mut all: Vec<Arc<Partner>> = Vec::new();
        let mut seen = BTreeSet::new();
        for config in configs {
            let partner = Partner::open(config.clone(), store, tracer).await?;
            let marks = [
                partner.psi.identity().to_string(),
                partner.association.id().to_string(),
            ];
            for mark in marks {
                if !seen.insert(mark.clone()) {
                    return Err(ServerError::Partner {
                        name: config.name.clone(),
                        detail: format!("{mark} is another partner's already"),
                    });
                }
            }
            all.push(Arc::new(partner));
        }
        Ok(Self { all })
    }

    /// Every partner.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Partner>> {
        self.all.iter()
    }

    /// The partner whose function a request says it comes from.
    #[must_use]
    pub fn claimed_by(&self, request: &Request) -> Option<Arc<Partner>> {
        let asserted = request.headers.asserted_identities().ok()?;
        let asserted = asserted.first()?;
        let same = |partner: &&Arc<Partner>| partner.psi.same_identity(&asserted.uri);
        self.all.iter().find(same).cloned()
    }

    /// The partner that serves a user.
    #[must_use]
    pub fn serving(&self, user: &McServiceId) -> Option<Arc<Partner>> {
        self.all.iter().find(|p| p.serves(user)).cloned()
    }

    /// The partner that listens at an address.
    #[must_use]
    pub fn listening_at(&self, peer: Peer) -> Option<Arc<Partner>> {
        let there = |partner: &&Arc<Partner>| partner.peer.address == peer.address;
        self.all.iter().find(there).cloned()
    }
}

#[cfg(test)]
mod tests;
