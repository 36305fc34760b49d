//! What incoming calls and answers say.

use mc_ids::{GroupId, McServiceId};
use mc_sip::mcptt::{Commencement, media};
use mc_sip::sdp::{McpttMedia, Sdp};
use mc_sip::{Headers, Multipart, Request};
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};

use crate::bodies::{BodyProtection, BodyRefused, Demand};

/// What an incoming call says, after decryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IncomingCall {
    pub(crate) kind: CallKind,
    pub(crate) caller: Option<McServiceId>,
    /// Functional alias the caller calls under.
    pub(crate) functional_alias: Option<String>,
    pub(crate) emergency: bool,
    pub(crate) media: McpttMedia,
}

/// The kinds of calls that are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// A prearranged group call.
    Group(GroupId),
    /// A private call.
    Private {
        /// The functional alias of ours that was called.
        called_alias: Option<String>,
        /// Whether it is to be answered at once.
        automatic: bool,
    },
}

/// Why an incoming request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 400.
    Malformed,
    /// 403 with Warning 139 or 140.
    Body(BodyRefused),
    /// 488.
    NotAcceptable,
    /// 480 with Warning 136.
    NotAuthentic,
}

/// Reads the INVITE of a call.
//= TS 24.379 10.1.1.2.2.1
//= TS 24.379 11.1.1.2.1.2
pub(crate) fn incoming_call(
    request: &Request,
    demand: Demand,
    keys: &BodyProtection,
) -> Result<IncomingCall, Refused> {
    let malformed = |_| Refused::Malformed;
    let parts = Multipart::of(&request.headers, &request.body).map_err(|_| Refused::Malformed)?;
    let info = demand.open(&parts, Some(keys)).map_err(Refused::Body)?;
    let uri = |content: Option<&Content>| content.and_then(Content::uri).map(str::to_owned);
    let kind = match info.session_type {
        Some(SessionType::Prearranged) => {
            let group = uri(info.calling_group_id.as_ref()).ok_or(Refused::Malformed)?;
            CallKind::Group(GroupId::new(group).map_err(|_| Refused::Malformed)?)
        }
        Some(SessionType::Private) => {
            let called = info.ext_content("called-functional-alias-URI");
            CallKind::Private {
                called_alias: uri(called.map_err(malformed)?.as_ref()),
                //= TS 24.379 6.2.3.1.1
                automatic: Commencement::read(&request.headers)
                    .is_some_and(Commencement::is_automatic),
            }
        }
        _ => return Err(Refused::NotAcceptable),
    };
    let caller = uri(info.calling_user_id.as_ref());
    let sdp = parts.get(media::SDP).ok_or(Refused::NotAcceptable)?;
    Ok(IncomingCall {
        kind,
        caller: caller.and_then(|caller| McServiceId::new(caller).ok()),
        functional_alias: info.functional_alias(),
        emergency: emergency_ind(&info) == Some(true),
        media: read_sdp(&sdp.content).ok_or(Refused::NotAcceptable)?,
    })
}

fn emergency_ind(info: &McpttInfo) -> Option<bool> {
    info.emergency_ind.as_ref().and_then(Content::boolean)
}

/// What a re-INVITE says of an emergency: it is declared, it is over, or nothing.
//= TS 24.379 10.1.1.2.5
pub(crate) fn emergency_of(
    request: &Request,
    demand: Demand,
    keys: &BodyProtection,
) -> Result<Option<bool>, Refused> {
    let parts = Multipart::of(&request.headers, &request.body).map_err(|_| Refused::Malformed)?;
    if parts.get(media::MCPTT_INFO).is_none() {
        return Ok(None);
    }
    let info = demand.open(&parts, Some(keys)).map_err(Refused::Body)?;
    Ok(emergency_ind(&info))
}

/// Reads the description of an answer: alone, or beside other parts.
pub(crate) fn answer_media(headers: &Headers, body: &[u8]) -> Option<McpttMedia> {
    let parts = Multipart::of(headers, body).ok()?;
    read_sdp(&parts.get(media::SDP)?.content)
}

fn read_sdp(content: &[u8]) -> Option<McpttMedia> {
    let sdp = Sdp::parse(content).ok()?;
    McpttMedia::from_sdp(&sdp).ok()
}
