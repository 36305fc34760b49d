//! The five approaches of TR 33.880 clause 7.8, as points on the same axes.
//!
//! Each approach is one file with one constant; the difference of two files is the difference of two
//! approaches. Only this module and the configuration name an approach.

mod client_per_user;
mod external_domain;
mod external_domain_single_user;
mod migrated_clients;
mod single_client;

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// How many MC identities stand for the external users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Population {
    /// One for all: external users are told apart by functional alias.
    Single,
    /// One for each external user.
    PerExternalUser,
}

/// How the gateway is connected to the MCX server, and with it which key protects the signalling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// As a client: a registration and a CSK for each identity.
    Client,
    /// As a partner system that serves migrated users: one interconnection under one SPK.
    MigratedClient,
    /// As an MC domain of its own: one interconnection under one SPK.
    InterconnectedDomain,
}

/// Whose KMS issues the identities' keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// The host domain's: the identities are its users.
    HostKms,
    /// The gateway's own (TS 33.180 L.3.2), whose certificate says that it is a gateway's.
    PseudoKms,
}

/// A server that the gateway runs itself (TS 33.180 L.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PseudoServer {
    /// Issues the keys of the gateway's domain.
    Kms,
    /// Issues tokens to the gateway's users and security tokens for partners.
    Idms,
    /// Holds groups homed at the gateway.
    Gms,
    /// Ends the interconnection.
    McxServer,
}

/// One approach, as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Number in TR 33.880 clause 7.8: `7.1` to `7.5`.
    pub clause: &'static str,
    /// How many identities.
    pub population: Population,
    /// How connected.
    pub attachment: Attachment,
    /// Whose keys.
    pub key_source: KeySource,
    /// What the gateway runs besides itself.
    pub runs: &'static [PseudoServer],
}

/// One of the five approaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Approach {
    /// 7.1: one MC client of the host domain.
    SingleClient,
    /// 7.2: one MC client of the host domain for each external user.
    ClientPerUser,
    /// 7.3: migrated MC clients of the host domain, one for each external user.
    MigratedClients,
    /// 7.4: an external MC domain with one identity for each external user.
    ExternalDomain,
    /// 7.5: an external MC domain with one user.
    ExternalDomainSingleUser,
}

impl Approach {
    /// All approaches, in the order of the study.
    pub const ALL: [Self; 5] = [
        Self::SingleClient,
        Self::ClientPerUser,
        Self::MigratedClients,
        Self::ExternalDomain,
        Self::ExternalDomainSingleUser,
    ];

    /// The approach as data.
    #[must_use]
    pub const fn profile(self) -> Profile {
        match self {
            Self::SingleClient => single_client::PROFILE,
            Self::ClientPerUser => client_per_user::PROFILE,
            Self::MigratedClients => migrated_clients::PROFILE,
            Self::ExternalDomain => external_domain::PROFILE,
            Self::ExternalDomainSingleUser => external_domain_single_user::PROFILE,
        }
    }
}

/// The text is no approach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no approach of TR 33.880 clause 7.8; 7.1, 7.2, 7.3, 7.4 and 7.5 are")]
pub struct UnknownApproach(String);

impl FromStr for Approach {
    type Err = UnknownApproach;

    /// Reads the clause number, as configurations and the command line write it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |approach: &Self| approach.profile().clause == text;
        Self::ALL
            .into_iter()
            .find(named)
            .ok_or_else(|| UnknownApproach(text.to_owned()))
    }
}

impl TryFrom<String> for Approach {
    type Error = UnknownApproach;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Approach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.profile().clause)
    }
}

/// The five approaches side by side, one line each.
#[must_use]
pub fn table() -> String {
    let row = |approach: Approach| {
        let Profile {
            clause,
            population,
            attachment,
            key_source,
            runs,
        } = approach.profile();
        let runs: Vec<_> = runs.iter().map(|server| format!("{server:?}")).collect();
        let runs = if runs.is_empty() {
            "-".to_owned()
        } else {
            runs.join(" ")
        };
        let (population, attachment) = (format!("{population:?}"), format!("{attachment:?}"));
        let key_source = format!("{key_source:?}");
        format!("{clause}  {population:<15}  {attachment:<20}  {key_source:<9}  {runs}")
    };
    Approach::ALL.map(row).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_approaches_side_by_side() {
        let expected = "\
7.1  Single           Client                HostKms    -
7.2  PerExternalUser  Client                HostKms    -
7.3  PerExternalUser  MigratedClient        HostKms    McxServer
7.4  PerExternalUser  InterconnectedDomain  PseudoKms  Kms Idms Gms McxServer
7.5  Single           InterconnectedDomain  PseudoKms  Kms Idms Gms McxServer";
        assert_eq!(table(), expected);
    }

    #[test]
    fn no_two_approaches_are_the_same_point() {
        for a in Approach::ALL {
            for b in Approach::ALL.into_iter().filter(|b| *b != a) {
                let axes = |p: Profile| (p.population, p.attachment, p.key_source);
                assert_ne!(axes(a.profile()), axes(b.profile()), "{a} and {b}");
            }
        }
    }

    #[test]
    fn an_approach_is_named_by_its_clause() {
        for approach in Approach::ALL {
            assert_eq!(approach.to_string().parse(), Ok(approach));
        }
        assert!(
            "7.6"
                .parse::<Approach>()
                .unwrap_err()
                .to_string()
                .contains("7.5")
        );
    }
}
