//! All SQL of the IdMS: users, signing keys, grants, codes, refresh tokens, login attempts
//! and the audit log, on SQLite or PostgreSQL.
//!
//! Codes and refresh tokens are stored as SHA-256 values only. A *family* is one login: every
//! token made from it carries its name and falls with it.

use mc_runtime::db::{self, DbError, Migrations};
use sha2::{Digest as _, Sha256};
use sqlx::{AnyPool, Row as _};

use crate::pkce::CodeChallenge;
use crate::scopes::Scopes;
use crate::tokens::{Grant, ServiceIds};

/// The database of the IdMS.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
}

/// A user account.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Unique, never reassigned.
    pub sub: String,
    /// The MC ID: the login name.
    pub username: String,
    /// argon2id PHC string.
    pub password_hash: String,
    /// MC service IDs.
    pub services: ServiceIds,
    /// Scopes the user may have.
    pub scopes: Scopes,
    /// A disabled user gets no token.
    pub disabled: bool,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("sub", &self.sub)
            .finish_non_exhaustive()
    }
}

/// A code as presented by the client that redeems it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedeemedCode {
    /// The login it belongs to.
    pub family: String,
    /// The redirect URI of the authorization request.
    pub redirect_uri: String,
    /// The challenge the verifier must match.
    pub challenge: CodeChallenge,
    /// End of validity, milliseconds since 1970.
    pub expires_ms: i64,
}

/// The outcome of presenting a code or a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redemption<T> {
    /// Presented for the first time.
    First(T),
    /// Presented again: its family is named.
    Again(String),
    /// Never issued, or forgotten since.
    Unknown,
}

/// One line of the audit log.
#[derive(Clone, Debug, Default)]
pub struct AuditEntry<'a> {
    /// What happened.
    pub event: &'static str,
    /// The client concerned.
    pub client_id: Option<&'a str>,
    /// The user concerned.
    pub sub: Option<&'a str>,
    /// Network address of the other side.
    pub address: Option<&'a str>,
    /// The reason of a refusal or the granted scopes.
    pub detail: Option<&'a str>,
}

/// The value under which a code or token is stored.
#[must_use]
pub fn token_hash(token: &str) -> String {
    Sha256::digest(token.as_bytes())
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
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

    /// Adds a user, or updates service IDs and scopes of the one with the same login name; its
    /// `sub` and password stay.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_user(&self, user: &User) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO users (sub, username, password_hash, mcptt_id, mcvideo_id, mcdata_id, \
             scopes, disabled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (username) DO UPDATE SET mcptt_id = excluded.mcptt_id, \
             mcvideo_id = excluded.mcvideo_id, mcdata_id = excluded.mcdata_id, \
             scopes = excluded.scopes, disabled = excluded.disabled",
        )
        .bind(&user.sub)
        .bind(&user.username)
        .bind(&user.password_hash)
        .bind(user.services.mcptt_id.as_deref())
        .bind(user.services.mcvideo_id.as_deref())
        .bind(user.services.mcdata_id.as_deref())
        .bind(user.scopes.to_string())
        .bind(i64::from(user.disabled))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The account of a login name.
    ///
    /// # Errors
    /// The database's.
    pub async fn user_by_name(&self, username: &str) -> sqlx::Result<Option<User>> {
        let row = sqlx::query("SELECT * FROM users WHERE username = $1")
            .bind(username)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| user(&row)).transpose()
    }

    /// The account of a `sub`.
    ///
    /// # Errors
    /// The database's.
    pub async fn user_by_sub(&self, sub: &str) -> sqlx::Result<Option<User>> {
        let row = sqlx::query("SELECT * FROM users WHERE sub = $1")
            .bind(sub)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| user(&row)).transpose()
    }

    /// The sealed signing key in use, the oldest one when replicas raced at first start.
    ///
    /// # Errors
    /// The database's.
    pub async fn signing_key(&self) -> sqlx::Result<Option<Vec<u8>>> {
        sqlx::query("SELECT sealed FROM signing_keys ORDER BY created_ms, kid LIMIT 1")
            .fetch_optional(&self.pool)
            .await?
            .map(|row| row.try_get("sealed"))
            .transpose()
    }

    /// Stores a sealed signing key.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_signing_key(&self, kid: &str, sealed: &[u8], now_ms: i64) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO signing_keys (kid, sealed, created_ms) VALUES ($1, $2, $3)")
            .bind(kid)
            .bind(sealed)
            .bind(now_ms)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Records a login and the code that stands for it.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_code(
        &self,
        code: &str,
        grant: &Grant,
        redeemed: &RedeemedCode,
        grant_expires_ms: i64,
    ) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO grants (family, sub, client_id, scopes, nonce, acr, auth_time_s, \
             expires_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&redeemed.family)
        .bind(&grant.sub)
        .bind(&grant.client_id)
        .bind(grant.scopes.to_string())
        .bind(grant.nonce.as_deref())
        .bind(&grant.acr)
        .bind(grant.auth_time)
        .bind(grant_expires_ms)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO codes (code_hash, family, redirect_uri, code_challenge, expires_ms) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(token_hash(code))
        .bind(&redeemed.family)
        .bind(&redeemed.redirect_uri)
        .bind(redeemed.challenge.as_str())
        .bind(redeemed.expires_ms)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Takes a code out of use; only the first caller gets it.
    ///
    /// # Errors
    /// The database's.
    pub async fn redeem_code(&self, code: &str) -> sqlx::Result<Redemption<RedeemedCode>> {
        let hash = token_hash(code);
        let first = sqlx::query(
            "UPDATE codes SET used = 1 WHERE code_hash = $1 AND used = 0 \
             RETURNING family, redirect_uri, code_challenge, expires_ms",
        )
        .bind(&hash)
        .fetch_optional(&self.pool)
        .await?;
        if let Some(row) = first {
            return Ok(Redemption::First(RedeemedCode {
                family: row.try_get("family")?,
                redirect_uri: row.try_get("redirect_uri")?,
                challenge: CodeChallenge::from_stored(row.try_get("code_challenge")?),
                expires_ms: row.try_get("expires_ms")?,
            }));
        }
        let again = sqlx::query("SELECT family FROM codes WHERE code_hash = $1")
            .bind(&hash)
            .fetch_optional(&self.pool)
            .await?;
        again.map_or(Ok(Redemption::Unknown), |row| {
            row.try_get("family").map(Redemption::Again)
        })
    }

    /// The grant of a family, unless it is revoked or over at `now_ms`.
    ///
    /// # Errors
    /// The database's.
    pub async fn grant(&self, family: &str, now_ms: i64) -> sqlx::Result<Option<Grant>> {
        let row = sqlx::query(
            "SELECT * FROM grants WHERE family = $1 AND revoked = 0 AND expires_ms > $2",
        )
        .bind(family)
        .bind(now_ms)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(Grant {
                sub: row.try_get("sub")?,
                client_id: row.try_get("client_id")?,
                scopes: Scopes::parse(&row.try_get::<String, _>("scopes")?),
                nonce: row.try_get("nonce")?,
                acr: row.try_get("acr")?,
                auth_time: row.try_get("auth_time_s")?,
            })
        })
        .transpose()
    }

    /// Ends a family: none of its refresh tokens works any more.
    ///
    /// # Errors
    /// The database's.
    pub async fn revoke_family(&self, family: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE grants SET revoked = 1 WHERE family = $1")
            .bind(family)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Stores a refresh token of a family.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_refresh_token(
        &self,
        token: &str,
        family: &str,
        expires_ms: i64,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO refresh_tokens (token_hash, family, expires_ms) VALUES ($1, $2, $3)",
        )
        .bind(token_hash(token))
        .bind(family)
        .bind(expires_ms)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The family of a refresh token, without taking the token out of use.
    ///
    /// # Errors
    /// The database's.
    pub async fn refresh_family(&self, token: &str) -> sqlx::Result<Option<String>> {
        sqlx::query("SELECT family FROM refresh_tokens WHERE token_hash = $1")
            .bind(token_hash(token))
            .fetch_optional(&self.pool)
            .await?
            .map(|row| row.try_get("family"))
            .transpose()
    }

    /// Takes a refresh token out of use; only the first caller gets its family.
    ///
    /// # Errors
    /// The database's.
    pub async fn redeem_refresh_token(
        &self,
        token: &str,
        now_ms: i64,
    ) -> sqlx::Result<Redemption<String>> {
        let first = sqlx::query(
            "UPDATE refresh_tokens SET used = 1 \
             WHERE token_hash = $1 AND used = 0 AND expires_ms > $2 RETURNING family",
        )
        .bind(token_hash(token))
        .bind(now_ms)
        .fetch_optional(&self.pool)
        .await?;
        if let Some(row) = first {
            return Ok(Redemption::First(row.try_get("family")?));
        }
        let again =
            sqlx::query("SELECT family FROM refresh_tokens WHERE token_hash = $1 AND used = 1")
                .bind(token_hash(token))
                .fetch_optional(&self.pool)
                .await?;
        again.map_or(Ok(Redemption::Unknown), |row| {
            row.try_get("family").map(Redemption::Again)
        })
    }

    /// Counts one login attempt of `subject` (an account or an address) and returns the number in
    /// the present window with the window's end, milliseconds since 1970.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_attempt(
        &self,
        subject: &str,
        now_ms: i64,
        window_ms: i64,
    ) -> sqlx::Result<(i64, i64)> {
        let row = sqlx::query(
            "INSERT INTO login_attempts (subject, attempts, window_ends_ms) VALUES ($1, 1, $2) \
             ON CONFLICT (subject) DO UPDATE SET \
             attempts = CASE WHEN login_attempts.window_ends_ms <= $3 THEN 1 \
             ELSE login_attempts.attempts + 1 END, \
             window_ends_ms = CASE WHEN login_attempts.window_ends_ms <= $3 THEN $2 \
             ELSE login_attempts.window_ends_ms END RETURNING attempts, window_ends_ms",
        )
        .bind(subject)
        .bind(now_ms.saturating_add(window_ms))
        .bind(now_ms)
        .fetch_one(&self.pool)
        .await?;
        Ok((row.try_get("attempts")?, row.try_get("window_ends_ms")?))
    }

    /// Forgives one attempt of `subject`, because it succeeded.
    ///
    /// # Errors
    /// The database's.
    pub async fn forgive_attempt(&self, subject: &str) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE login_attempts SET attempts = attempts - 1 WHERE subject = $1 AND attempts > 0",
        )
        .bind(subject)
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
            "INSERT INTO audit (id, at_ms, event, client_id, sub, address, detail) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(uuid::Uuid::new_v4().to_string())
        .bind(now_ms)
        .bind(entry.event)
        .bind(entry.client_id)
        .bind(entry.sub)
        .bind(entry.address)
        .bind(entry.detail)
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

    /// Marks a security token of a partner as redeemed; whether it was not before.
    ///
    /// # Errors
    /// The database's.
    pub async fn put_assertion(&self, id: &str, expires_ms: i64) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "INSERT INTO assertions (id, expires_ms) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
        )
        .bind(id)
        .bind(expires_ms)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Whether an account of another name has this MCPTT ID.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_taken(&self, mcptt_id: &str, username: &str) -> sqlx::Result<bool> {
        let row = sqlx::query("SELECT sub FROM users WHERE mcptt_id = $1 AND username <> $2")
            .bind(mcptt_id)
            .bind(username)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// Keeps an MC service ID from getting tokens.
    ///
    /// # Errors
    /// The database's.
    pub async fn revoke(&self, mcptt_id: &str, now_ms: i64) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO revocations (mcptt_id, revoked_ms) VALUES ($1, $2) \
             ON CONFLICT (mcptt_id) DO NOTHING",
        )
        .bind(mcptt_id)
        .bind(now_ms)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes a revocation back.
    ///
    /// # Errors
    /// The database's.
    pub async fn reinstate(&self, mcptt_id: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM revocations WHERE mcptt_id = $1")
            .bind(mcptt_id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whether an MC service ID gets no tokens.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_revoked(&self, mcptt_id: &str) -> sqlx::Result<bool> {
        let row = sqlx::query("SELECT mcptt_id FROM revocations WHERE mcptt_id = $1")
            .bind(mcptt_id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// All MC service IDs that get no tokens.
    ///
    /// # Errors
    /// The database's.
    pub async fn revocations(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query("SELECT mcptt_id FROM revocations ORDER BY mcptt_id")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(|row| row.try_get("mcptt_id"))
            .collect()
    }

    /// Forgets what ended before `before_ms`; codes and tokens stay until then so that a replay
    /// is still recognised.
    ///
    /// # Errors
    /// The database's.
    pub async fn prune(&self, before_ms: i64) -> sqlx::Result<()> {
        for statement in [
            "DELETE FROM codes WHERE expires_ms < $1",
            "DELETE FROM refresh_tokens WHERE expires_ms < $1",
            "DELETE FROM grants WHERE expires_ms < $1",
            "DELETE FROM assertions WHERE expires_ms < $1",
            "DELETE FROM login_attempts WHERE window_ends_ms < $1",
        ] {
            sqlx::query(statement)
                .bind(before_ms)
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }
}

fn user(row: &sqlx::any::AnyRow) -> sqlx::Result<User> {
    Ok(User {
        sub: row.try_get("sub")?,
        username: row.try_get("username")?,
        password_hash: row.try_get("password_hash")?,
        services: ServiceIds {
            mcptt_id: row.try_get("mcptt_id")?,
            mcvideo_id: row.try_get("mcvideo_id")?,
            mcdata_id: row.try_get("mcdata_id")?,
        },
        scopes: Scopes::parse(&row.try_get::<String, _>("scopes")?),
        disabled: row.try_get::<i64, _>("disabled")? != 0,
    })
}
