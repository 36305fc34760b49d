//! What calls of a group are protected with: what its document asks for, and no less
//! (`protect-media` and `protect-floor-control-signalling` of TS 24.481; TS 33.180 L.5.2).

use mc_ids::GroupId;
use mc_xml::group::GroupSettings;

use crate::attachment::FloorKeys;
use crate::call::{CallProtection, SpeechKeys, SpeechProtection};
use crate::call_id::CallId;
use crate::client::established::Established;
use crate::private_call_key::PrivateCallKey;

/// What a group document asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupProtection {
    pub(super) media: bool,
    floor: bool,
}

impl GroupProtection {
    /// Of a group whose document is not known: nothing is in clear that is not written off.
    const FULL: Self = Self {
        media: true,
        floor: true,
    };
}

impl From<&GroupSettings> for GroupProtection {
    fn from(settings: &GroupSettings) -> Self {
        Self {
            media: settings.protect_media,
            floor: settings.protect_floor_control,
        }
    }
}

impl Established {
    /// Whether a group's speech is protected.
    pub(super) fn is_protected(&self, group: &GroupId) -> bool {
        self.protection_of(group).media
    }

    fn protection_of(&self, group: &GroupId) -> GroupProtection {
        let known = self.protection.get(group).copied();
        known.unwrap_or(GroupProtection::FULL)
    }

    /// What a call of a group is protected with.
    pub(super) fn of_group(&self, group: &GroupId) -> CallProtection {
        let protection = self.protection_of(group);
        let speech = match protection.media {
            true => SpeechProtection::Srtp(SpeechKeys::Group(group.clone())),
            false => SpeechProtection::Clear,
        };
        let floor = match protection.floor {
            true => self.floor.clone(),
            false => FloorKeys::Clear,
        };
        CallProtection { speech, floor }
    }

    /// What a private call is protected with: its PCK, always.
    pub(super) fn of_private(&self, key: PrivateCallKey) -> CallProtection {
        CallProtection {
            speech: SpeechProtection::Srtp(SpeechKeys::Private(key)),
            floor: self.floor.clone(),
        }
    }

    /// Takes over what a document asks for. A call that is up under other terms is left, because no call
    /// changes from clear to protected or back.
    pub(super) fn ask_for(&mut self, group: &GroupId, protection: GroupProtection) {
        let before = self.protection.insert(group.clone(), protection);
        if before.is_some_and(|before| before != protection) {
            let call = CallId::from(group);
            self.leave(&call, "the protection of the group has changed");
        }
    }
}
