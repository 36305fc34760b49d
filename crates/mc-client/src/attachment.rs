//! How a client is attached to the MCPTT server: the one value in which a registered client and one
//! behind an interconnection differ.

use std::sync::{Arc, Mutex, PoisonError};

use mc_ids::McServiceId;
use mc_media::SrtcpContext;
use rand_core::Rng as _;

use crate::Association;
use crate::bodies::{BodyConfig, BodyProtection};
use crate::call::FloorLeg;
use crate::interconnection::{Interconnection, Place};
use crate::state_dir::StateDir;

/// CSK sources of the server whose replay windows are kept.
const MAX_SOURCES: usize = 4096;

/// How a client reaches the MCPTT server, and which key protects that.
#[derive(Debug, Clone)]
pub enum Attachment {
    /// REGISTER with a CSK of its own, to the first hop of its configuration (TS 24.379 7.2).
    Registered,
    /// No registration and no CSK: its requests go from function to function, over an
    /// interconnection and under its SPK (TS 24.379 6.8).
    Interconnected(Interconnection),
}

/// An attachment in force.
#[derive(Debug)]
pub(crate) enum Attached {
    /// A registration with this CSK.
    Registered(Association),
    /// A place at an interconnection.
    Interconnected(Place),
}

impl Attached {
    /// What protects XML bodies between this side and the server.
    pub(crate) fn bodies(&self, user: &McServiceId, config: &BodyConfig) -> BodyProtection {
        match self {
            Self::Registered(association) => BodyProtection::new(association.xml(user), config),
            Self::Interconnected(place) => place.interconnection().bodies().clone(),
        }
    }

    /// What floor control is protected with.
    pub(crate) fn floor(&self, state: &Arc<Mutex<StateDir>>) -> FloorKeys {
        match self {
            Self::Registered(association) => FloorKeys::of_csk(association, state.clone()),
            Self::Interconnected(place) => FloorKeys::Spk(place.interconnection().clone()),
        }
    }

    /// The place at an interconnection.
    pub(crate) const fn place(&self) -> Option<&Place> {
        match self {
            Self::Registered(_) => None,
            Self::Interconnected(place) => Some(place),
        }
    }
}

/// What floor control of a call is protected with.
#[derive(Debug, Clone)]
pub(crate) enum FloorKeys {
    /// The CSK of this client; its SSRCs are kept with the client's.
    Csk {
        context: Arc<SrtcpContext>,
        state: Arc<Mutex<StateDir>>,
    },
    /// The SPK of an interconnection, which keeps the SSRCs of all its clients.
    Spk(Interconnection),
    /// Nothing: the group's document says so (`protect-floor-control-signalling` of TS 24.481).
    Clear,
}

impl FloorKeys {
    pub(crate) fn of_csk(association: &Association, state: Arc<Mutex<StateDir>>) -> Self {
        let (mki, key) = (association.mki(), association.floor_key());
        let context = SrtcpContext::new(mki, key, MAX_SOURCES);
        Self::Csk { context, state }
    }

    /// The link of one more call.
    pub(crate) fn leg(&self) -> Result<FloorLeg, String> {
        match self {
            Self::Csk { context, state } => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                let lease = state.lease(context.mki(), &context.taken());
                let lease = lease.map_err(|error| error.to_string())?;
                Ok(FloorLeg::Srtcp(Box::new(context.leg(lease))))
            }
            Self::Spk(interconnection) => {
                let lease = interconnection.lease();
                let lease = lease.map_err(|error| error.to_string())?;
                Ok(FloorLeg::Srtcp(Box::new(
                    interconnection.floor().leg(lease),
                )))
            }
            Self::Clear => Ok(FloorLeg::Clear(mc_runtime::rng().next_u32())),
        }
    }
}
