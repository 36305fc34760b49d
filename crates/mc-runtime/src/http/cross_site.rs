//! Requests that a page of another site makes in a person's browser: an API without accounts, which
//! trusts whoever reaches its address, must not do what they say.

use std::net::IpAddr;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};

/// The content types that any page may send anywhere without asking (Fetch standard, CORS-safelisted).
const SAFELISTED: [&str; 3] = [
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
];

type Refusal = (StatusCode, &'static str);

/// Refuses what changes something and comes from a page of another site: a foreign `Origin` gets 403,
/// a body of a type that forms send 415. Programs, which send neither, are not concerned.
pub fn refuse_cross_site(router: Router) -> Router {
    router.layer(from_fn(guard))
}

async fn guard(request: Request, next: Next) -> Response {
    match check(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
        return Ok(());
    }
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let own_origin = match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => is_own(origin, host),
        (Some(_), None) => false,
    };
    let from_elsewhere = text(header::HeaderName::from_static("sec-fetch-site"))
        .is_some_and(|site| site != "same-origin" && site != "none");
    if !own_origin || from_elsewhere {
        let reason = "a page of another site may not change anything here\n";
        return Err((StatusCode::FORBIDDEN, reason));
    }
    let kind = text(header::CONTENT_TYPE).and_then(|kind| kind.split(';').next());
    let kind = kind.map(|kind| kind.trim().to_ascii_lowercase());
    if kind.is_some_and(|kind| SAFELISTED.contains(&kind.as_str())) {
        let reason = "send application/json or audio/wav (curl: -H 'content-type: audio/wav')\n";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    Ok(())
}

/// Whether the page came from this very address. A domain name may be another site's that points at
/// us (DNS rebinding), so it is never taken as our own.
fn is_own(origin: &str, host: &str) -> bool {
    let authority = origin
        .split_once("://")
        .map_or("", |(_, authority)| authority);
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let local = bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok();
    local && authority.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn asked(method: &Method, headers: &[(&'static str, &'static str)]) -> u16 {
        let pair = |(name, value): &(&'static str, &'static str)| {
            let value = HeaderValue::from_static(value);
            (HeaderName::from_static(name), value)
        };
        let headers: HeaderMap = headers.iter().map(pair).collect();
        check(method, &headers).map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        const HOST: (&str, &str) = ("host", "127.0.0.1:8446");
        let post = |headers: &[_]| asked(&Method::POST, headers);
        assert_eq!(post(&[HOST]), 200, "programs send no origin");
        assert_eq!(post(&[HOST, ("origin", "http://127.0.0.1:8446")]), 200);
        assert_eq!(post(&[HOST, ("origin", "https://evil.example")]), 403);
        assert_eq!(post(&[HOST, ("origin", "http://127.0.0.1:8080")]), 403);
        assert_eq!(post(&[HOST, ("origin", "null")]), 403);
        assert_eq!(post(&[HOST, ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(post(&[HOST, ("sec-fetch-site", "same-site")]), 403);
        assert_eq!(post(&[("origin", "http://127.0.0.1:8446")]), 403);
        // A name of another site that points here.
        let rebound = [
            ("host", "evil.example:8446"),
            ("origin", "http://evil.example:8446"),
        ];
        assert_eq!(post(&rebound), 403);
        let ipv6 = [("host", "[::1]:8446"), ("origin", "http://[::1]:8446")];
        assert_eq!(post(&ipv6), 200);
        for method in [Method::PUT, Method::DELETE] {
            assert_eq!(asked(&method, &[HOST, ("origin", "null")]), 403);
        }
        assert_eq!(asked(&Method::GET, &[HOST, ("origin", "null")]), 200);
    }

    #[test]
    fn what_a_form_can_send_is_refused() {
        let post = |kind| asked(&Method::POST, &[("content-type", kind)]);
        assert_eq!(post("text/plain;charset=UTF-8"), 415);
        assert_eq!(post("multipart/form-data; boundary=x"), 415);
        assert_eq!(post("Application/x-www-form-urlencoded"), 415);
        assert_eq!(post("application/json"), 200);
        assert_eq!(post("audio/wav"), 200);
    }
}
