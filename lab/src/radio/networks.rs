//! The radio networks of a lab, and which of them has a radio.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::{Deserialize, Serialize};

use super::print_json;
use crate::radios::{NetworkStatus, Radios};
use crate::site::Approach;
use crate::state::StateDir;

/// A radio network that can be asked.
#[derive(Debug)]
pub(super) struct RadioNetwork {
    /// Name of its service.
    pub(super) name: String,
    /// The approach of its gateway, in a lab.
    pub(super) approach: Option<&'static str>,
    /// Where its API is.
    pub(super) api: SocketAddr,
    /// Its API.
    pub(super) radios: Radios,
    /// Where the gateways of its lab write down whom they refuse.
    audit: PathBuf,
}

/// What to do about 480, which a newcomer meets first: a detached lab has no MC clients.
const NOBODY: &str = " (nobody is there on the MC side: `mcbox client --user bob` in another terminal is \
    somebody, and so is `mcbox up` without --detach)";

/// What gateways write down from some moment on.
#[derive(Debug)]
pub(super) struct AuditTail {
    file: PathBuf,
    /// Octets that were there before.
    seen: usize,
}

/// What is read of a line of the audit log.
#[derive(Debug, Deserialize)]
struct Refusal {
    event: String,
    external_identity: Option<String>,
    reason: Option<String>,
}

impl AuditTail {
    /// Why a gateway refused a radio, to follow what the radio was told; empty when it did not.
    pub(super) fn refusal(&self, unit: &str) -> String {
        let octets = std::fs::read(&self.file).unwrap_or_default();
        let new = octets.get(self.seen..).unwrap_or_default();
        let refused = String::from_utf8_lossy(new).lines().rev().find_map(|line| {
            let record: Refusal = serde_json::from_str(line).ok()?;
            let is_meant = record.event == "refused" && record.external_identity? == unit;
            is_meant.then_some(record.reason?)
        });
        refused.map_or_else(String::new, |reason| {
            let cure = if reason.contains(" 480 ") { NOBODY } else { "" };
            format!("; the gateway says: {reason}{cure}")
        })
    }
}

/// A network as it is listed.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    network: &'a str,
    approach: Option<&'static str>,
    api: SocketAddr,
    /// Why it tells nothing, if it does not.
    error: Option<String>,
    #[serde(flatten)]
    status: Option<NetworkStatus>,
}

impl RadioNetwork {
    /// The network behind an address.
    pub(super) fn at(api: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            name: api.to_string(),
            approach: None,
            api,
            radios: Radios::at(api)?,
            audit: PathBuf::new(),
        })
    }

    /// What its gateway writes down from now on.
    pub(super) fn audit(&self) -> AuditTail {
        let seen = std::fs::read(&self.audit).map_or(0, |octets| octets.len());
        AuditTail {
            file: self.audit.clone(),
            seen,
        }
    }

    async fn listed(&self) -> Listed<'_> {
        let (status, error) = match self.radios.network().await {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Listed {
            network: &self.name,
            approach: self.approach,
            api: self.api,
            error,
            status,
        }
    }
}

/// The networks of the lab of a state directory, or the one of an approach.
pub(super) fn of_lab(
    state: &Path,
    approach: Option<Approach>,
) -> anyhow::Result<Vec<RadioNetwork>> {
    let (state, record) = StateDir::running(state)?;
    let setup = record.setup();
    let mut networks = Vec::new();
    for site in setup.sites() {
        if approach.is_some_and(|wanted| wanted.site() != site) {
            continue;
        }
        let api = setup.addresses.of(site.radios().health);
        networks.push(RadioNetwork {
            name: site.radios().name.to_owned(),
            approach: Some(site.approach),
            audit: state.file("logs", "audit.jsonl"),
            ..RadioNetwork::at(api)?
        });
    }
    if networks.is_empty() {
        let run: Vec<&str> = setup.sites().map(|site| site.approach).collect();
        bail!(
            "the lab runs approach {} only; `mcbox up` runs all",
            run.join(", ")
        );
    }
    Ok(networks)
}

/// The network that has a radio, and what it says of itself.
pub(super) async fn find(
    networks: Vec<RadioNetwork>,
    unit: &str,
) -> anyhow::Result<(RadioNetwork, NetworkStatus)> {
    let mut others = Vec::new();
    for network in networks {
        let status = match network.radios.network().await {
            Ok(status) => status,
            Err(error) => {
                others.push(format!("{} does not answer ({error})", network.name));
                continue;
            }
        };
        if status.units.iter().any(|radio| radio.unit == unit) {
            return Ok((network, status));
        }
        let units: Vec<&str> = status.units.iter().map(|radio| &*radio.unit).collect();
        others.push(format!("{} has {}", network.name, units.join(", ")));
    }
    bail!("no radio has unit {unit}: {}", others.join("; "))
}

/// Shows all radios and talkgroups.
pub(super) async fn list(networks: &[RadioNetwork], json: bool) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for network in networks {
        all.push(network.listed().await);
    }
    if json {
        print_json(&all)?;
    } else {
        write!(std::io::stdout(), "{}", table(&all))?;
    }
    match all.iter().find_map(|network| network.error.as_ref()) {
        Some(error) => bail!("{error}; `mcbox status` shows what runs"),
        None => Ok(()),
    }
}

fn table(all: &[Listed<'_>]) -> String {
    let mut text = format!(
        "{:<10} {:<9} {:<14} {:<10} detail\n",
        "network", "approach", "radio or group", "state"
    );
    for network in all {
        let Some(status) = &network.status else {
            continue;
        };
        let mut row = |what: String, state: &str, detail: String| {
            let approach = network.approach.unwrap_or("-");
            let line = format!(
                "{:<10} {approach:<9} {what:<14} {state:<10} {detail}",
                network.network
            );
            text.push_str(line.trim_end());
            text.push('\n');
        };
        for radio in &status.units {
            let place = match (&radio.call, radio.talkgroup) {
                (Some(call), _) => format!("in a call with {}", call.peer),
                (None, Some(number)) => format!("on talkgroup {number}"),
                (None, None) => "on no talkgroup".to_owned(),
            };
            let emergency = if radio.emergency { ", EMERGENCY" } else { "" };
            let what = format!("unit {}", radio.unit);
            row(what, &radio.state, format!("{place}{emergency}"));
        }
        for group in &status.talkgroups {
            let legs = match group.legs.is_empty() {
                true => "radios only".to_owned(),
                false => format!("with {}", group.legs.join(", ")),
            };
            row(format!("talkgroup {}", group.talkgroup), &group.state, legs);
        }
    }
    text
}
