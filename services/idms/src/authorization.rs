//! The authorization request of the MCX profile (TS 33.180 B.4.2.2): who may be answered, and how.
//!
//! Pure: parameters and registered clients in, a checked request or a refusal out. A refusal is
//! sent to the redirect URI only when client and redirect URI are known; otherwise it is shown.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::{Client, ProfileRules};
use crate::form::Parameters;
use crate::pkce::CodeChallenge;
use crate::scopes::{OPENID, Scopes};

/// The authentication context every server of the profile supports.
pub const ACR_PASSWORD: &str = "3gpp:acr:password";

/// Longest `state` or `nonce` accepted, octets.
const MAX_OPAQUE: usize = 2048;

/// A checked authorization request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The registered client.
    pub client_id: String,
    /// One of its registered redirect URIs.
    pub redirect_uri: String,
    /// Requested scopes.
    pub scope: String,
    /// Opaque value of the client, echoed.
    pub state: String,
    /// Value for the ID token.
    pub nonce: Option<String>,
    /// S256 challenge.
    pub code_challenge: String,
    /// Login name the client suggests.
    pub login_hint: Option<String>,
}

/// A refused authorization request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Client or redirect URI unknown: tell the person, never redirect (RFC 6749 3.1.2.4).
    Shown(&'static str),
    /// Tell the client at its redirect URI (RFC 6749 4.1.2.1).
    Redirected {
        /// Registered redirect URI.
        redirect_uri: String,
        /// The client's `state`, if any.
        state: Option<String>,
        /// Error code.
        error: &'static str,
        /// What was wrong, with the clause.
        description: String,
    },
}

/// Checks the parameters of an authorization request.
///
/// # Errors
/// [`Refusal`], which says where to send the error.
pub fn check(
    parameters: &Parameters,
    clients: &[Client],
    rules: &ProfileRules,
) -> Result<AuthorizationRequest, Refusal> {
    //= TS 33.180 B.4.2.2
    let (client_id, redirect_uri) = trusted_target(parameters, clients)?;
    let state = parameters
        .value("state")
        .filter(|state| state.len() <= MAX_OPAQUE);
    let refuse = |error: &'static str, description: &str| Refusal::Redirected {
        redirect_uri: redirect_uri.to_owned(),
        state: state.map(str::to_owned),
        error,
        description: description.to_owned(),
    };
    check_openid_options(parameters).map_err(|(error, text)| refuse(error, text))?;
    let challenge = CodeChallenge::from_request(
        parameters.value("code_challenge"),
        parameters.value("code_challenge_method"),
    )
    .map_err(|e| refuse("invalid_request", &e.to_string()))?;
    let scope = parameters
        .value("scope")
        .ok_or_else(|| refuse("invalid_scope", "scope is missing (TS 33.180 B.4.2.2)"))?;
    if rules.require_openid && !Scopes::parse(scope).contains(OPENID) {
        return Err(refuse(
            "invalid_scope",
            "scope must contain openid (TS 33.180 B.4.2.2)",
        ));
    }
    if rules.require_acr_values && parameters.value("acr_values").is_none() {
        return Err(refuse(
            "invalid_request",
            "acr_values is missing (TS 33.180 B.4.2.2)",
        ));
    }
    let nonce = parameters.value("nonce");
    if nonce.is_some_and(|nonce| nonce.len() > MAX_OPAQUE) {
        return Err(refuse("invalid_request", "nonce is too long"));
    }
    let state =
        state.ok_or_else(|| refuse("invalid_request", "state is missing (TS 33.180 B.4.2.2)"))?;
    Ok(AuthorizationRequest {
        client_id: client_id.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        scope: scope.to_owned(),
        state: state.to_owned(),
        nonce: nonce.map(str::to_owned),
        code_challenge: challenge.as_str().to_owned(),
        login_hint: parameters.value("login_hint").map(str::to_owned),
    })
}

/// Client and redirect URI, both exactly as registered.
fn trusted_target<'a>(
    parameters: &'a Parameters,
    clients: &[Client],
) -> Result<(&'a str, &'a str), Refusal> {
    //= TS 33.180 B.3
    let client_id = parameters
        .value("client_id")
        .ok_or(Refusal::Shown("client_id is missing"))?;
    let client = clients
        .iter()
        .find(|client| client.client_id == client_id)
        .ok_or(Refusal::Shown("this client is not registered"))?;
    let redirect_uri = parameters
        .value("redirect_uri")
        .ok_or(Refusal::Shown("redirect_uri is missing"))?;
    if !client
        .redirect_uris
        .iter()
        .any(|registered| registered == redirect_uri)
    {
        return Err(Refusal::Shown(
            "redirect_uri is not registered for this client",
        ));
    }
    Ok((client_id, redirect_uri))
}

fn check_openid_options(parameters: &Parameters) -> Result<(), (&'static str, &'static str)> {
    match parameters.value("response_type") {
        Some("code") => {}
        Some(_) => return Err(("unsupported_response_type", "only code (TS 33.180 B.4.2.2)")),
        None => return Err(("invalid_request", "response_type is missing")),
    }
    if parameters
        .value("response_mode")
        .is_some_and(|mode| mode != "query")
    {
        return Err(("invalid_request", "response_mode must be query"));
    }
    if parameters.value("request").is_some() {
        return Err(("request_not_supported", "request objects are not supported"));
    }
    if parameters.value("request_uri").is_some() {
        return Err((
            "request_uri_not_supported",
            "request objects are not supported",
        ));
    }
    if parameters
        .value("prompt")
        .is_some_and(|prompt| prompt.split(' ').any(|p| p == "none"))
    {
        return Err(("login_required", "every login needs the user"));
    }
    Ok(())
}

/// The redirect URI with response parameters added to its query (RFC 6749 4.1.2).
#[must_use]
pub fn redirect_target(redirect_uri: &str, parameters: &[(&str, &str)]) -> Option<String> {
    let mut url = Url::parse(redirect_uri).ok()?;
    url.query_pairs_mut().extend_pairs(parameters);
    Some(url.into())
}

/// What a Content-Security-Policy must list so that the browser follows the answer of the login
/// form to `redirect_uri`.
#[must_use]
pub fn form_action_source(redirect_uri: &str) -> String {
    let Ok(url) = Url::parse(redirect_uri) else {
        return String::new();
    };
    match url.origin() {
        origin @ url::Origin::Tuple(..) => origin.ascii_serialization(),
        url::Origin::Opaque(_) => format!("{}:", url.scheme()),
    }
}

#[cfg(test)]
mod tests;
