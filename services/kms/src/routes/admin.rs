//! What the operator does: partner domains and users. Only with the operator's token, and only when
//! the configuration names a file for it; without, these resources do not exist.
//!
//! Changes come through here and not through files that are read at a start, because a file that
//! stays where it is would take a revoked partner in again.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, put};
use kms_protocol::MEDIA_TYPE;
use mc_runtime::operator::OperatorToken;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

use crate::error::Refusal;
use crate::partners::{Import, PartnerRefused};
use crate::state::Kms;
use crate::store::AuditEntry;

/// The operator's resources.
pub(super) fn router(kms: Kms, operator: OperatorToken) -> Router {
    Router::new()
        .route("/admin/certificate", get(certificate))
        .route("/admin/partners", get(partners).post(import))
        .route("/admin/partners/{kms_uri}", delete(revoke_partner))
        .route("/admin/users", get(users))
        .route("/admin/users/{identity}", put(create_user))
        .route(
            "/admin/users/{identity}/revocation",
            put(revoke_user).delete(reinstate_user),
        )
        .with_state(kms)
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

/// The own certificate, for partners. The octets are the same every time, so that everybody gets
/// one fingerprint.
async fn certificate(State(kms): State<Kms>) -> Response {
    let document = kms.certificate_document();
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], document).into_response()
}

async fn partners(State(kms): State<Kms>) -> Result<Response, Failure> {
    let all = kms.partners().await?;
    let shown: Vec<_> = all
        .iter()
        .map(|partner| {
            let certificate = &partner.certificate;
            json!({
                "kms_uri": certificate.kms_uri,
                "domains": certificate.domains,
                "is_security_gateway": certificate.is_security_gateway,
                "revoked": certificate.revoked,
                "valid_to": certificate.valid_to.map(kms_protocol::format_date),
                "fingerprint": partner.fingerprint,
                "imported_ms": partner.imported_ms,
            })
        })
        .collect();
    Ok(Json(shown).into_response())
}

/// What the operator says of the document in the body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    /// SHA-256 of the document, as compared with the partner's operator.
    fingerprint: String,
    /// Domains to bind it to, separated by commas.
    #[serde(default)]
    domains: Option<String>,
}

async fn import(
    State(kms): State<Kms>,
    Query(confirmation): Query<Confirmation>,
    body: Bytes,
) -> Result<Response, Failure> {
    let domains: Vec<String> = confirmation
        .domains
        .iter()
        .flat_map(|text| text.split(','))
        .map(|domain| domain.trim().to_owned())
        .filter(|domain| !domain.is_empty())
        .collect();
    let import = Import {
        document: &body,
        confirmed: &confirmation.fingerprint,
        domains: &domains,
    };
    let certificate = kms.import_partner(&import).await?;
    let what = format!("partner {} imported", certificate.kms_uri);
    audit(&kms, &what, &confirmation.fingerprint).await;
    let answer = json!({"kms_uri": certificate.kms_uri, "domains": certificate.domains});
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn revoke_partner(
    State(kms): State<Kms>,
    Path(kms_uri): Path<String>,
) -> Result<Response, Failure> {
    if !kms.revoke_partner(&kms_uri).await? {
        return Err(Failure::Unknown);
    }
    audit(&kms, &format!("partner {kms_uri} revoked"), "done").await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn users(State(kms): State<Kms>) -> Result<Response, Failure> {
    let all = kms.store().users().await.map_err(Refusal::from)?;
    let shown: Vec<_> = all
        .iter()
        .map(|user| {
            json!({
                "identity": user.user_uri,
                "created_ms": user.created_ms,
                "created_by": user.created_by,
                "revoked_ms": user.revoked_ms,
            })
        })
        .collect();
    Ok(Json(shown).into_response())
}

async fn create_user(
    State(kms): State<Kms>,
    Path(identity): Path<String>,
) -> Result<Response, Failure> {
    kms.create_user(&identity, OPERATOR).await?;
    audit(&kms, &format!("user {identity} created"), "done").await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn revoke_user(
    State(kms): State<Kms>,
    Path(identity): Path<String>,
) -> Result<Response, Failure> {
    kms.revoke_user(&identity).await?;
    audit(&kms, &format!("user {identity} revoked"), "done").await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn reinstate_user(
    State(kms): State<Kms>,
    Path(identity): Path<String>,
) -> Result<Response, Failure> {
    kms.reinstate_user(&identity).await?;
    audit(&kms, &format!("user {identity} reinstated"), "done").await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The actor of what is done with the operator's token.
const OPERATOR: &str = "operator";

async fn audit(kms: &Kms, action: &str, outcome: &str) {
    kms.audit(AuditEntry {
        correlation_id: "-",
        actor: OPERATOR,
        action,
        outcome,
    })
    .await;
}

/// Why the operator's request is not carried out, as a status and a sentence.
enum Failure {
    Partner(PartnerRefused),
    Refusal(Refusal),
    Unknown,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<crate::state::ImportError> for Failure {
    fn from(error: crate::state::ImportError) -> Self {
        match error {
            crate::state::ImportError::Refused(refused) => Self::Partner(refused),
            crate::state::ImportError::Store(error) => Self::Refusal(Refusal::Internal(error)),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Partner(refused) => (StatusCode::CONFLICT, refused.to_string()).into_response(),
            Self::Refusal(refusal) => {
                if let Refusal::Internal(error) = &refusal {
                    tracing::error!(error = format!("{error:#}"), "failed");
                }
                (refusal.status(), refusal.to_string()).into_response()
            }
            Self::Unknown => (StatusCode::NOT_FOUND, "no such partner").into_response(),
        }
    }
}
