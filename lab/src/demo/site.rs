//! The sites of the demo: each approach's gateway with the radios behind it.

use crate::topology::PortName;

/// What a radio is on the MC side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnitIs {
    /// A functional alias of the gateway's one user.
    FunctionalAlias,
    /// A user of its own.
    User,
}

/// A gateway and the radios behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// Clause of TR 33.880 7.8.
    pub(super) approach: &'static str,
    /// Name of the gateway's service.
    pub(super) gateway: &'static str,
    /// Where the gateway tells its status.
    pub(super) status: PortName,
    /// Where the radios are worked.
    pub(super) radios: PortName,
    /// The radio that talks and is called, and another one that listens to the talkgroup.
    pub(super) units: [&'static str; 2],
    /// The group that the gateway links to the talkgroup.
    pub(super) group: &'static str,
    /// What a radio is on the MC side.
    pub(super) unit_is: UnitIs,
}

/// All sites, in the order of the approaches.
pub(super) const SITES: &[Site] = &[
    Site {
        approach: "7.1",
        gateway: "segy",
        status: PortName::Segy,
        radios: PortName::LmrSim,
        units: ["1001", "1002"],
        group: "sip:fireground-1@mc.example",
        unit_is: UnitIs::FunctionalAlias,
    },
    Site {
        approach: "7.2",
        gateway: "segy-7.2",
        status: PortName::Segy72,
        radios: PortName::Lmr72,
        units: ["2001", "2002"],
        group: "sip:fireground-2@mc.example",
        unit_is: UnitIs::User,
    },
];
