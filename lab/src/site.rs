//! The sites of a lab: the gateway of each approach of TR 33.880 7.8 with the radios behind it.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::topology::{Domain, PortName, Service};

/// An approach of TR 33.880 7.8, by which a site is chosen.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
pub enum Approach {
    /// One MC client for all radio users.
    #[serde(rename = "7.1")]
    #[value(name = "7.1")]
    SingleClient,
    /// One MC client for each radio user.
    #[serde(rename = "7.2")]
    #[value(name = "7.2")]
    ClientPerUser,
    /// One migrated MC client for each radio user, over one interconnection.
    #[serde(rename = "7.3")]
    #[value(name = "7.3")]
    MigratedClients,
    /// A domain of the gateway's own with a user for each radio user.
    #[serde(rename = "7.4")]
    #[value(name = "7.4")]
    ExternalDomain,
    /// A domain of the gateway's own with one user for all radio users.
    #[serde(rename = "7.5")]
    #[value(name = "7.5")]
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

    /// Its site.
    #[must_use]
    pub const fn site(self) -> &'static Site {
        match self {
            Self::SingleClient => &SINGLE_CLIENT,
            Self::ClientPerUser => &CLIENT_PER_USER,
            Self::MigratedClients => &MIGRATED_CLIENTS,
            Self::ExternalDomain => &EXTERNAL_DOMAIN,
            Self::ExternalDomainSingleUser => &EXTERNAL_DOMAIN_SINGLE_USER,
        }
    }
}

/// What a radio is on the MC side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitIs {
    /// A functional alias of the gateway's one user.
    FunctionalAlias,
    /// A user of its own.
    User,
}

/// How the gateway reaches the MCPTT server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// As a client, registered with a CSK for each identity.
    Registered,
    /// As an MC system with services of its own, over one interconnection under an SPK.
    Interconnected,
}

/// A gateway and the radios behind it.
#[derive(Debug, PartialEq, Eq)]
pub struct Site {
    /// Clause of TR 33.880 7.8.
    pub approach: &'static str,
    /// The radio network and the gateway, in the order they start.
    pub services: [Service; 2],
    /// Two radios: one that talks and is called, and one that listens to the talkgroup.
    pub units: [&'static str; 2],
    /// The group that the gateway links to the talkgroup.
    pub group: &'static str,
    /// What a radio is on the MC side.
    pub unit_is: UnitIs,
    /// The domain that identifies the radios on the MC side and issues their keys.
    pub domain: Domain,
    /// How the gateway reaches the MCPTT server.
    pub link: Link,
}

impl Site {
    /// The radio network.
    #[must_use]
    pub const fn radios(&self) -> &Service {
        let [radios, _] = &self.services;
        radios
    }

    /// The gateway.
    #[must_use]
    pub const fn gateway(&self) -> &Service {
        let [_, gateway] = &self.services;
        gateway
    }

    /// The domains whose services it needs.
    #[must_use]
    pub const fn domains(&self) -> &'static [Domain] {
        match self.link {
            Link::Registered => &[Domain::Primary],
            Link::Interconnected => &Domain::ALL,
        }
    }

    /// MCPTT ID or functional alias of a radio.
    #[must_use]
    pub fn address(&self, unit: &str) -> String {
        format!("sip:unit-{unit}@{}", self.domain.name())
    }
}

/// Users of the host's domain that are behind gateways (approaches 7.1 to 7.3): nothing in their keys
/// says so, the operator of the host has to.
pub fn host_users() -> impl Iterator<Item = String> {
    let sites = Approach::ALL.map(Approach::site).into_iter();
    let of_host = sites.filter(|site| site.domain == Domain::Primary);
    of_host.flat_map(|site| match site.unit_is {
        UnitIs::FunctionalAlias => vec![format!("sip:segy@{}", site.domain.name())],
        UnitIs::User => site.units.map(|unit| site.address(unit)).to_vec(),
    })
}

const fn radio_network(name: &'static str, health: PortName, template: &'static str) -> Service {
    Service {
        name,
        binary: "lmr-sim",
        health,
        tls: false,
        template,
    }
}

const fn gateway(name: &'static str, health: PortName, template: &'static str) -> Service {
    Service {
        name,
        binary: "segy",
        health,
        tls: true,
        template,
    }
}

static SINGLE_CLIENT: Site = Site {
    approach: "7.1",
    services: [
        radio_network(
            "lmr-sim",
            PortName::LmrSim,
            include_str!("../../deploy/lab/lmr-sim.toml"),
        ),
        gateway(
            "segy",
            PortName::Segy,
            include_str!("../../deploy/lab/segy.toml"),
        ),
    ],
    units: ["1001", "1002"],
    group: "sip:fireground-1@mc.example",
    unit_is: UnitIs::FunctionalAlias,
    domain: Domain::Primary,
    link: Link::Registered,
};

static CLIENT_PER_USER: Site = Site {
    approach: "7.2",
    services: [
        radio_network(
            "lmr-7.2",
            PortName::Lmr72,
            include_str!("../../deploy/lab/lmr-7.2.toml"),
        ),
        gateway(
            "segy-7.2",
            PortName::Segy72,
            include_str!("../../deploy/lab/segy-7.2.toml"),
        ),
    ],
    units: ["2001", "2002"],
    group: "sip:fireground-2@mc.example",
    unit_is: UnitIs::User,
    domain: Domain::Primary,
    link: Link::Registered,
};

static MIGRATED_CLIENTS: Site = Site {
    approach: "7.3",
    services: [
        radio_network(
            "lmr-7.3",
            PortName::Lmr73,
            include_str!("../../deploy/lab/lmr-7.3.toml"),
        ),
        gateway(
            "segy-7.3",
            PortName::Segy73,
            include_str!("../../deploy/lab/segy-7.3.toml"),
        ),
    ],
    units: ["3001", "3002"],
    group: "sip:fireground-3@mc.example",
    unit_is: UnitIs::User,
    domain: Domain::Primary,
    link: Link::Interconnected,
};

static EXTERNAL_DOMAIN: Site = Site {
    approach: "7.4",
    services: [
        radio_network(
            "lmr-7.4",
            PortName::Lmr74,
            include_str!("../../deploy/lab/lmr-7.4.toml"),
        ),
        gateway(
            "segy-7.4",
            PortName::Segy74,
            include_str!("../../deploy/lab/segy-7.4.toml"),
        ),
    ],
    units: ["4001", "4002"],
    group: "sip:fireground-4@mc.example",
    unit_is: UnitIs::User,
    domain: Domain::Gateway,
    link: Link::Interconnected,
};

static EXTERNAL_DOMAIN_SINGLE_USER: Site = Site {
    approach: "7.5",
    services: [
        radio_network(
            "lmr-7.5",
            PortName::Lmr75,
            include_str!("../../deploy/lab/lmr-7.5.toml"),
        ),
        gateway(
            "segy-7.5",
            PortName::Segy75,
            include_str!("../../deploy/lab/segy-7.5.toml"),
        ),
    ],
    units: ["5001", "5002"],
    group: "sip:fireground-5@mc.example",
    unit_is: UnitIs::FunctionalAlias,
    domain: Domain::Gateway,
    link: Link::Interconnected,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_and_the_gms_are_told_of_the_same_users_behind_gateways() {
        let gms = include_str!("../../deploy/lab/gms.toml");
        let list = gms.split_once("gateways = [").unwrap().1;
        let list = list.split_once(']').unwrap().0.split(',').map(str::trim);
        let told = list.filter(|user| !user.is_empty());
        let told: Vec<_> = told.map(|user| user.trim_matches('"').to_owned()).collect();
        assert_eq!(told, host_users().collect::<Vec<_>>());
    }

    #[test]
    fn an_approach_is_named_alike_on_the_command_line_in_the_record_and_by_its_site() {
        for approach in Approach::ALL {
            let clause = approach.site().approach;
            assert_eq!(Approach::from_str(clause, false), Ok(approach));
            assert_eq!(serde_json::to_value(approach).unwrap(), clause);
        }
    }
}
