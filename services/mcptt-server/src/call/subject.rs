//! What a session is about: a prearranged group call or a private call. Everything in which the two
//! differ for the session is here.

use std::sync::Arc;
use std::time::Duration;

use mc_ids::{GroupId, McServiceId};
use mc_sip::McWarning;
use mc_sip::mcptt::Commencement;
use mc_sip::sdp::McpttMedia;
use mc_xml::group::{AcknowledgementAction, GroupDocument};
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};

use super::admission;
use super::controlling::Rules;
use crate::config::CallConfig;
use crate::media_plane::{SessionFacts, SessionId};
use crate::registration::Binding;

/// What a session is about.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A prearranged group call (TS 24.379 10.1.1).
    Group {
        /// The group.
        group: GroupId,
        /// Its document.
        document: Arc<GroupDocument>,
    },
    /// A private call with floor control (TS 24.379 11.1.1).
    Private(Box<PrivateSubject>),
}

/// A private call.
#[derive(Debug, Clone)]
pub struct PrivateSubject {
    /// The client that is called.
    pub callee: Binding,
    /// How the call begins there.
    pub commencement: Commencement,
    /// The functional alias that was called.
    pub called_alias: Option<String>,
    /// The caller's I_MESSAGE with the PCK, in base64; passed on unchanged.
    pub key_mgmt: Option<String>,
}

/// A participant as the floor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Floor priority of the user in this call.
    pub priority: u8,
    /// Whether the user may only listen.
    pub receive_only: bool,
}

impl Subject {
    /// Group or called user, for logs.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Group { group, .. } => group.as_str(),
            Self::Private(private) => private.callee.mcptt_id.as_str(),
        }
    }

    /// The group of a group call.
    #[must_use]
    pub const fn group(&self) -> Option<&GroupId> {
        match self {
            Self::Group { group, .. } => Some(group),
            Self::Private(_) => None,
        }
    }

    /// Whether floor control is protected with the CSKs.
    #[must_use]
    pub fn protects_floor_control(&self, calls: &CallConfig) -> bool {
        match self {
            Self::Group { document, .. } => document.settings().protect_floor_control,
            Self::Private(_) => calls.protect_private_floor_control,
        }
    }

    /// Whether a description of a participant fits how the speech is protected.
    #[must_use]
    pub fn fits(&self, media: &McpttMedia) -> bool {
        match self {
            Self::Group { document, .. } => admission::fits(document.settings(), media),
            // A private call is under the PCK that its caller has made, or refused.
            Self::Private(_) => true,
        }
    }

    /// What the media plane needs to know.
    #[must_use]
    pub fn facts(&self, session: SessionId, call_id: &str, calls: &CallConfig) -> SessionFacts {
        let hang_time = match self {
            Self::Group { document, .. } => document.settings().hang_timer,
            Self::Private(_) => None,
        };
        let audio_cut_in = match self {
            Self::Group { document, .. } => document.settings().audio_cut_in,
            Self::Private(_) => false,
        };
        SessionFacts {
            session,
            call_id: call_id.to_owned(),
            hang_time: hang_time.unwrap_or(Duration::from_secs(calls.hang_time_s)),
            talk_limit: Duration::from_secs(calls.talk_limit_s),
            queue_depth: calls.queue_depth,
            protect_floor_control: self.protects_floor_control(calls),
            audio_cut_in,
        }
    }

    /// The rules of the controlling function's session.
    #[must_use]
    pub fn rules(&self, calls: &CallConfig, emergency: bool) -> Rules {
        match self {
            Self::Group { document, .. } => {
                let settings = document.settings();
                let proceed = settings.acknowledgement_action == AcknowledgementAction::Proceed;
                Rules {
                    minimum_to_start: settings.minimum_to_start,
                    acknowledgement: settings
                        .acknowledgement_timeout
                        .map(|timeout| (timeout, proceed)),
                    abandoned: Some(McWarning::AbandonedForRequiredMembers),
                    maximum_duration: settings.maximum_duration,
                    emergency,
                }
            }
            //= TS 24.379 11.1.1.4.2
            Self::Private(_) => Rules {
                minimum_to_start: 1,
                acknowledgement: Some((Duration::from_secs(calls.private_answer_s), false)),
                abandoned: None,
                maximum_duration: Some(Duration::from_secs(calls.private_duration_s)),
                emergency,
            },
        }
    }

    /// How the floor treats a user.
    #[must_use]
    pub fn standing(&self, user: &McServiceId, calls: &CallConfig) -> Standing {
        match self {
            Self::Group { document, .. } => {
                let member = document.member(user.as_str());
                Standing {
                    priority: member.map_or(0, |member| member.user_priority),
                    receive_only: member.is_some_and(|member| member.receive_only),
                }
            }
            Self::Private(_) => Standing {
                priority: calls.private_priority,
                receive_only: false,
            },
        }
    }

    /// The mcptt-info of the INVITE to a client.
    //= TS 24.379 10.1.1.4.1.1
    //= TS 24.379 11.1.1.4.1
    #[must_use]
    pub fn info(&self, caller: &McServiceId, invited: &McServiceId) -> McpttInfo {
        let mut info = McpttInfo {
            request_uri: Some(Content::uri_value(invited.as_str())),
            calling_user_id: Some(Content::uri_value(caller.as_str())),
            ..McpttInfo::default()
        };
        match self {
            Self::Group { group, .. } => {
                info.session_type = Some(SessionType::Prearranged);
                info.calling_group_id = Some(Content::uri_value(group.as_str()));
            }
            Self::Private(private) => {
                info.session_type = Some(SessionType::Private);
                if let Some(alias) = &private.called_alias {
                    let alias = Content::uri_value(alias);
                    info.set_ext_content("called-functional-alias-URI", &alias);
                }
            }
        }
        info
    }

    /// How the call begins at an invited client.
    #[must_use]
    pub const fn commencement(&self) -> Commencement {
        match self {
            Self::Group { .. } => Commencement::Automatic,
            Self::Private(private) => private.commencement,
        }
    }
}
