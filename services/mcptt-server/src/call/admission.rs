//! Who may start or join a group call: the checks of the controlling function in their order.

use mc_ids::McServiceId;
use mc_sip::sdp::McpttMedia;
use mc_sip::{McWarning, StatusCode};
use mc_xml::group::{GroupDocument, GroupSettings};
use mc_xml::mcptt_info::SessionType;

use crate::groups::GroupError;
use crate::refusal::Refusal;

/// What the request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The caller.
    pub user: &'a McServiceId,
    /// The session type of the request.
    pub session_type: &'a SessionType,
    /// Whether a client of the caller is affiliated to the group.
    pub affiliated: bool,
    /// Whether a session of this group exists, so that the caller joins.
    pub ongoing: bool,
    /// Participants of the ongoing session.
    pub participants: u32,
}

/// The refusal for a group document that cannot be had.
#[must_use]
pub fn missing_document(error: &GroupError) -> Refusal {
    match error {
        GroupError::DoesNotExist => Refusal::not_found(McWarning::GroupDocumentDoesNotExist),
        GroupError::Unavailable(_) => {
            Refusal::not_found(McWarning::UnableToRetrieveGroupDocument).because(error)
        }
    }
}

/// Decides on a request to start or join a prearranged group call.
///
/// # Errors
/// The refusal of the first check that fails.
//= TS 24.379 10.1.1.4.2
//= TS 24.379 6.3.5.2
pub fn admit(document: &GroupDocument, asked: Asked<'_>) -> Result<(), Refusal> {
    let settings = document.settings();
    if settings.disabled {
        return Err(Refusal::forbidden(McWarning::GroupDisabled));
    }
    if document.member(asked.user.as_str()).is_none() {
        return Err(Refusal::forbidden(McWarning::NotPartOfGroup));
    }
    match (asked.session_type, settings.prearranged) {
        (SessionType::Prearranged, true) => {}
        (SessionType::Prearranged, false) => {
            return Err(Refusal::not_found(McWarning::GroupIsChat));
        }
        (_, true) => return Err(Refusal::not_found(McWarning::GroupIsPrearranged)),
        (_, false) => return Err(Refusal::forbidden(McWarning::NotAuthorisedChatGroupCall)),
    }
    if settings.regrouped.is_some() {
        return Err(Refusal::forbidden(McWarning::GroupIsRegrouped));
    }
    if !asked.affiliated {
        return Err(Refusal::forbidden(McWarning::NotAffiliated));
    }
    let actions = document.actions_for(asked.user.as_str());
    if asked.ongoing {
        if !actions.join {
            return Err(Refusal::forbidden(McWarning::NotAuthorisedToJoin));
        }
        if settings
            .max_participants
            .is_some_and(|max| asked.participants >= max)
        {
            return Err(Refusal::warned(
                StatusCode::BUSY_HERE,
                McWarning::TooManyParticipants,
            ));
        }
    } else if !actions.initiate_conference {
        return Err(Refusal::forbidden(McWarning::NotAuthorisedToInitiate));
    }
    Ok(())
}

/// Whether a description may be that of a call under these settings: speech of a group that is written
/// off as unprotected is RTP in clear at every member, so nobody may come with SRTP. The other way
/// round a description tells nothing, because the key of a protected group is in none.
//= TS 33.180 L.5.2
#[must_use]
pub fn fits(settings: &GroupSettings, media: &McpttMedia) -> bool {
    settings.protect_media || !media.asks_for_srtp()
}

#[cfg(test)]
mod tests;
