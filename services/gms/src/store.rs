//! All SQL of the group management server: groups, members, sealed GMKs, subscriptions, audit.

use mc_runtime::db::{self, DbError, Migrations};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row as _};

/// The database of the group management server.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
}

/// A stored document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    /// Group ID.
    pub group_id: String,
    /// The XML document.
    pub document: String,
    /// Its entity tag, without quotes.
    pub etag: String,
}

/// A stored key, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// GMK-ID.
    pub gmk_id: u32,
    /// Sealed key and RAND.
    pub sealed: Vec<u8>,
    /// First second it is sent under, since the Unix epoch; 0 for at once.
    pub activation_s: u64,
}

/// A replaced key whose revocation members have not been told yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRevocation {
    /// The group.
    pub group_id: String,
    /// The key.
    pub key: StoredKey,
    /// When they are to be told, milliseconds since 1970.
    pub due_ms: i64,
}

/// A subscription to changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Call-ID and tag of the subscriber.
    pub id: String,
    /// The subscriber, by its token.
    pub mcptt_id: String,
    /// Where SIP requests to the subscriber are addressed.
    pub impu: String,
    /// Document selectors exactly as subscribed.
    pub selectors: Vec<String>,
    /// End, milliseconds since 1970.
    pub expires_ms: i64,
    /// What its dialog is restored from after a restart (`dialogs.rs`).
    pub dialog: String,
}

/// Why a change did not take place.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The document is no longer the one the change was made from.
    #[error("the document changed meanwhile")]
    Conflict,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn open(url: &str) -> Result<Self, DbError> {
        let migrations = Migrations {
            sqlite: sqlx::migrate!("migrations/sqlite"),
            postgres: sqlx::migrate!("migrations/postgres"),
        };
        Ok(Self {
            pool: db::open(url, &migrations).await?,
        })
    }

    /// The document of a group.
    ///
    /// # Errors
    /// The database's.
    pub async fn group(&self, group_id: &str) -> sqlx::Result<Option<StoredGroup>> {
        sqlx::query("SELECT document, etag FROM groups WHERE group_id = $1")
            .bind(group_id)
            .fetch_optional(&self.pool)
            .await?
            .map(|row| {
                Ok(StoredGroup {
                    group_id: group_id.to_owned(),
                    document: row.try_get("document")?,
                    etag: row.try_get("etag")?,
                })
            })
            .transpose()
    }

    /// Puts a document in place of the one with tag `previous` (`None`: of none).
    ///
    /// # Errors
    /// [`ChangeError::Conflict`] when the present document is another one; nothing changed then.
    pub async fn put_group(
        &self,
        group: &StoredGroup,
        members: &[&str],
        previous: Option<&str>,
        now_ms: i64,
    ) -> Result<(), ChangeError> {
        let mut transaction = self.pool.begin().await?;
        let statement = match previous {
            Some(_) => {
                "UPDATE groups SET document = $2, etag = $3, changed_ms = $4 \
                 WHERE group_id = $1 AND etag = $5"
            }
            None => {
                "INSERT INTO groups (group_id, document, etag, changed_ms) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (group_id) DO NOTHING"
            }
        };
        let query = sqlx::query(statement)
            .bind(&group.group_id)
            .bind(&group.document)
            .bind(&group.etag)
            .bind(now_ms);
        let query = match previous {
            Some(etag) => query.bind(etag),
            None => query,
        };
        if query.execute(&mut *transaction).await?.rows_affected() != 1 {
            return Err(ChangeError::Conflict);
        }
        sqlx::query("DELETE FROM members WHERE group_id = $1")
            .bind(&group.group_id)
            .execute(&mut *transaction)
            .await?;
        for member in members {
            sqlx::query("INSERT INTO members (group_id, mcptt_id) VALUES ($1, $2)")
                .bind(&group.group_id)
                .bind(*member)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Removes the document with tag `previous`; its keys are revoked.
    ///
    /// # Errors
    /// [`ChangeError::Conflict`] when the present document is another one; nothing changed then.
    pub async fn delete_group(
        &self,
        group_id: &str,
        previous: &str,
        now_ms: i64,
    ) -> Result<(), ChangeError> {
        let mut transaction = self.pool.begin().await?;
        let deleted = sqlx::query("DELETE FROM groups WHERE group_id = $1 AND etag = $2")
            .bind(group_id)
            .bind(previous)
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() != 1 {
            return Err(ChangeError::Conflict);
        }
        for statement in [
            "DELETE FROM members WHERE group_id = $1 AND $2 = $2",
            "UPDATE group_keys SET revoked_ms = $2 WHERE group_id = $1 AND revoked_ms IS NULL",
        ] {
            sqlx::query(statement)
                .bind(group_id)
                .bind(now_ms)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// All groups, in order.
    ///
    /// # Errors
    /// The database's.
    pub async fn groups(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query("SELECT group_id FROM groups ORDER BY group_id")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(|row| row.try_get("group_id"))
            .collect()
    }

    /// The groups a user is a member of, in order.
    ///
    /// # Errors
    /// The database's.
    pub async fn groups_of(&self, mcptt_id: &str) -> sqlx::Result<Vec<String>> {
        sqlx::query("SELECT group_id FROM members WHERE mcptt_id = $1 ORDER BY group_id")
            .bind(mcptt_id)
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(|row| row.try_get("group_id"))
            .collect()
    }

    /// The keys of a group that are not revoked, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn active_keys(&self, group_id: &str) -> sqlx::Result<Vec<StoredKey>> {
        sqlx::query(
            "SELECT gmk_id, sealed, activation_s FROM group_keys WHERE group_id = $1 AND revoked_ms IS NULL \
             ORDER BY created_ms DESC, gmk_id",
        )
        .bind(group_id)
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(stored_key)
        .collect()
    }

    /// The revocations that members have not been told yet, in the order they are due.
    ///
    /// # Errors
    /// The database's.
    pub async fn pending_revocations(&self) -> sqlx::Result<Vec<PendingRevocation>> {
        sqlx::query(
            "SELECT gmk_id, group_id, sealed, activation_s, tell_revoked_ms FROM group_keys \
             WHERE tell_revoked_ms IS NOT NULL ORDER BY tell_revoked_ms, gmk_id",
        )
        .fetch_all(&self.pool)
        .await?
        .iter()
        .map(|row| {
            Ok(PendingRevocation {
                group_id: row.try_get("group_id")?,
                key: stored_key(row)?,
                due_ms: row.try_get("tell_revoked_ms")?,
            })
        })
        .collect()
    }

    /// Members have been told that a key is revoked.
    ///
    /// # Errors
    /// The database's.
    pub async fn revocation_told(&self, gmk_id: u32) -> sqlx::Result<()> {
        sqlx::query("UPDATE group_keys SET tell_revoked_ms = NULL WHERE gmk_id = $1")
            .bind(i64::from(gmk_id))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Stores a new key of a group and revokes all earlier ones; members are to be told that at
    /// `tell_ms`, if at all.
    ///
    /// # Errors
    /// The database's.
    pub async fn replace_key(
        &self,
        group_id: &str,
        key: &StoredKey,
        now_ms: i64,
        tell_ms: Option<i64>,
    ) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "UPDATE group_keys SET revoked_ms = $2, tell_revoked_ms = $3 \
             WHERE group_id = $1 AND revoked_ms IS NULL",
        )
        .bind(group_id)
        .bind(now_ms)
        .bind(tell_ms)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO group_keys (gmk_id, group_id, sealed, created_ms, activation_s) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(i64::from(key.gmk_id))
        .bind(group_id)
        .bind(key.sealed.as_slice())
        .bind(now_ms)
        .bind(i64::try_from(key.activation_s).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Adds or replaces a subscription.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_subscription(&self, subscription: &Subscription) -> sqlx::Result<()> {
        let selectors = serde_json::to_string(&subscription.selectors).unwrap_or_default();
        sqlx::query(
            "INSERT INTO subscriptions (id, mcptt_id, impu, selectors, expires_ms, dialog) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET \
             impu = excluded.impu, selectors = excluded.selectors, \
             expires_ms = excluded.expires_ms, dialog = excluded.dialog",
        )
        .bind(&subscription.id)
        .bind(&subscription.mcptt_id)
        .bind(&subscription.impu)
        .bind(selectors)
        .bind(subscription.expires_ms)
        .bind(&subscription.dialog)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// The database's.
    pub async fn delete_subscription(&self, id: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM subscriptions WHERE id = $1")
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The subscriptions that last beyond `now_ms`; the others are removed.
    ///
    /// # Errors
    /// The database's.
    pub async fn subscriptions(&self, now_ms: i64) -> sqlx::Result<Vec<Subscription>> {
        sqlx::query("DELETE FROM subscriptions WHERE expires_ms <= $1")
            .bind(now_ms)
            .execute(&self.pool)
            .await?;
        sqlx::query("SELECT * FROM subscriptions ORDER BY id")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(|row| {
                let selectors: String = row.try_get("selectors")?;
                Ok(Subscription {
                    id: row.try_get("id")?,
                    mcptt_id: row.try_get("mcptt_id")?,
                    impu: row.try_get("impu")?,
                    selectors: serde_json::from_str(&selectors)
                        .map_err(|e| sqlx::Error::Decode(Box::new(e)))?,
                    expires_ms: row.try_get("expires_ms")?,
                    dialog: row.try_get("dialog")?,
                })
            })
            .collect()
    }

    /// Appends to the audit log.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_audit(
        &self,
        event: &str,
        actor: Option<&str>,
        group_id: Option<&str>,
        detail: &str,
        now_ms: i64,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO audit (id, at_ms, event, actor, group_id, detail) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(uuid::Uuid::new_v4().to_string())
        .bind(now_ms)
        .bind(event)
        .bind(actor)
        .bind(group_id)
        .bind(detail)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Events of the audit log, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_events(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query("SELECT event FROM audit ORDER BY at_ms")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(|row| row.try_get("event"))
            .collect()
    }
}

fn stored_key(row: &AnyRow) -> sqlx::Result<StoredKey> {
    let gmk_id: i64 = row.try_get("gmk_id")?;
    let activation_s: i64 = row.try_get("activation_s")?;
    Ok(StoredKey {
        gmk_id: u32::try_from(gmk_id).map_err(|e| sqlx::Error::Decode(Box::new(e)))?,
        sealed: row.try_get("sealed")?,
        activation_s: u64::try_from(activation_s).unwrap_or_default(),
    })
}
