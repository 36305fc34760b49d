//! External users made on the fly at the servers of the gateway's own domain (TR 33.880 7.8.4, A4-3):
//! a user at its KMS, an account at its identity management server, a member in the groups of the
//! talkgroups.

mod made;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mc_client::ClientConfig;
use mc_client::login::{Login, LoginConfig, LoginError, TokenSource};
use mc_ids::{GroupId, McServiceId};
use mc_runtime::auth::SCOPE_GMS;
use mc_runtime::clock::SharedClock;
use mc_runtime::http::{self, HttpError};
use reqwest::RequestBuilder;
use serde_json::json;

use self::made::{Made, MadeError};
use crate::audit::{Audit, Occurrence, Record};
use crate::config::{Config, OperatorConfig, ProvisionConfig, UnitIdentities};

/// Over which attempts are counted.
const MINUTE: Duration = Duration::from_secs(60);
/// How often a group is tried that others change at the same time.
const ENROL_ATTEMPTS: u32 = 3;

/// Why a user is not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotMade {
    #[error("no client is {0}")]
    Unknown(McServiceId),
    #[error("as many users as are allowed have been made")]
    TooMany,
    #[error("users are made too fast")]
    TooFast,
    #[error("the user was not made within the call set-up time")]
    TooLate,
    #[error("{0} does not make the user: {1}")]
    Refused(&'static str, String),
    #[error("the gateway's own account: {0}")]
    Account(#[from] LoginError),
    #[error(transparent)]
    State(#[from] MadeError),
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// Makes users, within bounds.
#[derive(Debug)]
pub(super) struct Provisioner {
    provision: ProvisionConfig,
    identities: UnitIdentities,
    /// Whose client configurations those of the users are.
    config: Config,
    http: reqwest::Client,
    clock: SharedClock,
    audit: Audit,
    bounds: Mutex<Bounds>,
    /// The gateway's own log-in, once it was needed.
    account: tokio::sync::Mutex<Option<TokenSource>>,
}

/// What has been made so far.
#[derive(Debug)]
struct Bounds {
    made: Made,
    attempts: VecDeque<Instant>,
}

impl Bounds {
    /// Whether one more may be tried; it counts as tried then, and as made for good.
    fn admit(
        &mut self,
        identity: &McServiceId,
        provision: &ProvisionConfig,
        now: Instant,
    ) -> Result<(), NotMade> {
        if !self.made.contains(identity) && self.made.len() >= provision.most {
            return Err(NotMade::TooMany);
        }
        while let Some(first) = self.attempts.front()
            && now.duration_since(*first) >= MINUTE
        {
            self.attempts.pop_front();
        }
        if self.attempts.len() >= provision.per_minute {
            return Err(NotMade::TooFast);
        }
        self.attempts.push_back(now);
        self.made.add(identity)?;
        Ok(())
    }
}

impl Provisioner {
    /// The one of a gateway that makes users.
    pub(super) fn of(
        config: &Config,
        clock: SharedClock,
        audit: Audit,
    ) -> Result<Option<Self>, NotMade> {
        let Some(provision) = config.provision.clone() else {
            return Ok(None);
        };
        let bounds = Bounds {
            made: Made::open(&provision.state_dir)?,
            attempts: VecDeque::new(),
        };
        Ok(Some(Self {
            identities: provision.identities(),
            http: http::client(&config.mc.http)?,
            config: config.clone(),
            provision,
            clock,
            audit,
            bounds: Mutex::new(bounds),
            account: tokio::sync::Mutex::default(),
        }))
    }

    /// Makes a user whose unit is on the air for the first time; what its client is told.
    pub(super) async fn make(&self, identity: &McServiceId) -> Result<ClientConfig, NotMade> {
        let unit = self.identities.unit(identity.as_str());
        let unit = unit.ok_or_else(|| NotMade::Unknown(identity.clone()))?;
        let mut client = self.config.client_of(unit);
        {
            let mut bounds = self.bounds();
            bounds.admit(identity, &self.provision, Instant::now())?;
            if let Some(password) = bounds.made.password(identity) {
                client.login.password = password;
            }
        }
        let patience = Duration::from_millis(self.config.limits.grant_wait_ms);
        let making = async {
            tokio::try_join!(
                self.at_kms(identity),
                self.at_idms(&client.login, identity),
                self.in_groups(&client, identity),
            )
        };
        let made = tokio::time::timeout(patience, making).await;
        made.unwrap_or(Err(NotMade::TooLate))?;
        self.audit
            .write(&Record::of_user(Occurrence::UserMade, unit, identity));
        Ok(client)
    }

    fn bounds(&self) -> MutexGuard<'_, Bounds> {
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn at_kms(&self, identity: &McServiceId) -> Result<(), NotMade> {
        let path = format!("admin/users/{}", escaped(identity.as_str()));
        done("KMS", self.operator("KMS", &self.provision.kms, &path)?).await
    }

    async fn at_idms(&self, login: &LoginConfig, identity: &McServiceId) -> Result<(), NotMade> {
        let path = format!("admin/users/{}", escaped(&login.username));
        let account = json!({
            "username": login.username,
            "password": login.password.expose(),
            "mcptt_id": identity.as_str(),
        });
        let request = self.operator("IdMS", &self.provision.idms, &path)?;
        done("IdMS", request.json(&account)).await
    }

    fn operator(
        &self,
        whose: &'static str,
        at: &OperatorConfig,
        path: &str,
    ) -> Result<RequestBuilder, NotMade> {
        let unreadable = |error: std::io::Error| {
            let file = at.token_file.display();
            NotMade::Refused(whose, format!("{file}: {error}"))
        };
        let token = std::fs::read_to_string(&at.token_file).map_err(unreadable)?;
        let url = format!("{}/{path}", at.url.trim_end_matches('/'));
        Ok(self.http.put(url).bearer_auth(token.trim()))
    }

    /// Brings the user into the groups of all talkgroups, in the gateway's name.
    async fn in_groups(&self, client: &ClientConfig, member: &McServiceId) -> Result<(), NotMade> {
        if self.provision.enrolment.is_none() {
            return Ok(());
        }
        let account = self.account().await?;
        for group in &client.groups {
            self.in_group(&account, client, group, member).await?;
        }
        Ok(())
    }

    //= TR 33.880 7.8.4.3
    async fn in_group(
        &self,
        account: &TokenSource,
        client: &ClientConfig,
        group: &GroupId,
        member: &McServiceId,
    ) -> Result<(), NotMade> {
        let home = client.home_of(group);
        let token = match &home.partner {
            Some(partner) => account.partner_token(partner).await?,
            None => account.token(SCOPE_GMS).await?,
        };
        let root = home.xcap_root.trim_end_matches('/');
        let (group, user) = (escaped(group.as_str()), escaped(member.as_str()));
        let url = format!("{root}/admin/groups/{group}/members/{user}");
        let asserted = format!("\"{member}\"");
        let mut attempt = 1;
        loop {
            let request = self.http.put(&url).bearer_auth(token.secret());
            let request = request.header("X-3GPP-Asserted-Identity", &asserted);
            match answer("GMS", request).await? {
                // Somebody else has changed the group meanwhile.
                (412, _) if attempt < ENROL_ATTEMPTS => attempt += 1,
                (200..=299, _) => return Ok(()),
                (status, detail) => return Err(refused("GMS", status, &detail)),
            }
        }
    }

    /// Logs the gateway itself in, so that the first user does not wait for it.
    pub(super) async fn log_in(&self) {
        if self.provision.enrolment.is_none() {
            return;
        }
        if let Err(error) = self.account().await {
            tracing::warn!(%error, "not ready to bring users into groups; tried again with the first");
        }
    }

    async fn account(&self) -> Result<TokenSource, NotMade> {
        let mut account = self.account.lock().await;
        if let Some(account) = &*account {
            return Ok(account.clone());
        }
        let mut login = self.config.mc.login.clone();
        if let Some(own) = &self.provision.enrolment {
            login.username.clone_from(&own.username);
            if let Some(password) = &own.password {
                login.password = password.clone();
            }
        }
        let (http, clock) = (self.config.mc.http.clone(), self.clock.clone());
        let login = Login::discover(login, http, clock).await?;
        let tokens = TokenSource::start(login).await?;
        *account = Some(tokens.clone());
        Ok(tokens)
    }
}

async fn done(whose: &'static str, request: RequestBuilder) -> Result<(), NotMade> {
    match answer(whose, request).await? {
        (200..=299, _) => Ok(()),
        (status, detail) => Err(refused(whose, status, &detail)),
    }
}

async fn answer(whose: &'static str, request: RequestBuilder) -> Result<(u16, String), NotMade> {
    let failed = |error: reqwest::Error| NotMade::Refused(whose, error.without_url().to_string());
    let response = request.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    Ok((status, response.text().await.unwrap_or_default()))
}

fn refused(whose: &'static str, status: u16, detail: &str) -> NotMade {
    let short: String = detail.chars().take(200).collect();
    NotMade::Refused(whose, format!("{status} {short}"))
}

/// An identity as one segment of a path.
fn escaped(identity: &str) -> String {
    let mut path = String::with_capacity(identity.len());
    for byte in identity.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::interconnected;

    #[test]
    fn users_are_bounded_in_number_and_rate() {
        let provision = ProvisionConfig {
            most: 2,
            per_minute: 3,
            ..interconnected("7.4").provision.unwrap()
        };
        let id = |unit| McServiceId::new(format!("sip:unit-{unit}@segy.example")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let opened = || Bounds {
            made: Made::open(dir.path()).unwrap(),
            attempts: VecDeque::new(),
        };
        let (mut bounds, start) = (opened(), Instant::now());
        let mut admit = |unit, now| bounds.admit(&id(unit), &provision, now).is_ok();
        let both = [1, 2, 1].map(|unit| admit(unit, start));
        assert_eq!(both, [true; 3]);
        assert!(!admit(2, start + MINUTE / 2), "too fast");
        assert!(admit(2, start + MINUTE), "a minute later");

        // Both places are taken, and stay so after a restart.
        for mut bounds in [bounds, opened()] {
            let later = start + MINUTE * 3;
            let refused = bounds.admit(&id(3), &provision, later).unwrap_err();
            assert!(matches!(refused, NotMade::TooMany), "{refused}");
            bounds.admit(&id(1), &provision, later).unwrap();
        }
    }

    #[test]
    fn an_identity_is_one_segment_of_a_path() {
        let path = escaped("sip:unit-1@segy.example/../x?y");
        assert_eq!(path, "sip%3Aunit-1%40segy.example%2F..%2Fx%3Fy");
    }
}
