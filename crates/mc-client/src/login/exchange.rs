//! Tokens of another domain: TS 33.180 5.1.4 and B.7. The own identity management server gives a
//! security token for the partner's (RFC 8693), which gives an access token for it (RFC 7523).

use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{AccessToken, Login, LoginError};

/// Largest token response read, octets.
const MAX_RESPONSE: usize = 64 * 1024;
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TYPE_JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// The identity management server of another domain, and what a client wants there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerConfig {
    /// Its token endpoint, which also names it to the own server.
    pub token_endpoint: String,
    /// Client identifier registered there (B.6).
    pub client_id: String,
    /// Scopes wanted there.
    pub scopes: Vec<String>,
}

/// Both answers: of B.7.3 and of B.7.5.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    token_type: String,
    #[serde(default)]
    issued_token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    scope: Option<String>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Login {
    /// Gets an access token of a partner domain for the user of `subject`.
    ///
    /// # Errors
    /// [`LoginError`]; [`LoginError::TokenRefused`] when one of the two servers does not want the
    /// user there.
    pub async fn exchange(
        &self,
        subject: &AccessToken,
        partner: &PartnerConfig,
    ) -> Result<AccessToken, LoginError> {
        let security_token = self.security_token(subject, partner).await?;
        //= TS 33.180 B.7.4
        let scope = partner.scopes.join(" ");
        let form = [
            ("grant_type", JWT_BEARER),
            ("assertion", &security_token),
            ("client_id", &partner.client_id),
            ("scope", &scope),
        ];
        let answer: TokenAnswer = self.post(&partner.token_endpoint, &form).await?;
        bearer(&answer)?;
        let scopes = match &answer.scope {
            Some(scope) => scope.split(' ').map(str::to_owned).collect(),
            None => partner.scopes.clone(),
        };
        let lifetime = answer.expires_in.unwrap_or(60);
        Ok(AccessToken {
            secret: Zeroizing::new(answer.access_token),
            expires_unix_s: self.clock.unix_s().saturating_add(lifetime),
            scopes,
        })
    }

    //= TS 33.180 B.7.2
    async fn security_token(
        &self,
        subject: &AccessToken,
        partner: &PartnerConfig,
    ) -> Result<Zeroizing<String>, LoginError> {
        let endpoint = self.oidc.token_uri().map(|url| url.as_str());
        let endpoint = endpoint.ok_or_else(|| LoginError::Discovery {
            detail: "no token endpoint".to_owned(),
        })?;
        let form = [
            ("grant_type", TOKEN_EXCHANGE),
            ("resource", &partner.token_endpoint),
            ("subject_token", subject.secret()),
            ("subject_token_type", TYPE_JWT),
            ("client_id", &self.config.client_id),
        ];
        let answer: TokenAnswer = self.post(endpoint, &form).await?;
        bearer(&answer)?;
        match answer.issued_token_type.as_deref() {
            Some(TYPE_JWT) => Ok(Zeroizing::new(answer.access_token)),
            other => Err(LoginError::TokenResponse {
                detail: format!("issued_token_type is {other:?} (TS 33.180 B.7.3)"),
            }),
        }
    }

    async fn post<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        form: &[(&str, &str)],
    ) -> Result<T, LoginError> {
        let mut request = self.token_http.post(endpoint).form(form);
        // The secret is this client's at its own server and nobody else's business.
        let own = self.oidc.token_uri().map(|url| url.as_str()) == Some(endpoint);
        if let Some(secret) = self.config.client_secret.as_ref().filter(|_| own) {
            request = request.basic_auth(&self.config.client_id, Some(secret.expose()));
        }
        let mut response = request.send().await.map_err(LoginError::unreachable)?;
        let status = response.status();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(LoginError::unreachable)? {
            if body.len().saturating_add(chunk.len()) > MAX_RESPONSE {
                let detail = "the token response is too large".to_owned();
                return Err(LoginError::TokenResponse { detail });
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|e| LoginError::TokenResponse {
                detail: e.to_string(),
            });
        }
        let refusal = serde_json::from_slice::<ErrorAnswer>(&body);
        let refusal = refusal.map_err(|_| LoginError::TokenResponse {
            detail: format!("{endpoint} answered {status}"),
        })?;
        Err(LoginError::TokenRefused {
            error: refusal.error,
            description: refusal.error_description,
        })
    }
}

fn bearer(answer: &TokenAnswer) -> Result<(), LoginError> {
    if answer.token_type.eq_ignore_ascii_case("bearer") {
        return Ok(());
    }
    Err(LoginError::TokenResponse {
        detail: format!("token_type is {}", answer.token_type),
    })
}
