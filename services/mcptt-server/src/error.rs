//! Why the server cannot start or keep its state.

use mc_runtime::db::DbError;
use mc_runtime::http::HttpError;

/// A failure of the server itself; requests are refused by [`crate::refusal::Refusal`].
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A URI of the configuration is not one.
    #[error("'{0}' in the configuration is not a SIP URI")]
    Uri(String),
    /// A route's host cannot be resolved.
    #[error("route target {target} cannot be resolved: {source}")]
    Route {
        /// The target as configured.
        target: String,
        /// Why.
        source: std::io::Error,
    },
    /// A partner's entry in the configuration cannot be used.
    #[error("partner {name}: {detail}")]
    Partner {
        /// Its name.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// The SIP address cannot be bound.
    #[error("SIP address {address} cannot be bound: {source}")]
    Bind {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The trace outputs cannot be opened.
    #[error("trace output cannot be opened: {0}")]
    Trace(std::io::Error),
    /// The store.
    #[error(transparent)]
    Open(#[from] DbError),
    /// A statement of the store.
    #[error("store: {0}")]
    Store(#[from] sqlx::Error),
    /// HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
}
