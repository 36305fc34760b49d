//! The URL table of the KMS, and what every request goes through.
//!
//! All resources share one path prefix and one request document, so there is one route: token,
//! body, fields, resource, answer.

mod admin;
mod answer;
mod check;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use kms_protocol::{KmsDocumentError, KmsRequest, KmsResponse, MEDIA_TYPE, ROOT, Resource};
use mc_runtime::auth::{BearerError, SCOPE_KMS, VerifiedToken, bearer_token};
use mc_runtime::http::{CorrelationId, HttpTrace, traced};
use mc_trace::Interface;
use mc_trace::names::{self, Declared};

use crate::error::Refusal;
use crate::state::Kms;
use crate::store::AuditEntry;

/// All resources of D.2, those of the operator, and `/health`.
pub fn router(kms: Kms) -> Router {
    let health = kms.health().router();
    let admin = kms.operator().cloned();
    let admin = admin.map_or_else(Router::new, |operator| admin::router(kms.clone(), operator));
    let announcer = kms.announcer().cloned();
    let revocations = announcer.map_or_else(Router::new, |told| told.router(kms.clone()));
    let trace = HttpTrace {
        tracer: kms.tracer().clone(),
        interface: Interface::CSC_8,
        answer: answer_name,
    };
    let router = Router::new()
        .route(&format!("{ROOT}/{{*resource}}"), any(serve))
        .with_state(kms);
    traced(router, trace)
        .merge(health)
        .merge(admin)
        .merge(revocations)
}

/// One request with what identifies it in logs.
struct Call {
    kms: Kms,
    correlation_id: String,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

async fn serve(State(kms): State<Kms>, request: Request) -> Response {
    let correlation_id = request
        .extensions()
        .get::<CorrelationId>()
        .map_or_else(String::new, |id| id.0.clone());
    let (parts, body) = request.into_parts();
    let call = Call {
        correlation_id,
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        kms,
    };
    let body = to_bytes(body, call.kms.config().http.max_body).await;
    let mut response = call.respond(body.map_err(|_| Refusal::TooLarge)).await;
    let uncached = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, uncached);
    response
}

impl Call {
    async fn respond(&self, body: Result<Bytes, Refusal>) -> Response {
        //= TS 33.180 D.2.1
        if self.method != Method::POST {
            self.audit("-", "method not allowed").await;
            return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")]).into_response();
        }
        let token = match self.authenticate().await {
            Ok(token) => token,
            Err(error) => {
                self.audit("-", &error.to_string()).await;
                return error.into_response();
            }
        };
        let actor = token.mcptt_id.as_str();
        let request = body.and_then(|body| KmsRequest::parse(&body).map_err(Refusal::Malformed));
        let (envelope, result) = match request {
            Ok(request) => {
                let result = self.answer(&token, &request).await;
                (
                    self.envelope(&request.user_uri, request.client_req_url),
                    result,
                )
            }
            Err(refusal) => (
                self.envelope(actor, self.uri.path().to_owned()),
                Err(refusal),
            ),
        };
        match result {
            Ok(message) => {
                self.audit(actor, "issued").await;
                let response = KmsResponse {
                    message,
                    ..envelope
                };
                write(StatusCode::OK, &response)
            }
            Err(refusal) => {
                if let Refusal::Internal(error) = &refusal {
                    let correlation_id = &self.correlation_id;
                    tracing::error!(correlation_id, error = format!("{error:#}"), "failed");
                }
                self.audit(actor, &refusal.to_string()).await;
                let response = KmsResponse {
                    error: Some(refusal.kms_error()),
                    ..envelope
                };
                write(refusal.status(), &response)
            }
        }
    }

    async fn authenticate(&self) -> Result<VerifiedToken, BearerError> {
        let token = bearer_token(&self.headers)?;
        Ok(self.kms.verifier().verify(token, SCOPE_KMS).await?)
    }

    fn resource(&self) -> Result<Resource, KmsDocumentError> {
        Resource::parse(self.uri.path().strip_prefix(ROOT).unwrap_or_default())
    }

    fn envelope(&self, user_uri: &str, client_req_url: String) -> KmsResponse {
        let config = self.kms.config();
        KmsResponse {
            user_uri: user_uri.to_owned(),
            kms_uri: config.kms_uri.clone(),
            time: self.kms.now(),
            kms_id: Some(config.kms_id.clone()),
            client_req_url,
            message: None,
            error: None,
            trk_id: None,
        }
    }

    async fn audit(&self, actor: &str, outcome: &str) {
        let correlation_id = &self.correlation_id;
        let action = format!("{} {}", self.method, self.uri.path());
        self.kms
            .audit(AuditEntry {
                correlation_id,
                actor,
                action: &action,
                outcome,
            })
            .await;
    }
}

fn write(status: StatusCode, response: &KmsResponse) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, MEDIA_TYPE)],
        response.to_xml(),
    )
        .into_response()
}

fn answer_name(_method: &Method, path: &str, status: StatusCode) -> Declared {
    if !status.is_success() {
        return names::KMS_REFUSED;
    }
    match Resource::parse(path.strip_prefix(ROOT).unwrap_or_default()) {
        Ok(Resource::Init) => names::KMS_INIT_ISSUED,
        Ok(Resource::KeyProv { .. }) => names::KMS_KEYPROV_ISSUED,
        Ok(_) | Err(_) => names::KMS_CERTCACHE_ISSUED,
    }
}
