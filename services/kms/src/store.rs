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

    /// Documents of the external certificates and the version of that set.
    ///
    /// # Errors
    /// The database's.
    pub async fn external_certificates(&self) -> sqlx::Result<(i64, Vec<String>)> {
        let rows =
            sqlx::query("SELECT document, cache_num FROM external_certificate ORDER BY kms_uri")
                .fetch_all(&self.pool)
                .await?;
        let mut documents = Vec::with_capacity(rows.len());
        let mut version = 0;
        for row in rows {
            documents.push(row.try_get("document")?);
            version = version.max(row.try_get("cache_num")?);
        }
        Ok((version, documents))
    }

    /// Keeps the certificate of another KMS; a changed one gives the set a new version.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_external_certificate(
        &self,
        kms_uri: &str,
        document: &str,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO external_certificate (kms_uri, document, cache_num)
             SELECT $1, $2, COALESCE(MAX(cache_num), 0) + 1 FROM external_certificate WHERE 1 = 1
             ON CONFLICT (kms_uri) DO UPDATE
             SET document = excluded.document, cache_num = excluded.cache_num
             WHERE external_certificate.document <> excluded.document",
        )
        .bind(kms_uri.to_owned())
        .bind(document.to_owned())
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
