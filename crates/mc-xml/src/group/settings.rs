//! The settings of a group that the server must honour, with the defaults for what is absent.

use std::time::Duration;

use super::{GI_NS, NS};
use crate::XmlError;
use crate::dom::Element;

/// What happens when required members did not acknowledge in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AcknowledgementAction {
    /// Go on without them.
    Proceed,
    /// Give up the call; also for any unknown value.
    #[default]
    Abandon,
}

/// A temporary group this group is part of (`on-network-regrouped`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Regrouped {
    /// The temporary group.
    pub temporary_group: String,
    /// Who asked for it.
    pub requestor: Option<String>,
    /// Its constituent groups.
    pub constituents: Vec<String>,
    /// Media protection of the temporary group.
    pub protect_media: bool,
    /// Floor control protection of the temporary group.
    pub protect_floor_control: bool,
}

/// Settings of TS 24.481 7.2.4.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSettings {
    /// No calls at all (403, Warning 115).
    pub disabled: bool,
    /// Prearranged when true; absent or false is a chat group.
    pub prearranged: bool,
    /// Most participants; absent is no limit, 0 means none.
    pub max_participants: Option<u32>,
    /// Group priority 0..=255; absent is the lowest.
    pub priority: u8,
    /// Preferred codecs in order.
    pub voice_encodings: Vec<String>,
    /// T4; absent is not run.
    pub hang_timer: Option<Duration>,
    /// TNG3; mandatory for a prearranged group.
    pub maximum_duration: Option<Duration>,
    /// Fewest members to start a call.
    pub minimum_to_start: u16,
    /// TNG1.
    pub acknowledgement_timeout: Option<Duration>,
    /// What follows TNG1.
    pub acknowledgement_action: AcknowledgementAction,
    /// How long an emergency lasts without cancellation.
    pub emergency_cancellation: Option<Duration>,
    /// How long an imminent peril lasts without cancellation.
    pub imminent_peril_cancellation: Option<Duration>,
    /// Media protected with the GMK; absent is true.
    pub protect_media: bool,
    /// Floor control protected; absent is true.
    pub protect_floor_control: bool,
    /// Multicast floor control must be signalled.
    pub multicast_floor_control: bool,
    /// The newest talker takes the floor at once.
    pub audio_cut_in: bool,
    /// Several talkers at once are allowed.
    pub multi_talker_control: bool,
    /// Most talkers at once.
    pub max_simultaneous_talkers: Option<u16>,
    /// Fewest affiliated members to start a call (480, Warning 112).
    pub minimum_affiliated: Option<u32>,
    /// Level within the group hierarchy of broadcast groups.
    pub group_level: Option<u16>,
    /// Level within the user hierarchy of broadcast groups.
    pub user_level: Option<u16>,
    /// Owner.
    pub owner: Option<String>,
    /// Constituent groups, when this is a temporary group.
    pub temporary_constituents: Option<Vec<String>>,
    /// The temporary group this one is part of.
    pub regrouped: Option<Regrouped>,
}

impl GroupSettings {
    pub(super) fn read(service: &Element) -> Result<Self, XmlError> {
        //= TS 24.481 7.2.4.2
        let present = |local| service.find(GI_NS, local).is_some();
        let boolean = |local, absent: bool| {
            service
                .child_bool(GI_NS, local)
                .map(|value| value.unwrap_or(absent))
        };
        let duration = |local| service.child_duration(GI_NS, local);
        let action = service.child_text(
            GI_NS,
            "on-network-action-upon-expiration-of-timeout-for-acknowledgement-of-required-members",
        );
        let proceed = action.as_deref() == Some("proceed");
        let max = match service.child_number(GI_NS, "on-network-max-participant-count")? {
            Some(max) => Some(max),
            None => service.child_number(NS, "max-participant-count")?,
        };
        Ok(Self {
            disabled: present("on-network-disabled"),
            prearranged: boolean("on-network-invite-members", false)?,
            max_participants: max,
            priority: service
                .child_number(GI_NS, "on-network-group-priority")?
                .unwrap_or(0),
            voice_encodings: encodings(service),
            hang_timer: duration("on-network-hang-timer")?,
            maximum_duration: duration("on-network-maximum-duration")?,
            minimum_to_start: service
                .child_number(GI_NS, "on-network-minimum-number-to-start")?
                .unwrap_or(0),
            acknowledgement_timeout: duration(
                "on-network-timeout-for-acknowledgement-of-required-members",
            )?,
            acknowledgement_action: if proceed {
                AcknowledgementAction::Proceed
            } else {
                AcknowledgementAction::Abandon
            },
            emergency_cancellation: duration(
                "on-network-in-progress-emergency-state-cancellation-timeout",
            )?,
            imminent_peril_cancellation: duration(
                "on-network-in-progress-imminent-peril-state-cancellation-timeout",
            )?,
            protect_media: boolean("protect-media", true)?,
            protect_floor_control: boolean("protect-floor-control-signalling", true)?,
            multicast_floor_control: present("require-multicast-floor-control-signalling"),
            audio_cut_in: boolean("mcptt-on-network-audio-cut-in", false)?,
            multi_talker_control: boolean("multi-talker-control", false)?,
            max_simultaneous_talkers: service
                .child_number(GI_NS, "max-number-simultaneous-talkers")?,
            minimum_affiliated: service
                .child_number(GI_NS, "on-network-minimum-number-of-affiliated-members")?,
            group_level: service.child_number(GI_NS, "level-within-group-hierarchy")?,
            user_level: service.child_number(GI_NS, "level-within-user-hierarchy")?,
            owner: service.child_text(GI_NS, "owner"),
            temporary_constituents: service
                .find(GI_NS, "on-network-temporary")
                .map(constituents),
            regrouped: service
                .find(GI_NS, "on-network-regrouped")
                .map(Regrouped::read)
                .transpose()?,
        })
    }
}

impl Regrouped {
    /// Reads an `on-network-regrouped` element.
    ///
    /// # Errors
    /// [`XmlError`] when the temporary group is missing or a value is invalid.
    pub fn read(element: &Element) -> Result<Self, XmlError> {
        let boolean = |local| {
            element
                .child_bool(GI_NS, local)
                .map(|value| value.unwrap_or(true))
        };
        Ok(Self {
            temporary_group: element.required_attribute("temporary-MCPTT-group-ID")?,
            requestor: element
                .attribute("temporary-MCPTT-group-requestor")
                .map(str::to_owned),
            constituents: constituents(element),
            protect_media: boolean("protect-media")?,
            protect_floor_control: boolean("protect-floor-control-signalling")?,
        })
    }
}

fn constituents(element: &Element) -> Vec<String> {
    element
        .find(GI_NS, "constituent-MCPTT-group-IDs")
        .into_iter()
        .flat_map(|ids| ids.all(GI_NS, "constituent-MCPTT-group-ID"))
        .map(Element::trimmed_text)
        .collect()
}

fn encodings(service: &Element) -> Vec<String> {
    service
        .find(GI_NS, "preferred-voice-encodings")
        .into_iter()
        .flat_map(|e| e.all(GI_NS, "encoding"))
        .filter_map(|e| e.attribute("name"))
        .map(str::to_owned)
        .collect()
}
