//! Which domains and services a lab has, what each needs, and where it listens; the gateways with
//! their radios are in [`crate::site`].

mod ports;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

pub use ports::PortName;

/// One MC system of a lab: a set of services with a domain name of its own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
pub enum Domain {
    /// The protected system that calls start and end in.
    #[serde(rename = "mc.example")]
    #[value(name = "mc.example")]
    Primary,
    /// The domain of a security gateway, with users, keys and groups of its own (TS 33.180 Annex L).
    #[serde(rename = "segy.example")]
    #[value(name = "segy.example")]
    Gateway,
}

impl Domain {
    /// All domains a lab can have.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Gateway];

    /// The domain name: what identities end in.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "mc.example",
            Self::Gateway => "segy.example",
        }
    }

    /// Its services in the order they start.
    #[must_use]
    pub const fn services(self) -> &'static [Service] {
        match self {
            Self::Primary => SERVICES,
            Self::Gateway => GATEWAY_SERVICES,
        }
    }

    /// The port of its identity management server.
    #[must_use]
    pub const fn idms(self) -> PortName {
        match self {
            Self::Primary => PortName::Idms,
            Self::Gateway => PortName::SegyIdms,
        }
    }

    /// The port of its KMS.
    #[must_use]
    pub const fn kms(self) -> PortName {
        match self {
            Self::Primary => PortName::Kms,
            Self::Gateway => PortName::SegyKms,
        }
    }

    /// The HTTPS port of its GMS.
    #[must_use]
    pub const fn gms(self) -> PortName {
        match self {
            Self::Primary => PortName::Gms,
            Self::Gateway => PortName::SegyGms,
        }
    }

    /// The identifier of its KMS.
    #[must_use]
    pub fn kms_uri(self) -> String {
        format!("kms.{}", self.name())
    }
}

/// One service of the lab, started as a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Name of the instance: of its configuration, log and data files.
    pub name: &'static str,
    /// Name of the binary; several domains run the same one.
    pub binary: &'static str,
    /// The port whose `/health` it serves.
    pub health: PortName,
    /// Whether `/health` is served over TLS with the lab's certificate.
    pub tls: bool,
    /// Configuration template, below `deploy/lab`.
    pub template: &'static str,
}

impl Service {
    /// Whether it runs before domains trust each other: what is exchanged is of these, and the
    /// console watches.
    #[must_use]
    pub(crate) fn starts_before_trust(&self) -> bool {
        matches!(self.binary, "web-ui" | "idms" | "kms")
    }

    /// What environment variables that override its configuration begin with, two underscores behind it:
    /// all services that run the same program hear the same ones.
    #[must_use]
    pub fn prefix(&self) -> String {
        self.binary.to_ascii_uppercase().replace('-', "_")
    }

    /// Where it says how it is.
    #[must_use]
    pub fn health_url(&self, addresses: &Addresses) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}/health", addresses.of(self.health))
    }
}

/// The services of the primary domain in the order they start, and those all domains share.
const SERVICES: &[Service] = &[
    Service {
        name: "web-ui",
        binary: "web-ui",
        health: PortName::Console,
        tls: false,
        template: include_str!("../../deploy/lab/web-ui.toml"),
    },
    Service {
        name: "idms",
        binary: "idms",
        health: PortName::Idms,
        tls: true,
        template: include_str!("../../deploy/lab/idms.toml"),
    },
    Service {
        name: "kms",
        binary: "kms",
        health: PortName::Kms,
        tls: true,
        template: include_str!("../../deploy/lab/kms.toml"),
    },
    Service {
        name: "mcptt-server",
        binary: "mcptt-server",
        health: PortName::McpttServer,
        tls: true,
        template: include_str!("../../deploy/lab/mcptt-server.toml"),
    },
    Service {
        name: "gms",
        binary: "gms",
        health: PortName::Gms,
        tls: true,
        template: include_str!("../../deploy/lab/gms.toml"),
    },
];

/// The services of the gateway's domain in the order they start. Its MCX server is the gateway itself.
const GATEWAY_SERVICES: &[Service] = &[
    Service {
        name: "segy-idms",
        binary: "idms",
        health: PortName::SegyIdms,
        tls: true,
        template: include_str!("../../deploy/lab/segy.example/idms.toml"),
    },
    Service {
        name: "segy-kms",
        binary: "kms",
        health: PortName::SegyKms,
        tls: true,
        template: include_str!("../../deploy/lab/segy.example/kms.toml"),
    },
    Service {
        name: "segy-gms",
        binary: "gms",
        health: PortName::SegyGms,
        tls: true,
        template: include_str!("../../deploy/lab/segy.example/gms.toml"),
    },
];

/// The addresses of one running lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses(Vec<(PortName, SocketAddr)>);

impl Default for Addresses {
    /// Loopback and the documented ports.
    fn default() -> Self {
        let loopback =
            |(name, port): &(PortName, u16)| (*name, (Ipv4Addr::LOCALHOST, *port).into());
        Self(PortName::ALL.iter().map(loopback).collect())
    }
}

impl Addresses {
    /// Loopback with ports that are free now, so that several labs can run side by side.
    ///
    /// # Errors
    /// When the system has no free port left.
    pub fn free() -> std::io::Result<Self> {
        let mut ports = quiet_ports();
        // All sockets stay open until every port is drawn, so that none is drawn twice.
        let mut held = Vec::new();
        let mut addresses = Vec::new();
        for (name, _) in PortName::ALL {
            let drawn = ports.find_map(|port| {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let sockets = (
                    TcpListener::bind(address).ok()?,
                    UdpSocket::bind(address).ok()?,
                );
                Some((address, sockets))
            });
            let (address, sockets) = drawn.ok_or(std::io::ErrorKind::AddrInUse)?;
            addresses.push((*name, address));
            held.push(sockets);
        }
        Ok(Self(addresses))
    }

    /// Address of one port. Every name is in the table, so the fallback is never seen.
    #[must_use]
    pub fn of(&self, name: PortName) -> SocketAddr {
        let found = self.0.iter().find(|(n, _)| *n == name);
        found.map_or_else(|| (Ipv4Addr::LOCALHOST, 0).into(), |(_, address)| *address)
    }

    /// What templates know of the addresses: `{{idms}}` and `{{idms-ip}}` for each name.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, String> {
        let of = |(name, address): (PortName, SocketAddr)| {
            let ip = (format!("{}-ip", name.name()), address.ip().to_string());
            [(name.name().to_owned(), address.to_string()), ip]
        };
        self.iter().flat_map(of).collect()
    }

    /// All names and addresses.
    pub fn iter(&self) -> impl Iterator<Item = (PortName, SocketAddr)> + '_ {
        self.0.iter().copied()
    }
}

/// Ports in an order of this process's own, below those the system gives to outgoing connections: a
/// service that starts must not find its port taken by a connection of its neighbours.
fn quiet_ports() -> impl Iterator<Item = u16> {
    const FIRST: u16 = 10_240;
    const COUNT: u16 = 20_000;
    let start = u16::try_from(u64::from(std::process::id()) * 97 % u64::from(COUNT)).unwrap_or(0);
    (0..COUNT).map(move |step| FIRST + (start + step) % COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::Setup;
    use std::collections::BTreeSet;

    #[test]
    fn free_ports_are_distinct() {
        let addresses = Addresses::free().unwrap();
        let distinct: BTreeSet<_> = addresses.iter().map(|(_, a)| a).collect();
        assert_eq!(distinct.len(), PortName::ALL.len());
    }

    #[test]
    fn the_containers_have_an_address_for_every_port() {
        let json = include_str!("../../deploy/containers/addresses.json");
        let addresses: Addresses = serde_json::from_str(json).unwrap();
        for (name, port) in PortName::ALL {
            assert_eq!(addresses.of(*name).port(), *port, "{}", name.name());
        }
    }

    /// The radio containers have files of their own, since they know nothing of the MC system.
    #[test]
    fn the_radio_networks_are_the_same_in_containers() {
        let network = |file: &str| {
            let text = std::fs::read_to_string(file).unwrap();
            text.parse::<toml::Table>().unwrap()["network"].clone()
        };
        let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
        for name in ["lmr-sim", "lmr-7.2", "lmr-7.3", "lmr-7.4", "lmr-7.5"] {
            let [lab, containers] =
                ["lab", "containers"].map(|how| network(&format!("{deploy}/{how}/{name}.toml")));
            assert_eq!(lab, containers, "{name}");
        }
    }

    #[test]
    fn every_service_has_its_port() {
        for service in Setup::complete().services() {
            assert_ne!(
                Addresses::default().of(service.health).port(),
                0,
                "{}",
                service.name
            );
        }
    }
}
