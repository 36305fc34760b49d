//! What a change of trust means for groups with members of partner domains: who could not be given
//! the key gets it, a group that now has a member behind a security gateway tells those members that
//! were told otherwise, and one whose member's domain is no longer trusted gets a new key, which that
//! member does not get.

use std::collections::{BTreeMap, BTreeSet};

use mc_client::keys::KeyRing;
use mc_xml::group::GroupDocument;

use crate::delivery::Job;
use crate::error::Refusal;
use crate::groups::is_protected;
use crate::keys::KeyWatch;
use crate::state::Gms;

/// Of one group: the members whose KMS is known, and whether one of them is behind a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reach {
    reachable: BTreeSet<String>,
    ends_at_gateway: bool,
}

/// Follows the key ring until it ends.
pub async fn follow(gms: Gms, mut keys: KeyWatch) {
    let mut known = BTreeMap::new();
    loop {
        if let Some(ring) = keys.now() {
            match gms.reach(&ring).await {
                Ok(now) => {
                    gms.compare(&known, &now).await;
                    known = now;
                }
                Err(error) => tracing::warn!(%error, "groups of partner domains not looked at"),
            }
        }
        if keys.changed().await.is_err() {
            return;
        }
    }
}

/// Whether a security gateway is among the members, by configuration or by its KMS (TS 33.180
/// E.6.9, Annex L).
#[must_use]
pub fn is_shared_with_gateway(gms: &Gms, ring: &KeyRing, document: &GroupDocument) -> bool {
    let gateways = &gms.config.gateways;
    document.members().iter().any(|member| {
        gateways
            .iter()
            .any(|gateway| gateway.as_str() == member.uri)
            || ring.ends_at_gateway(&member.uri)
    })
}

impl Gms {
    async fn reach(&self, ring: &KeyRing) -> Result<BTreeMap<String, Reach>, Refusal> {
        let mut all = BTreeMap::new();
        for group_id in self.store.groups().await? {
            let Some(group) = self.group(&group_id).await? else {
                continue;
            };
            let members = group.document.members();
            let known = members
                .iter()
                .map(|member| &member.uri)
                .filter(|uri| ring.certificate_for(uri).is_some());
            let reach = Reach {
                reachable: known.cloned().collect(),
                ends_at_gateway: is_shared_with_gateway(self, ring, &group.document),
            };
            all.insert(group_id, reach);
        }
        Ok(all)
    }

    async fn compare(&self, before: &BTreeMap<String, Reach>, now: &BTreeMap<String, Reach>) {
        for (group_id, reach) in now {
            // At the first look there is nothing to compare with: members get the key as it is.
            let Some(earlier) = before.get(group_id) else {
                continue;
            };
            let lost = earlier.reachable.difference(&reach.reachable).next();
            let outcome = if lost.is_some() {
                self.rekey_untrusted(group_id).await
            } else if reach != earlier {
                self.tell(Job::Learned {
                    group_id: group_id.clone(),
                });
                Ok(())
            } else {
                Ok(())
            };
            if let Err(error) = outcome {
                tracing::error!(%error, group = group_id, "group not re-keyed");
            }
        }
    }

    async fn rekey_untrusted(&self, group_id: &str) -> Result<(), Refusal> {
        let group = self.group(group_id).await?.ok_or(Refusal::NotFound)?;
        if !is_protected(&group.document) {
            return Ok(());
        }
        self.rekey_because(group_id, "a partner domain is no longer trusted")
            .await?;
        Ok(())
    }
}
