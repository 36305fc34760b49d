//! Users whom an identity management server or a KMS has revoked leave every group, which then has a
//! key they do not get (TS 33.180 5.7): what an operator would do here after revoking them there.

use std::collections::BTreeSet;
use std::time::Duration;

use mc_ids::McServiceId;
use mc_runtime::revocations::Revoked;

use crate::error::Refusal;
use crate::state::Gms;

/// Time until the store is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often a group is tried that others change at the same time.
const ATTEMPTS: u32 = 3;

/// Follows the revocations until nobody tells them any more.
pub async fn follow(gms: Gms) {
    let mut revoked = gms.revoked.clone();
    loop {
        let now = revoked.borrow_and_update().clone();
        while let Err(error) = gms.take_out(&now).await {
            tracing::error!(%error, "revoked users are still members, trying again");
            tokio::time::sleep(RETRY).await;
        }
        if revoked.changed().await.is_err() {
            return;
        }
    }
}

impl Gms {
    async fn take_out(&self, revoked: &Revoked) -> Result<(), Refusal> {
        let mut groups = BTreeSet::new();
        for user in revoked.iter() {
            groups.extend(self.store.groups_of(user.as_str()).await?);
        }
        for group_id in groups {
            let mut attempt = 1;
            loop {
                match self.take_out_of(&group_id, revoked).await {
                    Err(Refusal::Precondition) if attempt < ATTEMPTS => attempt += 1,
                    other => break other?,
                }
            }
        }
        Ok(())
    }

    /// All at once, so that the group gets one key.
    async fn take_out_of(&self, group_id: &str, revoked: &Revoked) -> Result<(), Refusal> {
        let Some(group) = self.group(group_id).await? else {
            return Ok(());
        };
        let mut document = group.document;
        let members = document.members();
        let is_member = |user: &&McServiceId| members.iter().any(|m| m.uri == user.as_str());
        let leaving: Vec<_> = revoked.iter().filter(is_member).collect();
        if leaving.is_empty() {
            return Ok(());
        }
        for user in &leaving {
            document.remove_member(user.as_str())?;
        }
        let unchanged = |etag: Option<&str>| match etag {
            Some(etag) if etag == group.etag => Ok(()),
            Some(_) | None => Err(Refusal::Precondition),
        };
        self.put_document(&document, unchanged).await?;
        for user in leaving {
            tracing::warn!(
                group = group_id,
                user = user.as_str(),
                "revoked, no member any more"
            );
            let actor = Some(user.as_str());
            self.audit("revoked", actor, Some(group_id), "taken out")
                .await;
        }
        Ok(())
    }

    /// Nobody who is revoked comes into a group.
    pub(crate) fn refuse_joining(&self, users: &[&str]) -> Result<(), Refusal> {
        let revoked = self.revoked.borrow();
        let is_revoked = |user: &&str| revoked.iter().any(|id| id.as_str() == *user);
        if users.iter().any(is_revoked) {
            return Err(Refusal::Constraint("the user is revoked"));
        }
        Ok(())
    }
}
