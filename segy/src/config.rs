//! The configuration of the gateway; `deploy/lab/segy.toml` is a sample.

mod provision;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mc_client::{ClientConfig, InterconnectionConfig};
use mc_ids::{GroupId, McServiceId};
use mc_runtime::http::ServerConfig;
use mc_runtime::logging::LogConfig;
use mc_runtime::trace::TraceConfig;
use serde::Deserialize;

pub use crate::integrated::IntegratedConfig;
pub use provision::{
    AccountConfig, IdentityTemplate, OperatorConfig, ProvisionConfig, TemplateError,
    UnitIdentities, UnitPattern,
};

use crate::approach::{Approach, Attachment, KeySource, Population, Profile};
use crate::bridge::Timing;
use crate::unencrypted::ExternalConfig;
use crate::user_map::{Represented, UserMap};

/// Most talkgroups of one gateway.
const MAX_TALKGROUPS: usize = 1000;

/// Everything `segy.toml` may hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which approach of TR 33.880 clause 7.8, by its number (`7.1`).
    pub approach: Approach,
    /// MCPTT ID of a gateway that is one user; its token must name the same. A gateway that is many
    /// has those of `users`.
    #[serde(default)]
    pub mcptt_id: Option<McServiceId>,
    /// Log settings.
    #[serde(default)]
    pub log: LogConfig,
    /// Address of `/health` and `/status`. Default plain HTTP on 127.0.0.1:8447.
    #[serde(default = "default_http")]
    pub http: ServerConfig,
    /// The MC side: the client that the gateway is. Its `groups` come from `talkgroups`, its
    /// `functional_aliases` from `users`. For a gateway that is many clients, `{unit}` in `node`,
    /// `state_dir`, `login.username` and `sip.impu` stands for the unit number of each.
    pub mc: ClientConfig,
    /// The interconnection that all clients share, for a gateway that is attached by one; then `mc`
    /// has no `sip`.
    #[serde(default)]
    pub interconnection: Option<InterconnectionConfig>,
    /// When the clients of a gateway that is many are started (default `at_start`).
    #[serde(default)]
    pub provisioning: Provisioning,
    /// External users that are in no list and made when they speak or call for the first time, within
    /// `limits.grant_wait_ms` (default none). Only for a gateway with a KMS of its own.
    #[serde(default)]
    pub provision: Option<ProvisionConfig>,
    /// Servers of the gateway's own domain that run in its process (default none: they are processes
    /// of their own).
    #[serde(default)]
    pub integrated: IntegratedConfig,
    /// The external side.
    pub external: ExternalConfig,
    /// Talkgroups and their MC groups; a talkgroup that is not listed is not connected.
    pub talkgroups: Vec<TalkgroupConfig>,
    /// External users that may speak, and as whom (default none).
    #[serde(default)]
    pub users: Vec<UserConfig>,
    /// Functional alias under which all other external users speak. Default none: they are refused.
    #[serde(default)]
    pub unmapped_alias: Option<String>,
    /// Private calls of external users.
    #[serde(default)]
    pub private_calls: PrivateCallConfig,
    /// How MC users are shown on the external side.
    #[serde(default)]
    pub display: DisplayConfig,
    /// Limits of calls.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// File that gets each termination of protection and each refusal as a line of JSON, appended.
    /// Default none: they are in the log only.
    #[serde(default)]
    pub audit: Option<PathBuf>,
    /// Trace events.
    #[serde(default)]
    pub trace: TraceConfig,
}

impl mc_runtime::service::ServiceConfig for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }
}

fn default_http() -> ServerConfig {
    ServerConfig::plain(SocketAddr::from(([127, 0, 0, 1], 8447)))
}

/// One talkgroup.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TalkgroupConfig {
    /// Name on the external side; for an analogue channel its number.
    pub talkgroup: String,
    /// The MC group.
    pub group: GroupId,
}

/// One external user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    /// Unit number on the external side.
    pub unit: String,
    /// Functional alias he speaks under and is called by, when the gateway is one user.
    #[serde(default)]
    pub functional_alias: Option<String>,
    /// MCPTT ID of his own, when the gateway is many users; his token must name the same.
    #[serde(default)]
    pub mcptt_id: Option<McServiceId>,
}

/// When the clients of a gateway that is many are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provisioning {
    /// With the gateway: every external user hears and is reached at once.
    #[default]
    AtStart,
    /// When its external user speaks or calls for the first time, which has to fit into
    /// `limits.grant_wait_ms`. Until then nobody hears or reaches him.
    OnDemand,
}

/// Private calls.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrivateCallConfig {
    /// Seconds a called party may take to answer. Default 40.
    pub answer_s: u64,
    /// Most private calls at a time. Default 16.
    pub most: usize,
    /// Whether called MC users are alerted, whatever they have set. Default false: their setting
    /// decides.
    pub manual_commencement: bool,
    /// Dialled addresses that are functional aliases of MC users; all others are MCPTT IDs. Default
    /// none.
    pub functional_aliases: BTreeSet<String>,
}

impl Default for PrivateCallConfig {
    fn default() -> Self {
        Self {
            answer_s: 40,
            most: 16,
            manual_commencement: false,
            functional_aliases: BTreeSet::new(),
        }
    }
}

/// How MC users are shown on the external side.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DisplayConfig {
    /// Unit number of MC users without one of their own. Default `0`.
    pub reserved_unit: String,
    /// Unit numbers of MC users. Default none.
    pub units: Vec<UnitConfig>,
}

impl Default for DisplayConfig {
    fn default() -> Self {
        Self {
            reserved_unit: "0".to_owned(),
            units: Vec::new(),
        }
    }
}

/// The unit number of one MC user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitConfig {
    /// MCPTT ID or functional alias.
    pub mc_user: String,
    /// Unit number.
    pub unit: String,
}

/// Limits of calls.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Longest wait for the floor, milliseconds; as much speech is kept meanwhile. Default 2000.
    pub grant_wait_ms: u64,
    /// Longest talk burst of an external user, seconds; the floor control server may allow less.
    /// Default 60.
    pub talk_s: u64,
    /// How long a call in which nobody talks is kept, seconds; longer than the hang time of the
    /// group, which ends it first. Default 120.
    pub hang_s: u64,
    /// Silence after which an MC user has finished although no Floor Idle came, milliseconds
    /// (T103 of TS 24.380 11.1). Default 4000.
    pub speech_end_ms: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            grant_wait_ms: 2000,
            talk_s: 60,
            hang_s: 120,
            speech_end_ms: 4000,
        }
    }
}

impl LimitsConfig {
    /// As a bridge takes them.
    #[must_use]
    pub const fn timing(&self) -> Timing {
        Timing {
            grant_wait: Duration::from_millis(self.grant_wait_ms),
            talk_limit: Duration::from_secs(self.talk_s),
            hang: Duration::from_secs(self.hang_s),
            speech_end: Duration::from_millis(self.speech_end_ms),
            announce_wait: Duration::from_millis(100),
            // T100 and C100 together are below 6 s (TS 24.380 11.1).
            release_wait: Duration::from_secs(6),
            tail: Duration::from_millis(60),
        }
    }
}

/// Why a configuration that can be read cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value contradicts another.
    #[error("{field}: {detail}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong.
        detail: String,
    },
}

fn wrong(field: &'static str, detail: impl Into<String>) -> ConfigError {
    ConfigError::Field {
        field,
        detail: detail.into(),
    }
}

impl Config {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// See [`ConfigError`]; the field is named.
    pub fn check(&self) -> Result<(), ConfigError> {
        let profile = self.approach.profile();
        self.check_attachment(profile.attachment)?;
        self.check_identities(profile.population)?;
        self.check_provision(profile)?;
        if !self.mc.groups.is_empty() {
            return Err(wrong("mc.groups", "the groups are those of `talkgroups`"));
        }
        if !self.mc.functional_aliases.is_empty() {
            let detail = "the aliases are those of `users`";
            return Err(wrong("mc.functional_aliases", detail));
        }
        if self.talkgroups.is_empty() || self.talkgroups.len() > MAX_TALKGROUPS {
            let detail = format!("between 1 and {MAX_TALKGROUPS} are needed");
            return Err(wrong("talkgroups", detail));
        }
        let talkgroups = self.talkgroups.iter().map(|t| t.talkgroup.as_str());
        unique("talkgroups.talkgroup", talkgroups)?;
        // Two talkgroups on one group would hear each other through it.
        unique(
            "talkgroups.group",
            self.talkgroups.iter().map(|t| t.group.as_str()),
        )?;
        unique("users.unit", self.users.iter().map(|u| u.unit.as_str()))?;
        for limit in [
            self.private_calls.answer_s,
            self.limits.grant_wait_ms,
            self.limits.talk_s,
            self.limits.speech_end_ms,
        ] {
            if limit == 0 {
                return Err(wrong("limits", "0 would end every call at once"));
            }
        }
        if self.limits.grant_wait_ms > 10_000 {
            return Err(wrong("limits.grant_wait_ms", "at most 10000"));
        }
        self.external
            .check(self.talkgroups.iter().map(|t| t.talkgroup.as_str()))
    }

    /// How the gateway is attached has to fit the approach.
    fn check_attachment(&self, attachment: Attachment) -> Result<(), ConfigError> {
        let registers = match attachment {
            Attachment::Client => true,
            Attachment::MigratedClient | Attachment::InterconnectedDomain => false,
        };
        if self.mc.sip.is_some() != registers {
            let detail = "is there for clients that register, and only for them";
            return Err(wrong("mc.sip", detail));
        }
        if self.interconnection.is_some() == registers {
            let detail = "is there for a gateway that is attached by one, and only for it";
            return Err(wrong("interconnection", detail));
        }
        Ok(())
    }

    /// Who the gateway is has to fit the approach.
    fn check_identities(&self, population: Population) -> Result<(), ConfigError> {
        let single = population == Population::Single;
        if self.mcptt_id.is_some() != single {
            let detail = "is there for a gateway that is one user, and only for it";
            return Err(wrong("mcptt_id", detail));
        }
        for user in &self.users {
            let (alias, id) = (user.functional_alias.is_some(), user.mcptt_id.is_some());
            if (alias, id) != (single, !single) {
                let needed = if single {
                    "functional_alias"
                } else {
                    "mcptt_id"
                };
                let detail = format!("unit {} needs a {needed} and nothing else", user.unit);
                return Err(wrong("users", detail));
            }
        }
        let ids = self.users.iter().filter_map(|user| user.mcptt_id.as_ref());
        unique("users.mcptt_id", ids.map(McServiceId::as_str))?;
        if !single && self.unmapped_alias.is_some() {
            let detail = "nobody can stand for others when each user is one of his own";
            return Err(wrong("unmapped_alias", detail));
        }
        if single && self.provisioning != Provisioning::AtStart {
            return Err(wrong("provisioning", "one client is always there"));
        }
        Ok(())
    }

    /// Only a gateway with a KMS of its own makes users in it, and only one that is many needs them.
    fn check_provision(&self, profile: Profile) -> Result<(), ConfigError> {
        let Some(provision) = &self.provision else {
            return Ok(());
        };
        let own = profile.key_source == KeySource::PseudoKms;
        if !own || profile.population != Population::PerExternalUser {
            let detail = "is for a gateway whose users are of its own domain, one for each unit";
            return Err(wrong("provision", detail));
        }
        provision.check(&self.users)
    }

    /// The MC clients by their identity. Groups and functional aliases are those of the maps; private
    /// calls wait for an answer, for the gateway decides who is behind it.
    #[must_use]
    pub fn clients(&self) -> BTreeMap<McServiceId, ClientConfig> {
        let common = self.common_client();
        if let Some(own) = &self.mcptt_id {
            let aliases = self.users.iter().filter_map(|u| u.functional_alias.clone());
            let aliases: BTreeSet<String> = aliases.chain(self.unmapped_alias.clone()).collect();
            let client = ClientConfig {
                functional_aliases: aliases.into_iter().collect(),
                ..common
            };
            return BTreeMap::from([(own.clone(), client)]);
        }
        let of = |user: &UserConfig| Some((user.mcptt_id.clone()?, of_unit(&common, &user.unit)));
        self.users.iter().filter_map(of).collect()
    }

    /// The client of one unit.
    #[must_use]
    pub fn client_of(&self, unit: &str) -> ClientConfig {
        of_unit(&self.common_client(), unit)
    }

    fn common_client(&self) -> ClientConfig {
        ClientConfig {
            groups: self.talkgroups.iter().map(|t| t.group.clone()).collect(),
            manual_answer: true,
            max_private_calls: self.private_calls.most,
            security_gateway: true,
            ..self.mc.clone()
        }
    }

    /// Who may speak as whom.
    #[must_use]
    pub fn user_map(&self) -> UserMap {
        let alias = |alias: &String| {
            Some(Represented {
                identity: self.mcptt_id.clone()?,
                functional_alias: Some(alias.clone()),
            })
        };
        let own = |user: &UserConfig| {
            Some(Represented {
                identity: user.mcptt_id.clone()?,
                functional_alias: None,
            })
        };
        let represented = |user: &UserConfig| {
            let represented = user.functional_alias.as_ref().and_then(alias);
            Some((user.unit.clone(), represented.or_else(|| own(user))?))
        };
        let users = self.users.iter().filter_map(represented).collect();
        let unmapped = self.unmapped_alias.as_ref().and_then(alias);
        let made = self.provision.as_ref().map(ProvisionConfig::identities);
        UserMap::new(users, unmapped, &self.display).with_made(made)
    }
}

/// The client of one unit.
fn of_unit(common: &ClientConfig, unit: &str) -> ClientConfig {
    let filled = |text: &str| text.replace("{unit}", unit);
    let mut client = common.clone();
    client.node = filled(&client.node);
    client.state_dir = filled(&client.state_dir.to_string_lossy()).into();
    client.login.username = filled(&client.login.username);
    if let Some(sip) = &mut client.sip {
        sip.impu = filled(&sip.impu);
    }
    client
}

fn unique<'a>(
    field: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(wrong(field, format!("{name:?} is there twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
