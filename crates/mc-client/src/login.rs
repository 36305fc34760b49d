//! Log-in at an identity management server: TS 33.180 5.1.2 and Annex B, TS 24.482.
//!
//! [`Login`] knows a provider and an account; [`Login::log_in`] runs the authorization code flow
//! without a browser and returns a [`Session`]. [`TokenSource`] keeps a session and hands out
//! access tokens narrowed to one service, or of a partner domain, refreshed before they expire.

mod error;
mod exchange;
mod html_form;
mod source;

use std::time::{Duration, UNIX_EPOCH};

use mc_ids::McServiceId;
use mc_runtime::SharedClock;
use mc_runtime::config::Secret;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AuthenticationContextClass, AuthorizationCode, Client, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, RedirectUrl,
    RefreshToken, Scope, StandardErrorResponse, StandardTokenResponse, TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

pub use error::LoginError;
pub use exchange::PartnerConfig;
pub use source::TokenSource;

use crate::login::html_form::LoginForm;

/// The scopes of an MCPTT client or server: identity, service, keys, configuration, groups.
pub const PTT_SCOPES: [&str; 5] = [
    "openid",
    "3gpp:mc:ptt_service",
    "3gpp:mc:ptt_key_management_service",
    "3gpp:mc:ptt_config_management_service",
    "3gpp:mc:ptt_group_management_service",
];
/// The authentication context of the profile.
const ACR_PASSWORD: &str = "3gpp:acr:password";
/// Largest login page read, octets.
const MAX_PAGE: usize = 256 * 1024;
/// Redirects followed between the login form and the redirect URI.
const MAX_REDIRECTS: usize = 5;

/// Who logs in, where, as which client; part of a configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginConfig {
    /// Issuer URL of the identity management server; discovery starts from it.
    pub issuer: String,
    /// Registered client identifier.
    pub client_id: String,
    /// Secret of a confidential client (default none).
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// Registered redirect URI; it is compared, never opened.
    pub redirect_uri: String,
    /// Login name (MC ID).
    pub username: String,
    /// Password.
    pub password: Secret,
    /// Requested scopes (default: `openid` and the four `3gpp:mc:ptt_` scopes).
    #[serde(default = "ptt_scopes")]
    pub scopes: Vec<String>,
}

fn ptt_scopes() -> Vec<String> {
    PTT_SCOPES.map(str::to_owned).to_vec()
}

/// The MC claims of an ID token (TS 33.180 B.2.1.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct McClaims {
    /// MCPTT ID.
    #[serde(default)]
    pub mcptt_id: Option<String>,
    /// `MCVideo` ID.
    #[serde(default)]
    pub mcvideo_id: Option<String>,
    /// `MCData` ID.
    #[serde(default)]
    pub mcdata_id: Option<String>,
}

impl AdditionalClaims for McClaims {}

type McTokenResponse = StandardTokenResponse<
    IdTokenFields<
        McClaims,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;

type OidcClient = Client<
    McClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    McTokenResponse,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider whose metadata was read, and an account there.
#[derive(Debug, Clone)]
pub struct Login {
    oidc: OidcClient,
    token_http: reqwest::Client,
    http: mc_runtime::http::ClientConfig,
    config: LoginConfig,
    clock: SharedClock,
}

/// An access token and when to renew it.
#[derive(Clone)]
pub struct AccessToken {
    secret: Zeroizing<String>,
    expires_unix_s: u64,
    scopes: Vec<String>,
}

impl AccessToken {
    /// The token as it goes on the wire.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// End of validity, seconds since the Unix epoch.
    #[must_use]
    pub fn expires_unix_s(&self) -> u64 {
        self.expires_unix_s
    }

    /// The granted scopes.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessToken")
            .field("secret", &format_args!("[{} bytes]", self.secret.len()))
            .field("expires_unix_s", &self.expires_unix_s)
            .field("scopes", &self.scopes)
            .finish()
    }
}

/// What a successful log-in gives: identity, access token, the means to renew it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The MCPTT ID from the validated ID token.
    pub mcptt_id: McServiceId,
    /// The user at the provider.
    pub subject: String,
    /// The access token with all granted scopes.
    pub access_token: AccessToken,
    refresh_token: Option<RefreshToken>,
}

impl Login {
    /// Reads the provider's metadata and keys.
    ///
    /// # Errors
    /// [`LoginError`] when the configuration is not usable or the provider not reachable.
    pub async fn discover(
        config: LoginConfig,
        http: mc_runtime::http::ClientConfig,
        clock: SharedClock,
    ) -> Result<Self, LoginError> {
        let local = |what: &str, e: &dyn std::fmt::Display| LoginError::Configuration {
            detail: format!("{what}: {e}"),
        };
        let token_http = mc_runtime::http::client(&http).map_err(|e| local("HTTP client", &e))?;
        let issuer = IssuerUrl::new(config.issuer.clone()).map_err(|e| local("issuer", &e))?;
        let redirect =
            RedirectUrl::new(config.redirect_uri.clone()).map_err(|e| local("redirect_uri", &e))?;
        let metadata = CoreProviderMetadata::discover_async(issuer, &token_http)
            .await
            .map_err(|e| LoginError::discovery(&e))?;
        let oidc = Client::from_provider_metadata(
            metadata,
            ClientId::new(config.client_id.clone()),
            config
                .client_secret
                .as_ref()
                .map(|s| ClientSecret::new(s.expose().to_owned())),
        )
        .set_redirect_uri(redirect);
        Ok(Self {
            oidc,
            token_http,
            http,
            config,
            clock,
        })
    }

    /// Runs the authorization code flow with the configured account.
    ///
    /// # Errors
    /// [`LoginError`] naming the step and clause.
    pub async fn log_in(&self) -> Result<Session, LoginError> {
        //= TS 33.180 B.4.2.2
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let scopes = self.config.scopes.iter().filter(|scope| *scope != "openid");
        let (url, state, nonce) = self
            .oidc
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(scopes.map(|scope| Scope::new(scope.clone())))
            .add_auth_context_value(AuthenticationContextClass::new(ACR_PASSWORD.to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        let answer = self.post_login_form(url).await?;
        let code = authorization_code(&answer, state.secret())?;
        //= TS 33.180 B.4.2.4
        let response = self
            .oidc
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|e| LoginError::Configuration {
                detail: e.to_string(),
            })?
            .set_pkce_verifier(verifier)
            .request_async(&self.token_http)
            .await
            .map_err(LoginError::token)?;
        self.session(&response, &nonce)
    }

    /// Renews a session for `scopes` (none: all of the original grant); its refresh token is
    /// replaced by the new one (TS 33.180 B.5).
    ///
    /// # Errors
    /// [`LoginError`]; after [`LoginError::TokenRefused`] the user has to log in again.
    pub async fn refresh(
        &self,
        session: &mut Session,
        scopes: &[&str],
    ) -> Result<AccessToken, LoginError> {
        //= TS 33.180 B.5
        let refresh = session
            .refresh_token
            .clone()
            .ok_or(LoginError::NoRefreshToken)?;
        let response = self
            .oidc
            .exchange_refresh_token(&refresh)
            .map_err(|e| LoginError::Configuration {
                detail: e.to_string(),
            })?
            .add_scopes(scopes.iter().map(|scope| Scope::new((*scope).to_owned())))
            .request_async(&self.token_http)
            .await
            .map_err(LoginError::token)?;
        if let Some(rotated) = response.refresh_token() {
            session.refresh_token = Some(rotated.clone());
        }
        let token = self.access_token(&response, scopes);
        match scopes
            .iter()
            .find(|scope| !token.scopes.iter().any(|granted| granted == *scope))
        {
            Some(missing) => Err(LoginError::ScopeNotGranted {
                scope: (*missing).to_owned(),
            }),
            None => Ok(token),
        }
    }

    fn session(&self, response: &McTokenResponse, nonce: &Nonce) -> Result<Session, LoginError> {
        //= TS 33.180 B.2.1
        let bad = |detail: String| LoginError::IdToken { detail };
        let id_token = response
            .id_token()
            .ok_or_else(|| bad("none was issued".to_owned()))?;
        let clock = self.clock.clone();
        let verifier = self
            .oidc
            .id_token_verifier()
            .set_time_fn(move || (UNIX_EPOCH + clock.unix()).into());
        let claims = id_token
            .claims(&verifier, nonce)
            .map_err(|e| bad(e.to_string()))?;
        let mcptt_id = claims.additional_claims().mcptt_id.as_deref();
        let mcptt_id = mcptt_id
            .ok_or_else(|| bad("mcptt_id is missing (TS 33.180 B.2.1.3)".to_owned()))?
            .parse::<McServiceId>()
            .map_err(|e| bad(format!("mcptt_id: {e}")))?;
        Ok(Session {
            mcptt_id,
            subject: claims.subject().to_string(),
            access_token: self.access_token(response, &[]),
            refresh_token: response.refresh_token().cloned(),
        })
    }

    /// The access token of a response; without a `scope` member the requested ones were granted
    /// (RFC 6749 5.1).
    fn access_token(&self, response: &McTokenResponse, requested: &[&str]) -> AccessToken {
        //= TS 33.180 B.4.2.5
        let lifetime = response
            .expires_in()
            .unwrap_or(Duration::from_secs(60))
            .as_secs();
        let scopes = match response.scopes() {
            Some(scopes) => scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            None if requested.is_empty() => self.config.scopes.clone(),
            None => requested.iter().map(|scope| (*scope).to_owned()).collect(),
        };
        AccessToken {
            secret: Zeroizing::new(response.access_token().secret().clone()),
            expires_unix_s: self.clock.unix_s().saturating_add(lifetime),
            scopes,
        }
    }

    /// Fetches the login page, posts its form, and returns the redirect to the client.
    async fn post_login_form(&self, page_url: Url) -> Result<Url, LoginError> {
        //= TS 33.180 B.4.2.3
        let http = mc_runtime::http::client_builder(&self.http)
            .map_err(|e| LoginError::Configuration {
                detail: e.to_string(),
            })?
            .cookie_store(true)
            .build()
            .map_err(|e| LoginError::Configuration {
                detail: e.to_string(),
            })?;
        let page = http
            .get(page_url.clone())
            .send()
            .await
            .map_err(LoginError::unreachable)?;
        if let Some(answer) = self.redirect_to_client(&page, &page_url) {
            return Ok(answer);
        }
        let form = LoginForm::find(&bounded_text(page).await?).ok_or(LoginError::NoLoginForm)?;
        let mut target = page_url.join(&form.action).map_err(|e| LoginError::Page {
            detail: e.to_string(),
        })?;
        let mut fields = form.hidden;
        fields.push((form.username, self.config.username.clone()));
        fields.push((form.password, self.config.password.expose().to_owned()));
        let mut response = http
            .post(target.clone())
            .form(&fields)
            .send()
            .await
            .map_err(LoginError::unreachable)?;
        for _ in 0..MAX_REDIRECTS {
            if let Some(answer) = self.redirect_to_client(&response, &target) {
                return Ok(answer);
            }
            let Some(next) = location(&response, &target) else {
                return Err(refused(&response));
            };
            target = next;
            response = http
                .get(target.clone())
                .send()
                .await
                .map_err(LoginError::unreachable)?;
        }
        Err(LoginError::Page {
            detail: "too many redirects".to_owned(),
        })
    }

    /// The redirect of `response`, if it leads to the client's redirect URI.
    fn redirect_to_client(&self, response: &reqwest::Response, base: &Url) -> Option<Url> {
        let target = location(response, base)?;
        let registered = Url::parse(&self.config.redirect_uri).ok()?;
        let same = |part: fn(&Url) -> Option<String>| part(&target) == part(&registered);
        let fits = same(|u| Some(u.scheme().to_owned()))
            && same(|u| u.host_str().map(str::to_owned))
            && same(|u| u.port().map(|port| port.to_string()))
            && same(|u| Some(u.path().to_owned()));
        fits.then_some(target)
    }
}

fn location(response: &reqwest::Response, base: &Url) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    let value = response
        .headers()
        .get(reqwest::header::LOCATION)?
        .to_str()
        .ok()?;
    base.join(value).ok()
}

fn refused(response: &reqwest::Response) -> LoginError {
    let retry = response.headers().get(reqwest::header::RETRY_AFTER);
    let retry_after_s = retry
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok());
    match response.status().as_u16() {
        429 => LoginError::TooManyAttempts { retry_after_s },
        200 | 401 | 403 => LoginError::CredentialsRefused,
        status => LoginError::Page {
            detail: format!("the login form answered {status}"),
        },
    }
}

async fn bounded_text(mut response: reqwest::Response) -> Result<String, LoginError> {
    let mut page = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(LoginError::unreachable)? {
        if page.len().saturating_add(chunk.len()) > MAX_PAGE {
            return Err(LoginError::Page {
                detail: "the login page is too large".to_owned(),
            });
        }
        page.extend_from_slice(&chunk);
    }
    String::from_utf8(page).map_err(|e| LoginError::Page {
        detail: e.to_string(),
    })
}

/// The code of an authorization response whose `state` is ours.
fn authorization_code(answer: &Url, state: &str) -> Result<String, LoginError> {
    //= TS 33.180 B.4.2.3
    let value = |name: &str| {
        answer
            .query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    if value("state").as_deref() != Some(state) {
        return Err(LoginError::StateMismatch);
    }
    if let Some(error) = value("error") {
        let description = value("error_description").unwrap_or_default();
        return Err(LoginError::AuthorizationRefused { error, description });
    }
    value("code").ok_or(LoginError::NoCode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_with_our_state_yields_a_code() {
        let answer = |query: &str| Url::parse(&format!("http://localhost/cb?{query}")).unwrap();
        assert_eq!(
            authorization_code(&answer("code=a&state=s"), "s").unwrap(),
            "a"
        );
        let refused = |query: &str| authorization_code(&answer(query), "s").unwrap_err();
        assert!(matches!(
            refused("code=a&state=S"),
            LoginError::StateMismatch
        ));
        assert!(matches!(refused("code=a"), LoginError::StateMismatch));
        assert!(matches!(refused("state=s"), LoginError::NoCode));
        assert!(matches!(
            refused("state=s&error=access_denied&code=a"),
            LoginError::AuthorizationRefused { .. }
        ));
    }
}
