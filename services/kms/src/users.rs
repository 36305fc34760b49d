//! Whose keys this KMS makes, whose it does not, and whose it makes no longer.
//!
//! A KMS could compute keys for any string. What keeps it to its own users is here: an identity
//! outside its domains gets nothing, whoever asks, and a revoked one nothing any more.

use std::collections::BTreeSet;

use mc_ids::{McServiceId, is_in_domain};
use mc_runtime::auth::VerifiedToken;
use mc_runtime::revocations::Revoking;

use crate::error::Refusal;
use crate::state::Kms;

impl Kms {
    /// Whether an identity may have keys: it is of this KMS's domains and not revoked.
    ///
    /// # Errors
    /// [`Refusal::ForeignDomain`], [`Refusal::Revoked`], or the store's.
    //= TS 33.180 5.2.7
    pub async fn admit(&self, identity: &str) -> Result<(), Refusal> {
        let domains = &self.config().domains;
        if !domains.iter().any(|domain| is_in_domain(identity, domain)) {
            return Err(Refusal::ForeignDomain);
        }
        let here = self.store().is_revoked(identity).await?;
        match here || self.is_revoked_elsewhere(identity) {
            true => Err(Refusal::Revoked),
            false => Ok(()),
        }
    }

    /// Lets the holder of a token have keys of an identity that is neither its own nor bound to it:
    /// a user behind a gateway, who is made when the gateway asks for the first time.
    ///
    /// # Errors
    /// [`Refusal::ForeignIdentity`] for an identity outside the gateway's patterns.
    //= TS 33.180 L.3.2
    pub(crate) async fn create_for(
        &self,
        token: &VerifiedToken,
        identity: &str,
    ) -> Result<(), Refusal> {
        let mut provisioners = self.config().provisioners.iter();
        let allowed = provisioners.find(|provisioner| {
            token.service_ids.contains(&provisioner.mcptt_id)
                && provisioner.identities.iter().any(|p| p.matches(identity))
        });
        let provisioner = allowed.ok_or(Refusal::ForeignIdentity)?;
        self.admit(identity).await?;
        let creator = provisioner.mcptt_id.as_str();
        let most = i64::from(provisioner.max_users);
        self.create_at_most(identity, creator, most).await
    }

    async fn create_at_most(
        &self,
        identity: &str,
        creator: &str,
        most: i64,
    ) -> Result<(), Refusal> {
        let store = self.store();
        let known = store.user(identity).await?.is_some();
        if !known && store.user_count(creator).await? >= most {
            return Err(Refusal::TooManyUsers);
        }
        if !known && store.put_user(identity, creator, self.now_ms()).await? {
            tracing::info!(creator, "user created");
        }
        Ok(())
    }

    /// Makes a user for an operator, or for a gateway this KMS is part of. One that exists stays as
    /// it is.
    ///
    /// # Errors
    /// [`Refusal::ForeignDomain`], [`Refusal::Revoked`], or the store's.
    pub async fn create_user(&self, identity: &str, creator: &str) -> Result<(), Refusal> {
        self.admit(identity).await?;
        self.create_at_most(identity, creator, i64::MAX).await
    }

    /// Takes the keys of one user out of use here: no key set is issued any more from now on, and
    /// those issued are forgotten. Keys the user holds work until their period ends, therefore
    /// the group management server is told and re-keys the user's groups.
    ///
    /// # Errors
    /// [`Refusal::ForeignDomain`], or the store's.
    //= TS 33.180 5.3.3
    pub async fn revoke_user(&self, identity: &str) -> Result<(), Refusal> {
        match self.admit(identity).await {
            Ok(()) | Err(Refusal::Revoked) => {}
            Err(other) => return Err(other),
        }
        self.store().revoke_user(identity, self.now_ms()).await?;
        self.tell_revocations();
        tracing::warn!("user revoked");
        Ok(())
    }

    /// Lets a revoked user have keys again.
    ///
    /// # Errors
    /// The store's.
    pub async fn reinstate_user(&self, identity: &str) -> Result<(), Refusal> {
        self.store().reinstate_user(identity).await?;
        self.tell_revocations();
        Ok(())
    }

    fn tell_revocations(&self) {
        if let Some(announcer) = self.announcer() {
            announcer.changed();
        }
    }
}

impl Revoking for Kms {
    async fn revoked(&self) -> anyhow::Result<BTreeSet<McServiceId>> {
        let users = self.store().users().await?.into_iter();
        let revoked = users.filter(|user| user.revoked_ms.is_some());
        // A server's identity such as an MDSI is no user's.
        Ok(revoked
            .filter_map(|user| user.user_uri.parse().ok())
            .collect())
    }
}
