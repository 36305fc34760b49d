//! What survives a restart: registrations without their keys, affiliations, functional aliases.
//!
//! CSKs are kept in memory only: after a restart the client uploads one with its next REGISTER
//! (TS 33.180 9.2.1), until then its protected bodies are refused.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::BoxFuture;
use mc_ids::{ClientId, GroupId, KeyId, McServiceId};
use mc_runtime::db::{self, Migrations};
use mc_sip::{Peer, Transport, Uri};
use sqlx::{AnyPool, Row as _};

use crate::affiliation::ClientKey;
use crate::error::ServerError;
use crate::media_plane::SsrcStore;
use crate::registration::Binding;

/// The server's tables.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
}

impl Store {
    /// Opens the store and brings its schema up to date.
    ///
    /// # Errors
    /// The database cannot be opened.
    pub async fn open(url: &str) -> Result<Self, ServerError> {
        let migrations = Migrations {
            sqlite: sqlx::migrate!("migrations/sqlite"),
            postgres: sqlx::migrate!("migrations/postgres"),
        };
        Ok(Self {
            pool: db::open(url, &migrations).await?,
        })
    }

    /// Saves a registration.
    ///
    /// # Errors
    /// The statement failed.
    pub async fn save_registration(&self, binding: &Binding) -> Result<(), ServerError> {
        sqlx::query(
            "INSERT INTO registrations (impu, contact, flow, transport, mcptt_id, client_id, expires_unix_s) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (impu) DO UPDATE SET contact = excluded.contact, \
             flow = excluded.flow, transport = excluded.transport, mcptt_id = excluded.mcptt_id, \
             client_id = excluded.client_id, expires_unix_s = excluded.expires_unix_s",
        )
        .bind(binding.impu.identity().to_string())
        .bind(binding.contact.to_string())
        .bind(binding.flow.address.to_string())
        .bind(binding.flow.transport.as_str())
        .bind(binding.mcptt_id.as_str())
        .bind(binding.client_id.as_str())
        .bind(i64::try_from(binding.expires_unix_s).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Removes a registration.
    ///
    /// # Errors
    /// The statement failed.
    pub async fn remove_registration(&self, impu: &Uri) -> Result<(), ServerError> {
        sqlx::query("DELETE FROM registrations WHERE impu = $1")
            .bind(impu.identity().to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The registrations that have not expired; rows that cannot be read are left out.
    ///
    /// # Errors
    /// The statement failed.
    pub async fn registrations(&self, now_unix_s: u64) -> Result<Vec<Binding>, ServerError> {
        let rows = sqlx::query(
            "SELECT impu, contact, flow, transport, mcptt_id, client_id, expires_unix_s FROM registrations \
             WHERE expires_unix_s > $1",
        )
        .bind(i64::try_from(now_unix_s).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().filter_map(binding).collect())
    }

    /// The SSRCs used under an SPK, in the form of [`mc_media::SsrcLedger`].
    ///
    /// # Errors
    /// The statement failed.
    pub async fn spk_ssrcs(&self, id: KeyId) -> Result<String, ServerError> {
        let rows = sqlx::query("SELECT ssrc FROM spk_ssrcs WHERE spk_id = $1")
            .bind(id.to_string())
            .fetch_all(&self.pool)
            .await?;
        let mut ledger = String::new();
        for row in &rows {
            let ssrc: String = row.try_get("ssrc")?;
            ledger.push_str(&format!("{id} {ssrc}\n"));
        }
        Ok(ledger)
    }

    /// Replaces the affiliations of one client.
    ///
    /// # Errors
    /// A statement failed; nothing has changed then.
    pub async fn save_affiliations(
        &self,
        client: &ClientKey,
        groups: &BTreeSet<GroupId>,
    ) -> Result<(), ServerError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM affiliations WHERE mcptt_id = $1 AND client_id = $2")
            .bind(client.0.as_str())
            .bind(client.1.as_str())
            .execute(&mut *transaction)
            .await?;
        for group in groups {
            sqlx::query(
                "INSERT INTO affiliations (mcptt_id, client_id, group_id) VALUES ($1, $2, $3)",
            )
            .bind(client.0.as_str())
            .bind(client.1.as_str())
            .bind(group.as_str())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Replaces the active functional aliases of one client.
    ///
    /// # Errors
    /// A statement failed; nothing has changed then.
    pub async fn save_functional_aliases(
        &self,
        client: &ClientKey,
        aliases: &BTreeSet<String>,
    ) -> Result<(), ServerError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM functional_aliases WHERE mcptt_id = $1 AND client_id = $2")
            .bind(client.0.as_str())
            .bind(client.1.as_str())
            .execute(&mut *transaction)
            .await?;
        for alias in aliases {
            sqlx::query(
                "INSERT INTO functional_aliases (alias, mcptt_id, client_id) VALUES ($1, $2, $3) \
                 ON CONFLICT (alias) DO UPDATE SET mcptt_id = excluded.mcptt_id, \
                 client_id = excluded.client_id",
            )
            .bind(alias)
            .bind(client.0.as_str())
            .bind(client.1.as_str())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Every client's active functional aliases.
    ///
    /// # Errors
    /// The statement failed.
    pub async fn functional_aliases(
        &self,
    ) -> Result<BTreeMap<ClientKey, BTreeSet<String>>, ServerError> {
        let rows = sqlx::query("SELECT alias, mcptt_id, client_id FROM functional_aliases")
            .fetch_all(&self.pool)
            .await?;
        let mut all: BTreeMap<ClientKey, BTreeSet<String>> = BTreeMap::new();
        for row in &rows {
            if let (Some(client), Ok(alias)) = (client(row), row.try_get("alias")) {
                all.entry(client).or_default().insert(alias);
            }
        }
        Ok(all)
    }

    /// Every client's affiliations.
    ///
    /// # Errors
    /// The statement failed.
    pub async fn affiliations(
        &self,
    ) -> Result<BTreeMap<ClientKey, BTreeSet<GroupId>>, ServerError> {
        let rows = sqlx::query("SELECT mcptt_id, client_id, group_id FROM affiliations")
            .fetch_all(&self.pool)
            .await?;
        let mut all: BTreeMap<ClientKey, BTreeSet<GroupId>> = BTreeMap::new();
        for row in &rows {
            let group = row.try_get::<String, _>("group_id").ok();
            if let (Some(client), Some(Ok(group))) = (client(row), group.map(GroupId::new)) {
                all.entry(client).or_default().insert(group);
            }
        }
        Ok(all)
    }
}

impl SsrcStore for Store {
    fn keep(&self, key_id: KeyId, ssrc: u32) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            sqlx::query("INSERT INTO spk_ssrcs (spk_id, ssrc) VALUES ($1, $2)")
                .bind(key_id.to_string())
                .bind(format!("{ssrc:08x}"))
                .execute(&self.pool)
                .await
                .map_err(|error| error.to_string())?;
            Ok(())
        })
    }
}

fn client(row: &sqlx::any::AnyRow) -> Option<ClientKey> {
    let text = |column: &str| row.try_get::<String, _>(column).ok();
    let user = McServiceId::new(text("mcptt_id")?).ok()?;
    Some((user, ClientId::new(text("client_id")?).ok()?))
}

fn binding(row: &sqlx::any::AnyRow) -> Option<Binding> {
    let text = |column: &str| row.try_get::<String, _>(column).ok();
    let address = text("flow")?.parse().ok()?;
    let transport = if text("transport")? == Transport::Udp.as_str() {
        Transport::Udp
    } else {
        Transport::Tcp
    };
    Some(Binding {
        impu: text("impu")?.parse().ok()?,
        contact: text("contact")?.parse().ok()?,
        flow: Peer { transport, address },
        mcptt_id: McServiceId::new(text("mcptt_id")?).ok()?,
        client_id: ClientId::new(text("client_id")?).ok()?,
        floor_key: None,
        bodies: None,
        answer_mode: None,
        expires_unix_s: u64::try_from(row.try_get::<i64, _>("expires_unix_s").ok()?).ok()?,
        partner: None,
    })
}
