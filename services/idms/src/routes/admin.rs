//! What the operator does: accounts on demand, and MC service IDs that get no token any more. Only
//! with the operator's token, and only when the configuration names a file for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use mc_ids::McServiceId;
use mc_runtime::operator::OperatorToken;
use mc_runtime::revocations::Revoking;

use crate::config::{ContentError, UserSeed, check_user};
use crate::error::Error;
use crate::state::Idms;
use crate::store::AuditEntry;

/// The operator's resources.
pub(super) fn router(idms: Idms, operator: OperatorToken) -> Router {
    Router::new()
        .route("/admin/users/{username}", put(put_user))
        .route("/admin/revocations", get(revocations))
        .route(
            "/admin/revocations/{mcptt_id}",
            put(revoke).delete(reinstate),
        )
        .with_state(idms)
        .route_layer(from_fn_with_state(Arc::new(operator), operators_only))
}

async fn operators_only(
    State(operator): State<Arc<OperatorToken>>,
    request: Request,
    next: Next,
) -> Response {
    if operator.is_shown_by(request.headers()) {
        return next.run(request).await;
    }
    tracing::warn!(path = request.uri().path(), "not the operator");
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "operator token needed").into_response()
}

/// Makes an account, as one of the configuration; an existing one keeps its password.
async fn put_user(
    State(idms): State<Idms>,
    Path(username): Path<String>,
    Json(seed): Json<UserSeed>,
) -> Result<StatusCode, Failure> {
    if seed.username != username {
        return Err(Failure::Conflict(
            "username differs from the address".to_owned(),
        ));
    }
    check_user(&seed)?;
    if let Some(mcptt_id) = &seed.mcptt_id
        && idms.store.is_taken(mcptt_id, &username).await?
    {
        let text = format!("{mcptt_id} is the MCPTT ID of another account");
        return Err(Failure::Conflict(text));
    }
    idms.plant_user(&seed).await?;
    audit(&idms, "user_put", &username).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn revocations(State(idms): State<Idms>) -> Result<Json<Vec<String>>, Failure> {
    Ok(Json(idms.store.revocations().await?))
}

/// From now on no token is made for an MC service ID, of an account here or asserted by a partner.
/// Tokens that were made stay valid until they expire, but not at servers that are told.
async fn revoke(
    State(idms): State<Idms>,
    Path(mcptt_id): Path<McServiceId>,
) -> Result<StatusCode, Failure> {
    let now_ms = idms.clock.unix_ms();
    idms.store.revoke(mcptt_id.as_str(), now_ms).await?;
    idms.tell_revocations();
    audit(&idms, "revoked", mcptt_id.as_str()).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn reinstate(
    State(idms): State<Idms>,
    Path(mcptt_id): Path<McServiceId>,
) -> Result<StatusCode, Failure> {
    idms.store.reinstate(mcptt_id.as_str()).await?;
    idms.tell_revocations();
    audit(&idms, "reinstated", mcptt_id.as_str()).await;
    Ok(StatusCode::NO_CONTENT)
}

impl Revoking for Idms {
    async fn revoked(&self) -> anyhow::Result<BTreeSet<McServiceId>> {
        let revoked = self.store.revocations().await?;
        let ids = revoked.into_iter().map(|id| Ok(id.parse()?));
        ids.collect()
    }
}

async fn audit(idms: &Idms, event: &'static str, sub: &str) {
    idms.audit(AuditEntry {
        event,
        sub: Some(sub),
        ..AuditEntry::default()
    })
    .await;
}

/// Why the operator's request is not carried out.
enum Failure {
    Conflict(String),
    Internal(Error),
}

impl From<ContentError> for Failure {
    fn from(error: ContentError) -> Self {
        Self::Conflict(error.to_string())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(Error::local(error))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Conflict(text) => (StatusCode::CONFLICT, text).into_response(),
            Self::Internal(error) => error.into_response(),
        }
    }
}
