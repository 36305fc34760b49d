//! Changing groups and their keys.
//!
//! Every change holds [`crate::state::Parts::changes`], is stored in one transaction against the
//! version it was made from, and then queues what members are to be told. A key never outlives
//! the membership it was made for: whoever leaves, the next key is not for him.

use std::time::Duration;

use mc_xml::group::{GroupDocument, Member};
use sha2::{Digest as _, Sha256};

use crate::config::GroupSeed;
use crate::delivery::Job;
use crate::error::Refusal;
use crate::group_key::GroupKey;
use crate::state::Gms;
use crate::store::{StoredGroup, StoredKey};

/// A group as stored, read.
#[derive(Clone, Debug)]
pub struct Group {
    /// The document.
    pub document: GroupDocument,
    /// Its entity tag, without quotes.
    pub etag: String,
}

/// What a change made of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The new entity tag.
    pub etag: String,
    /// The group did not exist before.
    pub created: bool,
}

/// Who came and who left with a change, by MCPTT ID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberChange {
    /// Members now that were none before.
    pub joined: Vec<String>,
    /// Members before that are none now.
    pub left: Vec<String>,
}

impl MemberChange {
    fn between(before: Option<&GroupDocument>, after: &GroupDocument) -> Self {
        let Some(before) = before else {
            return Self::default();
        };
        let only_in = |one: &GroupDocument, other: &GroupDocument| {
            let members = one.members().iter().map(|member| member.uri.clone());
            members.filter(|uri| other.member(uri).is_none()).collect()
        };
        Self {
            joined: only_in(after, before),
            left: only_in(before, after),
        }
    }
}

/// The entity tag of a document: the same in HTTP and in xcap-diff (TS 24.481 6.3.13).
#[must_use]
pub fn entity_tag(document: &str) -> String {
    let digest = Sha256::digest(document.as_bytes());
    hex::encode(digest.get(..16).unwrap_or_default())
}

/// Why a group gets another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason<'a> {
    /// A member left, and must not hear what comes.
    Removal,
    /// Anything else.
    Other(&'a str),
}

impl Reason<'_> {
    const fn text(&self) -> &str {
        match self {
            Self::Removal => "a member left",
            Self::Other(text) => text,
        }
    }
}

/// Whether media or floor control of the group need a GMK.
#[must_use]
pub fn is_protected(document: &GroupDocument) -> bool {
    let settings = document.settings();
    document.is_mcptt_group() && (settings.protect_media || settings.protect_floor_control)
}

impl Gms {
    /// Makes the configured groups that do not exist yet.
    pub(crate) async fn plant_groups(&self) -> anyhow::Result<()> {
        for seed in &self.config.groups {
            if self.store.group(seed.uri.as_str()).await?.is_none() {
                self.put_document(&seeded(seed)?, |_| Ok(())).await?;
            }
        }
        Ok(())
    }

    /// The group of that ID.
    ///
    /// # Errors
    /// [`Refusal::Internal`] when the store fails.
    pub async fn group(&self, group_id: &str) -> Result<Option<Group>, Refusal> {
        let Some(stored) = self.store.group(group_id).await? else {
            return Ok(None);
        };
        let document = GroupDocument::parse(stored.document.as_bytes())
            .map_err(|e| anyhow::anyhow!("stored document of {group_id}: {e}"))?;
        Ok(Some(Group {
            document,
            etag: stored.etag,
        }))
    }

    /// Puts a document in place, if `precondition` accepts the tag of the present one. When a
    /// member left, the group gets a new key.
    ///
    /// # Errors
    /// [`Refusal`]; nothing changed then.
    pub async fn put_document(
        &self,
        document: &GroupDocument,
        precondition: impl FnOnce(Option<&str>) -> Result<(), Refusal>,
    ) -> Result<Changed, Refusal> {
        //= TS 24.481 6.3.4
        let _change = self.changes.lock().await;
        let before = self.group(document.uri()).await?;
        let previous = before.as_ref().map(|group| group.etag.as_str());
        precondition(previous)?;
        let was_member = |uri: &str| {
            let before = before.as_ref();
            before.is_some_and(|group| group.document.member(uri).is_some())
        };
        let members: Vec<&str> = document.members().iter().map(|m| m.uri.as_str()).collect();
        let joining: Vec<&str> = members.iter().copied().filter(|m| !was_member(m)).collect();
        self.refuse_joining(&joining)?;
        let text = document.to_xml();
        let stored = StoredGroup {
            group_id: document.uri().to_owned(),
            etag: entity_tag(&text),
            document: text,
        };
        let now_ms = self.clock.unix_ms();
        self.store
            .put_group(&stored, &members, previous, now_ms)
            .await?;
        let change = MemberChange::between(before.as_ref().map(|group| &group.document), document);
        let became_protected = before.as_ref().is_some_and(|b| !is_protected(&b.document));
        let someone_left = !change.left.is_empty();
        // First of all, who left is out: servers hear of it before a new key is made.
        self.tell(Job::Changed {
            group_id: stored.group_id,
            previous_etag: before.as_ref().map(|group| group.etag.clone()),
            new_etag: Some(stored.etag.clone()),
            members: change,
        });
        if is_protected(document) && (became_protected || someone_left) {
            let reason = if someone_left {
                Reason::Removal
            } else {
                Reason::Other("now protected")
            };
            self.replace_key(document.uri(), reason).await?;
        }
        Ok(Changed {
            etag: stored.etag,
            created: before.is_none(),
        })
    }

    /// Removes a group, if `precondition` accepts its tag.
    ///
    /// # Errors
    /// [`Refusal`]; nothing changed then.
    pub async fn delete_document(
        &self,
        group_id: &str,
        precondition: impl FnOnce(Option<&str>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        //= TS 24.481 6.3.5
        let _change = self.changes.lock().await;
        let group = self.store.group(group_id).await?.ok_or(Refusal::NotFound)?;
        precondition(Some(&group.etag))?;
        let now_ms = self.clock.unix_ms();
        self.store
            .delete_group(group_id, &group.etag, now_ms)
            .await?;
        self.tell(Job::Changed {
            group_id: group_id.to_owned(),
            previous_etag: Some(group.etag),
            new_etag: None,
            members: MemberChange::default(),
        });
        Ok(())
    }

    /// Adds or removes one member; who is one already stays as he is.
    ///
    /// # Errors
    /// [`Refusal`]; nothing changed then.
    pub async fn change_member(
        &self,
        group_id: &str,
        member: &str,
        add: bool,
    ) -> Result<Changed, Refusal> {
        let group = self.group(group_id).await?.ok_or(Refusal::NotFound)?;
        let mut document = group.document;
        if add && document.member(member).is_some() {
            return Ok(Changed {
                etag: group.etag,
                created: false,
            });
        }
        if add {
            document.put_member(&Member::new(member))?;
        } else if !document.remove_member(member)? {
            return Err(Refusal::NotFound);
        }
        let unchanged = |etag: Option<&str>| match etag {
            Some(etag) if etag == group.etag => Ok(()),
            Some(_) | None => Err(Refusal::Precondition),
        };
        self.put_document(&document, unchanged).await
    }

    /// Gives a protected group a new key; the present one is revoked later (TS 33.180 5.7).
    ///
    /// # Errors
    /// [`Refusal`] when there is no such group, or it is not protected.
    pub async fn rekey(&self, group_id: &str) -> Result<GroupKey, Refusal> {
        self.rekey_because(group_id, "on demand").await
    }

    pub(crate) async fn rekey_because(
        &self,
        group_id: &str,
        reason: &str,
    ) -> Result<GroupKey, Refusal> {
        let _change = self.changes.lock().await;
        let group = self.group(group_id).await?.ok_or(Refusal::NotFound)?;
        if !is_protected(&group.document) {
            return Err(Refusal::Constraint("the group is not protected"));
        }
        self.replace_key(group_id, Reason::Other(reason)).await
    }

    /// The key of a protected group; the first call makes it.
    ///
    /// # Errors
    /// [`Refusal::Internal`].
    pub async fn group_key(&self, group_id: &str) -> Result<GroupKey, Refusal> {
        let _change = self.changes.lock().await;
        match self.active_key(group_id).await? {
            Some(key) => Ok(key),
            None => self.new_key(group_id, 0, "first key", None).await,
        }
    }

    /// The key of a group, if it has one.
    ///
    /// # Errors
    /// [`Refusal::Internal`].
    pub async fn active_key(&self, group_id: &str) -> Result<Option<GroupKey>, Refusal> {
        let stored = self.store.active_keys(group_id).await?.into_iter().next();
        stored
            .map(|stored| self.opened(group_id, &stored))
            .transpose()
    }

    async fn replace_key(&self, group_id: &str, reason: Reason<'_>) -> Result<GroupKey, Refusal> {
        let replaced = self.active_key(group_id).await?;
        let (delay_s, overlap_s) = match reason {
            Reason::Removal => (self.config.removal_activation_delay_s, 0),
            Reason::Other(_) => {
                let config = &self.config;
                (config.key_activation_delay_s, config.key_overlap_s)
            }
        };
        // Nobody speaks under the new key before everybody has had the time to get it.
        let activation_s = match &replaced {
            Some(_) => self.clock.unix_s() + delay_s,
            None => 0,
        };
        let wait_ms = Duration::from_secs(delay_s + overlap_s).as_millis();
        let wait_ms = i64::try_from(wait_ms).unwrap_or(i64::MAX);
        let told = self.config.send_revocation;
        let tell_ms = told.then(|| self.clock.unix_ms().saturating_add(wait_ms));
        let key = self
            .new_key(group_id, activation_s, reason.text(), tell_ms)
            .await?;
        let revocation = replaced.as_ref().zip(tell_ms);
        self.tell(Job::Rekeyed {
            group_id: group_id.to_owned(),
            replaced: replaced.as_ref().map(|key| key.id),
        });
        if let Some((key, due_ms)) = revocation {
            self.revoke_at(group_id, key.clone(), due_ms);
        }
        Ok(key)
    }

    /// Has members told at a time that a key is revoked: after whatever they are being told now.
    fn revoke_at(&self, group_id: &str, key: GroupKey, due_ms: i64) {
        let job = Job::Revoked {
            group_id: group_id.to_owned(),
            key,
        };
        let wait = due_ms.saturating_sub(self.clock.unix_ms());
        match u64::try_from(wait) {
            Ok(wait) if wait > 0 => {
                let gms = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    gms.tell(job);
                });
            }
            Ok(_) | Err(_) => self.tell(job),
        }
    }

    /// Goes on with the revocations of before a restart.
    ///
    /// # Errors
    /// [`Refusal::Internal`] when the store fails.
    pub(crate) async fn resume_revocations(&self) -> Result<(), Refusal> {
        for pending in self.store.pending_revocations().await? {
            let key = self.opened(&pending.group_id, &pending.key)?;
            tracing::info!(group = pending.group_id, gmk_id = %key.id, "revocation goes on");
            self.revoke_at(&pending.group_id, key, pending.due_ms);
        }
        Ok(())
    }

    async fn new_key(
        &self,
        group_id: &str,
        activation_s: u64,
        reason: &str,
        tell_ms: Option<i64>,
    ) -> Result<GroupKey, Refusal> {
        //= TS 33.180 5.7
        let mut rng = mc_runtime::rng();
        let key = GroupKey::random(activation_s, &mut rng);
        let id = key.id.key_id();
        let sealed = self
            .sealing_key
            .seal(&purpose(group_id, id.0), &key.secret_octets(), &mut rng)
            .map_err(anyhow::Error::from)?;
        let stored = StoredKey {
            gmk_id: id.0,
            sealed,
            activation_s,
        };
        let now_ms = self.clock.unix_ms();
        self.store
            .replace_key(group_id, &stored, now_ms, tell_ms)
            .await?;
        tracing::info!(group = group_id, gmk_id = %id, reason, "new group key");
        let event = mc_trace::Event::local(
            &mc_trace::names::GMS_GMK_REKEYED,
            format!("new GMK {id} of {group_id}: {reason}"),
        );
        self.tracer.emit(event.key(id.0));
        self.audit("rekeyed", None, Some(group_id), &format!("{id} {reason}"))
            .await;
        Ok(key)
    }

    fn opened(&self, group_id: &str, stored: &StoredKey) -> Result<GroupKey, Refusal> {
        let octets = self
            .sealing_key
            .open(&purpose(group_id, stored.gmk_id), &stored.sealed)
            .map_err(anyhow::Error::from)?;
        let key = GroupKey::from_stored(stored.gmk_id, stored.activation_s, &octets);
        Ok(key.map_err(anyhow::Error::from)?)
    }

    /// Queues what members are to be told; without a worker (tests of the store) nobody is told.
    pub(crate) fn tell(&self, job: Job) {
        let _without_worker = self.jobs.send(job);
    }
}

/// What a sealed key is bound to: it opens only as this key of this group.
fn purpose(group_id: &str, gmk_id: u32) -> String {
    format!("gmk {gmk_id:08x} {group_id}")
}

fn seeded(seed: &GroupSeed) -> anyhow::Result<GroupDocument> {
    let mut document = GroupDocument::new(seed.uri.as_str(), &seed.display_name)?;
    for member in &seed.members {
        document.put_member(&Member::new(member.as_str()))?;
    }
    for (name, value) in &seed.settings {
        document.set(name, Some(value))?;
    }
    Ok(document)
}
