//! Every HTTP exchange gets a correlation identifier, its lines in the log and its trace events.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use mc_trace::names::{Declared, HTTP_REQUEST};
use mc_trace::{Direction, Endpoint, Event, Interface};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::trace::Tracer;

/// The header that tells a client the correlation identifier of its request.
pub const CORRELATION_HEADER: &str = "x-correlation-id";

/// What joins log lines, audit entries, trace events and the answer of one request; in the request's
/// extensions. Made here, never taken from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrelationId(pub String);

/// The name of the event for an answer, by method, path and status of the exchange.
pub type AnswerName = fn(&Method, &str, StatusCode) -> Declared;

/// What the events of one service's HTTP interface say.
#[derive(Debug, Clone)]
pub struct HttpTrace {
    /// Where events go; they mask secrets there, and name the service.
    pub tracer: Tracer,
    /// The reference point.
    pub interface: Interface,
    /// Names the answers.
    pub answer: AnswerName,
}

/// Emits an event for every request to `router` and for every answer.
pub fn traced(router: Router, trace: HttpTrace) -> Router {
    router.layer(from_fn_with_state(trace, report))
}

/// Outermost of all layers, so that answers of the limits carry an identifier too.
pub(super) async fn identified(mut request: Request, next: Next) -> Response {
    let id = Uuid::new_v4().to_string();
    let span = tracing::info_span!("http", correlation_id = id);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    request.extensions_mut().insert(CorrelationId(id.clone()));
    async move {
        let mut response = next.run(request).await;
        let status = response.status().as_u16();
        if status >= 400 {
            tracing::info!(%method, path, status, "request refused");
        } else {
            tracing::debug!(%method, path, status, "request answered");
        }
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert(CORRELATION_HEADER, id);
        }
        response
    }
    .instrument(span)
    .await
}

/// One exchange, as its events show it.
struct Exchange {
    method: Method,
    path: String,
    target: String,
    client: Endpoint,
    correlation_id: String,
}

impl Exchange {
    fn of(request: &Request) -> Self {
        let extensions = request.extensions();
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let uri = request.uri();
        let target = uri.path_and_query().map_or(uri.path(), |t| t.as_str());
        Self {
            method: request.method().clone(),
            path: uri.path().to_owned(),
            target: target.to_owned(),
            client: peer.map_or_else(
                || Endpoint::named("client"),
                |peer| Endpoint::new("client", peer.0),
            ),
            correlation_id: extensions
                .get::<CorrelationId>()
                .map_or_else(String::new, |id| id.0.clone()),
        }
    }
}

async fn report(State(trace): State<HttpTrace>, request: Request, next: Next) -> Response {
    if !trace.tracer.is_on() {
        return next.run(request).await;
    }
    let exchange = Exchange::of(&request);
    let (parts, body) = request.into_parts();
    // The server's body limit bounds this and answers 413 by itself when the length is announced.
    let Ok(octets) = to_bytes(body, usize::MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    trace.requested(&exchange, &parts.headers, &octets);
    let request = Request::from_parts(parts, Body::from(octets));
    let (parts, body) = next.run(request).await.into_parts();
    let octets: Bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    trace.answered(&exchange, parts.status, &parts.headers, &octets);
    Response::from_parts(parts, Body::from(octets))
}

impl HttpTrace {
    fn requested(&self, exchange: &Exchange, headers: &HeaderMap, body: &[u8]) {
        let event = Event::http_request(
            &HTTP_REQUEST,
            Direction::Received,
            (exchange.client.clone(), Endpoint::named(self.tracer.node())),
            (exchange.method.as_str(), &exchange.target),
            &text(headers),
            body,
        );
        self.emit(exchange, event);
    }

    fn answered(&self, exchange: &Exchange, status: StatusCode, headers: &HeaderMap, body: &[u8]) {
        let event = Event::http_response(
            &(self.answer)(&exchange.method, &exchange.path, status),
            Direction::Sent,
            (Endpoint::named(self.tracer.node()), exchange.client.clone()),
            (status.as_u16(), &exchange.path),
            &text(headers),
            body,
        );
        self.emit(exchange, event);
    }

    fn emit(&self, exchange: &Exchange, event: Event) {
        let event = event.on(self.interface.clone());
        self.tracer
            .emit(event.correlation(exchange.correlation_id.clone()));
    }
}

/// Header fields whose values are text.
fn text(headers: &HeaderMap) -> Vec<(&str, &str)> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect()
}
