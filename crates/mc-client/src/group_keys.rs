//! The GMKs a client holds (TS 33.180 5.2.3, 5.7, 7.3): which one to send under, which to receive
//! under.

use std::collections::BTreeMap;
use std::time::Duration;

use mc_ids::{Gmk, GmkId, GroupId, GukId, KeyId, McServiceId};
use mc_ids::{annex_f, domain_of};
use mc_media::{MasterKey, Mki};
use mikey::{CryptoSession, DistributedKey, Opened, media_keys};

use crate::config::ServerIdentities;

/// Most keys kept; the oldest that is not the newest of its groups goes first.
const MAX_KEYS: usize = 64;

/// One GMK and what its message says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupKey {
    /// The key.
    pub gmk: Gmk,
    /// Its identifier.
    pub gmk_id: GmkId,
    /// RAND of the message, an input of every media key.
    pub rand: Vec<u8>,
    /// The groups it is for.
    pub groups: Vec<GroupId>,
    /// First second of use since the Unix epoch.
    pub activation_s: u64,
    /// Last second of use, 0 for none.
    pub expiry_s: u64,
    /// Whether a security gateway holds the key too (Annex L).
    pub shared_with_gateway: bool,
    revoked: bool,
    /// Order of arrival.
    serial: u64,
}

impl GroupKey {
    fn is_usable(&self, now_s: u64) -> bool {
        let expired = self.expiry_s != 0 && now_s > self.expiry_s;
        !self.revoked && !expired && self.activation_s <= now_s
    }

    /// Media keys of one talker (7.4.2).
    #[must_use]
    pub fn master_key(&self, guk_id: KeyId) -> MasterKey {
        let keys = media_keys(&self.gmk, CryptoSession::GroupCall, guk_id, &self.rand);
        MasterKey::new(keys.master_key, keys.master_salt)
    }
}

/// Why a key message is not accepted although it verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// Signed by somebody who manages no groups of ours.
    #[error("GMK signed by {0}, not by the GMS (TS 33.180 5.7)")]
    Signer(String),
    /// No GMK inside.
    #[error("the message carries no GMK (TS 33.180 E.2)")]
    NoGmk,
    /// It names no group, and there is not exactly one it could be for.
    #[error("the message does not say which group its GMK is for (TS 33.180 E.6.3)")]
    NoGroup,
    /// It names groups this client does not use.
    #[error("the GMK is for none of the groups of this client")]
    OtherGroups,
}

/// All GMKs of a client, by identifier.
#[derive(Debug, Default)]
pub struct GroupKeys {
    keys: BTreeMap<u32, GroupKey>,
    serial: u64,
}

impl GroupKeys {
    /// Takes over the key of a verified message; a revocation marks the key it names.
    ///
    /// # Errors
    /// See [`KeyRefused`]; nothing changes then.
    //= TS 33.180 5.7
    pub fn accept(
        &mut self,
        opened: &Opened,
        servers: &ServerIdentities,
        wanted: &[GroupId],
    ) -> Result<&GroupKey, KeyRefused> {
        let wanted = managed(opened.initiator.uri.as_deref(), servers, wanted)?;
        let DistributedKey::Gmk { key, id, .. } = &opened.key else {
            return Err(KeyRefused::NoGmk);
        };
        let parameters = opened.key_parameters.as_ref();
        let groups = groups(parameters.and_then(|p| p.groups.as_deref()), &wanted)?;
        self.serial += 1;
        let key = GroupKey {
            gmk: key.clone(),
            gmk_id: *id,
            rand: opened.rand.clone(),
            groups,
            activation_s: parameters.map_or(0, |p| p.activation),
            expiry_s: parameters.map_or(0, |p| p.expiry),
            shared_with_gateway: parameters.is_some_and(|p| p.status.is_shared_with_gateway()),
            revoked: parameters.is_some_and(|p| p.status.is_revoked()),
            serial: self.serial,
        };
        self.forget_oldest();
        let entry = self.keys.entry(id.key_id().0).insert_entry(key);
        Ok(entry.into_mut())
    }

    fn forget_oldest(&mut self) {
        if self.keys.len() < MAX_KEYS {
            return;
        }
        let oldest = self
            .keys
            .iter()
            .min_by_key(|(_, key)| key.serial)
            .map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.keys.remove(&id);
        }
    }

    /// The key to send under: of the usable ones, the one activated last.
    #[must_use]
    pub fn current(&self, group: &GroupId, now: Duration) -> Option<&GroupKey> {
        let now_s = now.as_secs();
        self.keys
            .values()
            .filter(|key| key.groups.contains(group) && key.is_usable(now_s))
            .max_by_key(|key| (key.activation_s, key.serial))
    }

    /// Media keys for a received packet. Keys before their activation or after a re-key still open
    /// packets, because members switch at slightly different times; revoked ones do not.
    #[must_use]
    pub fn master_key(&self, mki: Mki, group: &GroupId) -> Option<MasterKey> {
        let Mki::Group { guk_id, .. } = mki else {
            return None;
        };
        let key = self.receiving(mki, group)?;
        Some(key.master_key(KeyId(guk_id)))
    }

    /// Whether packets with this MKI are opened: a key that was known may be revoked since.
    #[must_use]
    pub fn opens(&self, mki: Mki, group: &GroupId) -> bool {
        self.receiving(mki, group).is_some()
    }

    fn receiving(&self, mki: Mki, group: &GroupId) -> Option<&GroupKey> {
        let Mki::Group { gmk_id, .. } = mki else {
            return None;
        };
        let key = self.keys.get(&gmk_id).filter(|key| !key.revoked)?;
        key.groups.contains(group).then_some(key)
    }

    /// Whether each group has a usable key.
    #[must_use]
    pub fn lacking(&self, groups: &[GroupId], now: Duration) -> Vec<GroupId> {
        groups
            .iter()
            .filter(|group| self.current(group, now).is_none())
            .cloned()
            .collect()
    }
}

/// The groups of ours that a signer manages: all for the own GMS, those of its own domain for a
/// partner's.
fn managed(
    signer: Option<&str>,
    servers: &ServerIdentities,
    wanted: &[GroupId],
) -> Result<Vec<GroupId>, KeyRefused> {
    let signer = signer.unwrap_or("a hidden party");
    if signer == servers.gms {
        return Ok(wanted.to_vec());
    }
    if !servers.partner_gms.iter().any(|gms| gms == signer) {
        return Err(KeyRefused::Signer(signer.to_owned()));
    }
    let own = |group: &&GroupId| group.domain().eq_ignore_ascii_case(domain_of(signer));
    Ok(wanted.iter().filter(own).cloned().collect())
}

/// The groups of ours a key is for.
fn groups(named: Option<&[String]>, wanted: &[GroupId]) -> Result<Vec<GroupId>, KeyRefused> {
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        return match wanted {
            [only] => Ok(vec![only.clone()]),
            _ => Err(KeyRefused::NoGroup),
        };
    };
    let ours: Vec<GroupId> = wanted
        .iter()
        .filter(|group| named.iter().any(|n| n == group.as_str()))
        .cloned()
        .collect();
    if ours.is_empty() {
        Err(KeyRefused::OtherGroups)
    } else {
        Ok(ours)
    }
}

/// Our own identifier under a GMK.
#[must_use]
pub(crate) fn own_guk_id(key: &GroupKey, user: &McServiceId) -> GukId {
    annex_f::guk_id(&key.gmk, key.gmk_id, user.as_str())
}

#[cfg(test)]
mod tests;
