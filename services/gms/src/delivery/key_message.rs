//! The I_MESSAGEs that bring members a group's key (TS 33.180 5.7): one, or all of a re-key together.

use std::sync::Arc;
use std::time::Duration;

use mc_client::keys::KeyRing;
use mc_ids::{GmkId, NtpTime};
use mc_trace::{KeyKind, KeyLogEntry};

use crate::error::Refusal;
use crate::group_key::{GroupKey, KeyDescription, Receiver, i_messages};
use crate::groups::{Group, is_protected};
use crate::partners::is_shared_with_gateway;
use crate::state::Gms;
use crate::store::Subscription;

/// A group's key for one member.
#[derive(Debug)]
pub(crate) struct KeyMessage {
    /// Which key.
    pub(crate) gmk_id: GmkId,
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
        let ring = self.ring_for_message(group, member).await?;
        //= TS 33.180 5.2.7
        if ring.certificate_for(member).is_none() {
            return Err(Refusal::UnknownKms(member.to_owned()));
        }
        let members = vec![member.to_owned()];
        let made = self.make(ring, group, key, members, revoked).await?;
        let nothing = || Refusal::Internal(anyhow::anyhow!("no message was made"));
        made.into_iter().next().unwrap_or_else(|| Err(nothing()))
    }

    /// The I_MESSAGEs with the key of a protected group for the subscribers, made together: each is
    /// half the work of one made alone. `None` for who is no member and for whom it cannot be done
    /// now, because the KMS that answers for him has to be asked about first.
    pub(crate) async fn key_messages(
        &self,
        group: &Group,
        key: &GroupKey,
        subscribers: &[Subscription],
        revoked: bool,
    ) -> Vec<Option<KeyMessage>> {
        let mut messages: Vec<_> = subscribers.iter().map(|_| None).collect();
        let Some(held) = self.keys.now().filter(|_| is_protected(&group.document)) else {
            return messages;
        };
        let gets_one = |(_, subscriber): &(usize, &Subscription)| {
            let member = subscriber.mcptt_id.as_str();
            group.document.member(member).is_some() && held.certificate_for(member).is_some()
        };
        let (places, members): (Vec<_>, Vec<_>) = subscribers
            .iter()
            .enumerate()
            .filter(gets_one)
            .map(|(place, subscriber)| (place, subscriber.mcptt_id.clone()))
            .unzip();
        let Some(first) = members.first() else {
            return messages;
        };
        let made = match self.ring_for_message(group, first).await {
            Ok(ring) => self.make(ring, group, key, members, revoked).await,
            Err(refusal) => Err(refusal),
        };
        match made {
            Ok(made) => {
                for (place, made) in places.into_iter().zip(made) {
                    if let Some(message) = messages.get_mut(place) {
                        *message = made.ok();
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "key messages not made together"),
        }
        messages
    }

    async fn ring_for_message(
        &self,
        group: &Group,
        receiver: &str,
    ) -> Result<Arc<KeyRing>, Refusal> {
        let limit = Duration::from_secs(self.config.delivery_timeout_s);
        let members = group.document.members().iter().map(|m| m.uri.as_str());
        let members: Vec<&str> = members.collect();
        let ring = self.keys.ring_for(receiver, &members, limit).await;
        ring.ok_or(Refusal::NoKeys)
    }

    async fn make(
        &self,
        ring: Arc<KeyRing>,
        group: &Group,
        key: &GroupKey,
        members: Vec<String>,
        revoked: bool,
    ) -> Result<Vec<Result<KeyMessage, Refusal>>, Refusal> {
        let document = &group.document;
        let shared_with_gateway = is_shared_with_gateway(self, &ring, document);
        let description = KeyDescription {
            group_id: document.uri().to_owned(),
            text: document.display_name().unwrap_or_default(),
            revoked,
            shared_with_gateway,
        };
        let with_time = |member| (member, self.message_time());
        let members: Vec<_> = members.into_iter().map(with_time).collect();
        let (own, key) = (self.config.uri.clone(), key.clone());
        self.log_key(&key);
        let work = move || {
            let (_, time) = members.first().ok_or(Refusal::NoKeys)?;
            let keys = ring.current(own.as_str(), *time).ok_or(Refusal::NoKeys)?;
            let receivers = receivers(&ring, &members)?;
            let mut rng = mc_runtime::rng();
            let sender = (keys, ring.root());
            let made = i_messages(sender, &receivers, &key, &description, &mut rng);
            let message = |octets| KeyMessage {
                gmk_id: key.id,
                octets,
                shared_with_gateway,
            };
            let made = made.into_iter().map(|made| {
                made.map(message)
                    .map_err(|error| Refusal::Internal(error.into()))
            });
            Ok(made.collect())
        };
        let made = tokio::task::spawn_blocking(work).await;
        made.map_err(|error| Refusal::Internal(error.into()))?
    }

    fn log_key(&self, key: &GroupKey) {
        use mc_ids::Key128 as _;
        let id = key.id.key_id().0;
        let entry = KeyLogEntry::distributed(KeyKind::Gmk, id, key.key.octets(), &key.rand);
        self.tracer.key(entry);
    }
}

/// The members with the certificates of the KMSs that answer for them.
//= TS 33.180 5.2.7
fn receivers<'a>(
    ring: &'a KeyRing,
    members: &'a [(String, NtpTime)],
) -> Result<Vec<Receiver<'a>>, Refusal> {
    let receiver = |(member, time): &'a (String, NtpTime)| {
        let kms = ring.certificate_for(member);
        let kms = kms.ok_or_else(|| Refusal::UnknownKms(member.clone()))?;
        Ok(Receiver {
            member,
            kms,
            time: *time,
        })
    };
    members.iter().map(receiver).collect()
}
