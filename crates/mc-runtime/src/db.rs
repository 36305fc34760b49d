//! One database handle for SQLite and PostgreSQL, chosen by the scheme of the URL.

use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::migrate::Migrator;
use sqlx::{AnyPool, Executor};

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Neither `sqlite:` nor `postgres:`.
    #[error("database_url must start with sqlite: or postgres:")]
    UnsupportedScheme,
    /// The driver's reason.
    #[error("database: {0}")]
    Open(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("database migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

/// The two migration sets of a service, made with `sqlx::migrate!`.
#[derive(Debug)]
pub struct Migrations {
    /// From `migrations/sqlite`.
    pub sqlite: Migrator,
    /// From `migrations/postgres`.
    pub postgres: Migrator,
}

/// Opens a pool and brings the schema up to date.
///
/// `sqlite::memory:` opens a private in-memory database with one connection; a file URL wants
/// `?mode=rwc` to be created.
///
/// # Errors
/// See [`DbError`].
pub async fn open(url: &str, migrations: &Migrations) -> Result<AnyPool, DbError> {
    install_default_drivers();
    let (migrator, is_sqlite) = match url.split_once(':') {
        Some(("sqlite", _)) => (&migrations.sqlite, true),
        Some(("postgres" | "postgresql", _)) => (&migrations.postgres, false),
        Some(_) | None => return Err(DbError::UnsupportedScheme),
    };
    let in_memory = is_sqlite && url.contains(":memory:");
    let mut options = AnyPoolOptions::new()
        .max_connections(if in_memory { 1 } else { 8 })
        .acquire_timeout(Duration::from_secs(10));
    if in_memory {
        // The database lives as long as its only connection.
        options = options
            .idle_timeout(None)
            .max_lifetime(None)
            .min_connections(1);
    }
    if is_sqlite {
        options = options.after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("PRAGMA busy_timeout = 10000").await?;
                connection.execute("PRAGMA journal_mode = WAL").await?;
                connection.execute("PRAGMA foreign_keys = ON").await?;
                Ok(())
            })
        });
    }
    let pool = options.connect(url).await?;
    migrator.run(&pool).await?;
    Ok(pool)
}
