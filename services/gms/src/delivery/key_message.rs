//! The I_MESSAGE that brings one member a group's key (TS 33.180 5.7).

use std::time::Duration;

use mc_trace::{KeyKind, KeyLogEntry};

use crate::error::Refusal;
use crate::group_key::{GroupKey, KeyDescription, i_message};
use crate::groups::Group;
use crate::partners::is_shared_with_gateway;
use crate::state::Gms;

/// A group's key for one member.
#[derive(Debug)]
pub(crate) struct KeyMessage {
    /// The I_MESSAGE.
    pub(crate) octets: Vec<u8>,
    /// Whether it says that a security gateway has the key too.
    pub(crate) shared_with_gateway: bool,
}

impl Gms {
    /// The I_MESSAGE with a group's key for one member, made off the async workers.
    pub(crate) async fn key_message(
        &self,
        group: &Group,
        key: &GroupKey,
        member: &str,
        revoked: bool,
    ) -> Result<KeyMessage, Refusal> {
        let limit = Duration::from_secs(self.config.delivery_timeout_s);
        let document = &group.document;
        let members = document.members().iter().map(|m| m.uri.as_str());
        let members: Vec<&str> = members.collect();
        let ring = self.keys.ring_for(member, &members, limit).await;
        let ring = ring.ok_or(Refusal::NoKeys)?;
        let shared_with_gateway = is_shared_with_gateway(self, &ring, document);
        let description = KeyDescription {
            group_id: document.uri().to_owned(),
            text: document.display_name().unwrap_or_default(),
            revoked,
            shared_with_gateway,
        };
        let (time, own) = (self.message_time(), self.config.uri.clone());
        let (key, member) = (key.clone(), member.to_owned());
        self.log_key(&key);
        let made = tokio::task::spawn_blocking(move || {
            let keys = ring.current(own.as_str(), time).ok_or(Refusal::NoKeys)?;
            //= TS 33.180 5.2.7
            let kms = ring.certificate_for(&member);
            let kms = kms.ok_or_else(|| Refusal::UnknownKms(member.clone()))?;
            let (sender, receiver) = ((keys, ring.root()), (member.as_str(), kms));
            let mut rng = mc_runtime::rng();
            let made = i_message(sender, receiver, &key, &description, time, &mut rng);
            made.map_err(|error| Refusal::Internal(error.into()))
        });
        let octets = made
            .await
            .map_err(|error| Refusal::Internal(error.into()))??;
        Ok(KeyMessage {
            octets,
            shared_with_gateway,
        })
    }

    fn log_key(&self, key: &GroupKey) {
        use mc_ids::Key128 as _;
        let id = key.id.key_id().0;
        let entry = KeyLogEntry::distributed(KeyKind::Gmk, id, key.key.octets(), &key.rand);
        self.tracer.key(entry);
    }
}
