//! Authorization endpoint and login form (TS 33.180 B.4.2.2, B.4.2.3).

use std::net::{IpAddr, SocketAddr};

use askama::Template;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::authorization::{
    ACR_PASSWORD, AuthorizationRequest, Refusal, check, form_action_source, redirect_target,
};
use crate::error::Error;
use crate::form::Parameters;
use crate::login_ticket;
use crate::password::MAX_PASSWORD;
use crate::pkce::CodeChallenge;
use crate::routes::LOGIN;
use crate::scopes::Scopes;
use crate::state::{Idms, random_token};
use crate::store::{AuditEntry, RedeemedCode, User};
use crate::tokens::Grant;

/// The cookie that binds a login page to the browser it was shown in.
const COOKIE: &str = "__Host-idms-login";
/// Longest login name read, octets.
const MAX_USERNAME: usize = 256;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    action: &'a str,
    ticket: &'a str,
    client_id: &'a str,
    username: &'a str,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    problem: &'a str,
}

/// `GET /idms/authorize`.
pub(super) async fn by_query(State(idms): State<Idms>, RawQuery(query): RawQuery) -> Response {
    begin(&idms, query.unwrap_or_default().as_bytes()).await
}

/// `POST /idms/authorize` (OpenID Connect Core 3.1.2.1).
pub(super) async fn by_form(State(idms): State<Idms>, body: Bytes) -> Response {
    begin(&idms, &body).await
}

async fn begin(idms: &Idms, text: &[u8]) -> Response {
    let parameters = match Parameters::parse(text) {
        Ok(parameters) => parameters,
        Err(error) => return error_page(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match check(&parameters, &idms.config.clients, &idms.config.profile) {
        Ok(request) => {
            let username = request.login_hint.clone().unwrap_or_default();
            login_page(idms, request, StatusCode::OK, &username, None)
        }
        Err(refusal) => refuse(idms, &refusal).await,
    }
}

async fn refuse(idms: &Idms, refusal: &Refusal) -> Response {
    let (event, detail) = match refusal {
        Refusal::Shown(text) => ("authorization_refused", (*text).to_owned()),
        Refusal::Redirected {
            error, description, ..
        } => ("authorization_refused", format!("{error}: {description}")),
    };
    idms.audit(AuditEntry {
        event,
        detail: Some(&detail),
        ..AuditEntry::default()
    })
    .await;
    match refusal {
        Refusal::Shown(text) => error_page(StatusCode::BAD_REQUEST, text),
        Refusal::Redirected {
            redirect_uri,
            state,
            error,
            description,
        } => {
            //= TS 33.180 B.4.2.3
            let mut answer = vec![("error", *error), ("error_description", description)];
            answer.extend(state.as_deref().map(|state| ("state", state)));
            answer.push(("iss", &idms.policy.issuer));
            redirect(redirect_uri, &answer)
        }
    }
}

/// `POST /idms/login`: the login form.
pub(super) async fn login(
    State(idms): State<Idms>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = match Parameters::parse(&body) {
        Ok(form) => form,
        Err(error) => return error_page(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let ticket = form.value("ticket").unwrap_or_default();
    let opened = login_ticket::open(&idms.sealing_key, ticket, cookie(&headers), idms.now_s());
    let request = match opened {
        Ok(request) => request,
        Err(error) => return error_page(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let username = form.value("username").unwrap_or_default();
    let password = Zeroizing::new(form.value("password").unwrap_or_default().to_owned());
    match authenticate(&idms, username, password, peer.ip()).await {
        Ok(Login::Accepted(user)) => issue_code(&idms, request, &user)
            .await
            .unwrap_or_else(failed),
        Ok(Login::Refused) => {
            let problem = "User name or password is not right.";
            login_page(
                &idms,
                request,
                StatusCode::UNAUTHORIZED,
                username,
                Some(problem),
            )
        }
        Ok(Login::TooMany { wait_s }) => too_many(&idms, request, username, wait_s),
        Err(error) => failed(error),
    }
}

enum Login {
    Accepted(Box<User>),
    Refused,
    TooMany { wait_s: i64 },
}

/// Checks a password; every attempt is counted before it is checked, so that parallel guesses
/// gain nothing, and a right one is taken off the count again.
async fn authenticate(
    idms: &Idms,
    username: &str,
    password: Zeroizing<String>,
    address: IpAddr,
) -> Result<Login, Error> {
    if username.len() > MAX_USERNAME || password.len() > MAX_PASSWORD {
        return Ok(Login::Refused);
    }
    let limits = &idms.config.login;
    let subjects = [
        (format!("account:{username}"), limits.account_attempts),
        (format!("address:{address}"), limits.address_attempts),
    ];
    let now_ms = idms.clock.unix_ms();
    let window_ms = i64::from(limits.window_s).saturating_mul(1000);
    for (subject, limit) in &subjects {
        let (attempts, ends_ms) = idms.store.count_attempt(subject, now_ms, window_ms).await?;
        if attempts > i64::from(*limit) {
            audit_login(idms, "login_limited", None, address).await;
            let wait_s = ends_ms
                .saturating_sub(now_ms)
                .div_euclid(1000)
                .max(0)
                .saturating_add(1);
            return Ok(Login::TooMany { wait_s });
        }
    }
    let user = idms.store.user_by_name(username).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = idms
        .passwords
        .verify(password, hash)
        .await
        .map_err(Error::local)?;
    match user.filter(|user| right && !user.disabled) {
        Some(user) => {
            for (subject, _) in &subjects {
                idms.store.forgive_attempt(subject).await?;
            }
            audit_login(idms, "login_accepted", Some(&user.sub), address).await;
            Ok(Login::Accepted(Box::new(user)))
        }
        None => {
            audit_login(idms, "login_refused", None, address).await;
            Ok(Login::Refused)
        }
    }
}

async fn audit_login(idms: &Idms, event: &'static str, sub: Option<&str>, address: IpAddr) {
    let address = address.to_string();
    idms.audit(AuditEntry {
        event,
        sub,
        address: Some(&address),
        ..AuditEntry::default()
    })
    .await;
}

async fn issue_code(
    idms: &Idms,
    request: AuthorizationRequest,
    user: &User,
) -> Result<Response, Error> {
    //= TS 33.180 B.4.2.3
    let now_ms = idms.clock.unix_ms();
    let after = |seconds: u32| now_ms.saturating_add(i64::from(seconds).saturating_mul(1000));
    let grant = Grant {
        sub: user.sub.clone(),
        client_id: request.client_id,
        scopes: Scopes::parse(&request.scope).grant(&user.scopes),
        nonce: request.nonce,
        acr: ACR_PASSWORD.to_owned(),
        auth_time: idms.now_s(),
    };
    let redeemed = RedeemedCode {
        family: Uuid::new_v4().to_string(),
        redirect_uri: request.redirect_uri,
        challenge: CodeChallenge::from_stored(request.code_challenge),
        expires_ms: after(idms.config.lifetimes.code_s),
    };
    let code = random_token();
    let grant_end = after(idms.config.lifetimes.refresh_token_s);
    idms.store
        .put_code(&code, &grant, &redeemed, grant_end)
        .await?;
    let issuer = idms.policy.issuer.as_str();
    let answer = [
        ("code", code.as_str()),
        ("state", &request.state),
        ("iss", issuer),
    ];
    Ok(redirect(&redeemed.redirect_uri, &answer))
}

fn login_page(
    idms: &Idms,
    request: AuthorizationRequest,
    status: StatusCode,
    username: &str,
    problem: Option<&str>,
) -> Response {
    let cookie = random_token();
    let expires = idms
        .now_s()
        .saturating_add(i64::from(idms.config.lifetimes.login_page_s));
    let (client_id, redirect_uri) = (request.client_id.clone(), request.redirect_uri.clone());
    let ticket = login_ticket::issue(
        &idms.sealing_key,
        request,
        &cookie,
        expires,
        &mut mc_runtime::rng(),
    );
    let ticket = match ticket {
        Ok(ticket) => ticket,
        Err(error) => return failed(Error::local(error)),
    };
    let page = LoginPage {
        action: LOGIN,
        ticket: &ticket,
        client_id: &client_id,
        username,
        problem,
    };
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'self' {}",
        form_action_source(&redirect_uri)
    );
    let set_cookie = format!("{COOKIE}={cookie}; Path=/; Secure; HttpOnly; SameSite=Strict");
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::SET_COOKIE, set_cookie),
    ];
    match page.render() {
        Ok(html) => (status, headers, Html(html)).into_response(),
        Err(error) => failed(Error::local(error)),
    }
}

fn too_many(idms: &Idms, request: AuthorizationRequest, username: &str, wait_s: i64) -> Response {
    let problem = format!("Too many attempts. Try again in {wait_s} seconds.");
    let status = StatusCode::TOO_MANY_REQUESTS;
    let mut response = login_page(idms, request, status, username, Some(&problem));
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
    response
}

fn error_page(status: StatusCode, problem: &str) -> Response {
    tracing::info!(status = status.as_u16(), problem, "refused");
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    match (ErrorPage { problem }).render() {
        Ok(html) => (
            status,
            [(header::CONTENT_SECURITY_POLICY, policy)],
            Html(html),
        )
            .into_response(),
        Err(_) => status.into_response(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_or_else wants")]
fn failed(error: Error) -> Response {
    tracing::error!(%error, "login failed");
    error_page(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The server failed. Try again later.",
    )
}

fn redirect(redirect_uri: &str, parameters: &[(&str, &str)]) -> Response {
    let target = redirect_target(redirect_uri, parameters);
    match target.and_then(|target| HeaderValue::try_from(target).ok()) {
        Some(target) => (StatusCode::FOUND, [(header::LOCATION, target)]).into_response(),
        None => error_page(StatusCode::BAD_REQUEST, "redirect_uri is not usable"),
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}
