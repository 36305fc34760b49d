//! A browser in the hands of a tester: each step of the flow by itself, each parameter free.

use std::collections::BTreeMap;

use reqwest::header::LOCATION;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

use crate::lab::{Lab, PASSWORD, REDIRECT_URI};

// RFC 7636 Appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) type Parameters = BTreeMap<String, String>;

pub(crate) struct Browser {
    pub(crate) http: Client,
    pub(crate) issuer: String,
}

pub(crate) fn parameters(pairs: &[(&str, &str)]) -> Parameters {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

pub(crate) fn authorization() -> Parameters {
    parameters(&[
        ("response_type", "code"),
        ("client_id", "mcptt_client"),
        (
            "scope",
            "openid 3gpp:mc:ptt_service 3gpp:mc:ptt_key_management_service",
        ),
        ("redirect_uri", REDIRECT_URI),
        ("state", "state-1"),
        ("nonce", "nonce-1"),
        ("acr_values", "3gpp:acr:password"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ])
}

pub(crate) fn exchange(code: &str) -> Parameters {
    parameters(&[
        ("grant_type", "authorization_code"),
        ("code", code),
        ("client_id", "mcptt_client"),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ])
}

pub(crate) fn refresh(token: &str) -> Parameters {
    parameters(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", "mcptt_client"),
    ])
}

/// The query of the redirect in a response.
pub(crate) fn redirect(response: &Response) -> Option<BTreeMap<String, String>> {
    let location = response.headers().get(LOCATION)?.to_str().unwrap();
    Some(
        Url::parse(location)
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect(),
    )
}

impl Browser {
    pub(crate) fn new(lab: &Lab) -> Self {
        let builder = mc_runtime::http::client_builder(&lab.ca.client()).unwrap();
        Self {
            http: builder.cookie_store(true).build().unwrap(),
            issuer: lab.issuer.clone(),
        }
    }

    pub(crate) async fn authorize(&self, parameters: &Parameters) -> Response {
        let url = format!("{}/idms/authorize", self.issuer);
        self.http.get(url).query(parameters).send().await.unwrap()
    }

    /// The ticket of a login page.
    pub(crate) async fn ticket(&self, parameters: &Parameters) -> String {
        let response = self.authorize(parameters).await;
        assert_eq!(response.status(), StatusCode::OK);
        let page = response.text().await.unwrap();
        let (_, rest) = page.split_once(r#"name="ticket" value=""#).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    pub(crate) async fn post_login(&self, ticket: &str, name: &str, password: &str) -> Response {
        let form = parameters(&[
            ("ticket", ticket),
            ("username", name),
            ("password", password),
        ]);
        self.http
            .post(format!("{}/idms/login", self.issuer))
            .form(&form)
            .send()
            .await
            .unwrap()
    }

    /// Logs alice in and returns the code.
    pub(crate) async fn code(&self) -> String {
        let ticket = self.ticket(&authorization()).await;
        let response = self.post_login(&ticket, "alice", PASSWORD).await;
        assert_eq!(response.status(), StatusCode::FOUND);
        let answer = redirect(&response).unwrap();
        assert_eq!(answer["state"], "state-1");
        assert_eq!(answer["iss"], self.issuer);
        answer["code"].clone()
    }

    pub(crate) async fn token(&self, parameters: &Parameters) -> (StatusCode, Value) {
        let url = format!("{}/idms/token", self.issuer);
        let response = self.http.post(url).form(parameters).send().await.unwrap();
        assert_eq!(response.headers()["cache-control"], "no-store");
        (response.status(), response.json().await.unwrap())
    }

    /// The token response of a fresh log-in.
    pub(crate) async fn tokens(&self) -> Value {
        let (status, body) = self.token(&exchange(&self.code().await)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    pub(crate) async fn userinfo(&self, token: &str) -> (StatusCode, Value) {
        let url = format!("{}/idms/userinfo", self.issuer);
        let response = self.http.get(url).bearer_auth(token).send().await.unwrap();
        if !response.status().is_success() {
            let challenge = response.headers()["www-authenticate"].to_str().unwrap();
            assert_eq!(challenge, "Bearer error=\"invalid_token\"");
        }
        (response.status(), response.json().await.unwrap())
    }
}
