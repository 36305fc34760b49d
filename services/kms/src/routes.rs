//! The URL table of the KMS, and what every request goes through.
//!
//! All resources share one path prefix and one request document, so there is one route: token,
//! body, fields, resource, answer.

mod admin;
mod answer;
mod check;

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use kms_protocol::{KmsDocumentError, KmsRequest, KmsResponse, MEDIA_TYPE, ROOT, Resource};
use mc_runtime::auth::{BearerError, SCOPE_KMS, VerifiedToken, bearer_token};
use mc_trace::{Direction, Endpoint, Event, names};
use uuid::Uuid;

use crate::error::Refusal;
use crate::state::Kms;
use crate::store::AuditEntry;

/// All resources of D.2, those of the operator, and `/health`.
pub fn router(kms: Kms) -> Router {
    let health = kms.health().router();
    let admin = kms.operator().cloned();
    let admin = admin.map_or_else(Router::new, |operator| admin::router(kms.clone(), operator));
    Router::new()
        .route(&format!("{ROOT}/{{*resource}}"), any(serve))
        .with_state(kms)
        .merge(health)
        .merge(admin)
}

/// One request with what identifies it in logs.
struct Call {
    kms: Kms,
    correlation_id: String,
    peer: Option<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

async fn serve(State(kms): State<Kms>, request: Request) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0);
    let (parts, body) = request.into_parts();
    let call = Call {
        correlation_id: Uuid::new_v4().to_string(),
        peer,
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        kms,
    };
    let body = to_bytes(body, call.kms.config().http.max_body).await;
    call.trace_request(body.as_deref().unwrap_or_default());
    let mut response = call.respond(body.map_err(|_| Refusal::TooLarge)).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&call.correlation_id) {
        headers.insert("x-correlation-id", id);
    }
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
                let response = error.into_response();
                self.trace_response(response.status(), b"", None);
                return response;
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
            Ok((resource, message)) => {
                self.audit(actor, "issued").await;
                let response = KmsResponse {
                    message,
                    ..envelope
                };
                self.write(StatusCode::OK, &response, Some(&resource))
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
                self.write(refusal.status(), &response, None)
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

    fn write(
        &self,
        status: StatusCode,
        response: &KmsResponse,
        resource: Option<&Resource>,
    ) -> Response {
        let body = response.to_xml();
        self.trace_response(status, body.as_bytes(), resource);
        (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
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

    fn trace_request(&self, body: &[u8]) {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let target = (self.method.as_str(), self.uri.path());
        let event = Event::http_request(
            &names::HTTP_REQUEST,
            Direction::Received,
            (self.client(), Endpoint::named("kms")),
            target,
            &headers,
            body,
        );
        let event = event
            .on(mc_trace::Interface::CSC_8)
            .correlation(&self.correlation_id);
        self.kms.tracer().emit(event);
    }

    fn trace_response(&self, status: StatusCode, body: &[u8], resource: Option<&Resource>) {
        let name = match resource {
            Some(Resource::Init) => &names::KMS_INIT_ISSUED,
            Some(Resource::KeyProv { .. }) => &names::KMS_KEYPROV_ISSUED,
            Some(_) => &names::KMS_CERTCACHE_ISSUED,
            None => &names::KMS_REFUSED,
        };
        let event = Event::http_response(
            name,
            Direction::Sent,
            (Endpoint::named("kms"), self.client()),
            (status.as_u16(), self.uri.path()),
            &[("Content-Type", MEDIA_TYPE), ("Cache-Control", "no-store")],
            body,
        );
        self.kms
            .tracer()
            .emit(event.correlation(&self.correlation_id));
    }

    fn client(&self) -> Endpoint {
        self.peer.map_or_else(
            || Endpoint::named("client"),
            |peer| Endpoint::new("client", peer),
        )
    }
}
