//! All SQL of the KMS, on SQLite or PostgreSQL.

use mc_runtime::db::{self, DbError, Migrations};
use sqlx::{AnyPool, Row as _};

/// The database of the KMS.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
}

/// The sealed master secrets and their certificate's frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterRow {
    /// Sealed KSAK.
    pub ksak: Vec<u8>,
    /// Sealed z.
    pub z: Vec<u8>,
    /// Name of the certificate.
    pub cert_uri: String,
    /// Start of validity, milliseconds since 1970.
    pub valid_from_ms: i64,
    /// End of validity, milliseconds since 1970.
    pub valid_to_ms: i64,
}

/// A certificate of another domain, as clients get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPartner {
    /// The `KmsCertificate` document.
    pub document: String,
    /// SHA-256 of the document the operator handed over.
    pub fingerprint: String,
    /// When that was, milliseconds since 1970.
    pub imported_ms: i64,
}

/// A user that was made on demand or revoked; users known by their token only are not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The identity.
    pub user_uri: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: i64,
    /// For whom: the MCPTT ID of a gateway, `operator`, or `-`.
    pub created_by: String,
    /// When it was revoked, milliseconds since 1970.
    pub revoked_ms: Option<i64>,
}

/// One line of the audit log.
#[derive(Clone, Debug)]
pub struct AuditEntry<'a> {
    /// Joins log, trace and audit of one request.
    pub correlation_id: &'a str,
    /// The authenticated user, or the peer's address.
    pub actor: &'a str,
    /// What was asked for.
    pub action: &'a str,
    /// `issued`, or why not.
    pub outcome: &'a str,
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn open(url: &str) -> Result<Self, DbError> {
        let migrations = Migrations {
            sqlite: sqlx::migrate!("migrations/sqlite"),
            postgres: sqlx::migrate!("migrations/postgres"),
        };
        Ok(Self {
            pool: db::open(url, &migrations).await?,
        })
    }

    /// The master secrets, if there are any.
    ///
    /// # Errors
    /// The database's.
    pub async fn master(&self) -> sqlx::Result<Option<MasterRow>> {
        let sql = "SELECT ksak, z, cert_uri, valid_from_ms, valid_to_ms FROM master WHERE id = 1";
        let Some(row) = sqlx::query(sql).fetch_optional(&self.pool).await? else {
            return Ok(None);
        };
        Ok(Some(MasterRow {
            ksak: row.try_get("ksak")?,
            z: row.try_get("z")?,
            cert_uri: row.try_get("cert_uri")?,
            valid_from_ms: row.try_get("valid_from_ms")?,
            valid_to_ms: row.try_get("valid_to_ms")?,
        }))
    }

    /// Keeps new master secrets unless another instance was first.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_master(&self, row: &MasterRow) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO master (id, ksak, z, cert_uri, valid_from_ms, valid_to_ms)
             VALUES (1, $1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
        )
        .bind(row.ksak.clone())
        .bind(row.z.clone())
        .bind(row.cert_uri.clone())
        .bind(row.valid_from_ms)
        .bind(row.valid_to_ms)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The sealed keys of a UID, if issued before.
    ///
    /// # Errors
    /// The database's.
    pub async fn issued(&self, uid: &str) -> sqlx::Result<Option<Vec<u8>>> {
        sqlx::query("SELECT keys FROM issued WHERE uid = $1")
            .bind(uid.to_owned())
            .fetch_optional(&self.pool)
            .await?
            .map(|row| row.try_get("keys"))
            .transpose()
    }

    /// Keeps sealed keys of a UID: those that were first, unless `replace`.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_issued(
        &self,
        (uid, user_uri, number): (&str, &str, i64),
        keys: Vec<u8>,
        now_ms: i64,
        replace: bool,
    ) -> sqlx::Result<()> {
        let sql = if replace {
            "INSERT INTO issued (uid, user_uri, key_period_no, keys, issued_ms)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (uid) DO UPDATE SET keys = excluded.keys, issued_ms = excluded.issued_ms"
        } else {
            "INSERT INTO issued (uid, user_uri, key_period_no, keys, issued_ms)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (uid) DO NOTHING"
        };
        sqlx::query(sql)
            .bind(uid.to_owned())
            .bind(user_uri.to_owned())
            .bind(number)
            .bind(keys)
            .bind(now_ms)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// How many UIDs have keys.
    ///
    /// # Errors
    /// The database's.
    pub async fn issued_count(&self) -> sqlx::Result<i64> {
        sqlx::query("SELECT COUNT(*) AS n FROM issued")
            .fetch_one(&self.pool)
            .await?
            .try_get("n")
    }

    /// The external certificates and the version of that set.
    ///
    /// # Errors
    /// The database's.
    pub async fn external_certificates(&self) -> sqlx::Result<(i64, Vec<StoredPartner>)> {
        let sql = "SELECT document, cache_num, fingerprint, imported_ms
                   FROM external_certificate ORDER BY kms_uri";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
        let mut partners = Vec::with_capacity(rows.len());
        let mut version = 0;
        for row in rows {
            partners.push(StoredPartner {
                document: row.try_get("document")?,
                fingerprint: row.try_get("fingerprint")?,
                imported_ms: row.try_get("imported_ms")?,
            });
            version = version.max(row.try_get("cache_num")?);
        }
        Ok((version, partners))
    }

    /// Keeps the certificate of another KMS; a changed one gives the set a new version.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_external_certificate(
        &self,
        kms_uri: &str,
        partner: &StoredPartner,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO external_certificate
             (kms_uri, document, cache_num, fingerprint, imported_ms)
             SELECT $1, $2, COALESCE(MAX(cache_num), 0) + 1, $3, $4
             FROM external_certificate WHERE 1 = 1
             ON CONFLICT (kms_uri) DO UPDATE
             SET document = excluded.document, cache_num = excluded.cache_num,
             fingerprint = excluded.fingerprint, imported_ms = excluded.imported_ms
             WHERE external_certificate.document <> excluded.document",
        )
        .bind(kms_uri.to_owned())
        .bind(partner.document.clone())
        .bind(partner.fingerprint.clone())
        .bind(partner.imported_ms)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// One user that was made on demand or revoked.
    ///
    /// # Errors
    /// The database's.
    pub async fn user(&self, user_uri: &str) -> sqlx::Result<Option<User>> {
        sqlx::query("SELECT * FROM users WHERE user_uri = $1")
            .bind(user_uri.to_owned())
            .fetch_optional(&self.pool)
            .await?
            .map(|row| user(&row))
            .transpose()
    }

    /// All users that were made on demand or revoked.
    ///
    /// # Errors
    /// The database's.
    pub async fn users(&self) -> sqlx::Result<Vec<User>> {
        sqlx::query("SELECT * FROM users ORDER BY user_uri")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(user)
            .collect()
    }

    /// How many users somebody made.
    ///
    /// # Errors
    /// The database's.
    pub async fn user_count(&self, created_by: &str) -> sqlx::Result<i64> {
        sqlx::query("SELECT COUNT(*) AS n FROM users WHERE created_by = $1")
            .bind(created_by.to_owned())
            .fetch_one(&self.pool)
            .await?
            .try_get("n")
    }

    /// Keeps a new user; whether there was none of that identity.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_user(
        &self,
        user_uri: &str,
        created_by: &str,
        now_ms: i64,
    ) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "INSERT INTO users (user_uri, created_ms, created_by) VALUES ($1, $2, $3)
             ON CONFLICT (user_uri) DO NOTHING",
        )
        .bind(user_uri.to_owned())
        .bind(now_ms)
        .bind(created_by.to_owned())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Whether a user gets no keys any more.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_revoked(&self, user_uri: &str) -> sqlx::Result<bool> {
        let user = self.user(user_uri).await?;
        Ok(user.is_some_and(|user| user.revoked_ms.is_some()))
    }

    /// Marks a user as revoked and forgets the keys that were issued.
    ///
    /// # Errors
    /// The database's; nothing changed then.
    pub async fn revoke_user(&self, user_uri: &str, now_ms: i64) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO users (user_uri, created_ms, created_by, revoked_ms)
             VALUES ($1, $2, '-', $2)
             ON CONFLICT (user_uri) DO UPDATE SET revoked_ms = excluded.revoked_ms",
        )
        .bind(user_uri.to_owned())
        .bind(now_ms)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("DELETE FROM issued WHERE user_uri = $1")
            .bind(user_uri.to_owned())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Takes a revocation back.
    ///
    /// # Errors
    /// The database's.
    pub async fn reinstate_user(&self, user_uri: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE users SET revoked_ms = NULL WHERE user_uri = $1")
            .bind(user_uri.to_owned())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Appends to the audit log.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_audit(&self, entry: &AuditEntry<'_>, now_ms: i64) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO audit (at_ms, correlation_id, actor, action, outcome)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(now_ms)
        .bind(entry.correlation_id.to_owned())
        .bind(entry.actor.to_owned())
        .bind(entry.action.to_owned())
        .bind(entry.outcome.to_owned())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Outcomes of the audit log in order, for administrators and tests.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_outcomes(&self) -> sqlx::Result<Vec<(String, String)>> {
        sqlx::query("SELECT action, outcome FROM audit ORDER BY id")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(|row| Ok((row.try_get("action")?, row.try_get("outcome")?)))
            .collect()
    }
}

fn user(row: &sqlx::any::AnyRow) -> sqlx::Result<User> {
    Ok(User {
        user_uri: row.try_get("user_uri")?,
        created_ms: row.try_get("created_ms")?,
        created_by: row.try_get("created_by")?,
        revoked_ms: row.try_get("revoked_ms")?,
    })
}
