//! The SIP requests and answers of a client, as messages (TS 24.379). Pure.

use mc_ids::{GroupId, McServiceId};
use mc_sip::mcptt::{self, EXPIRES_FOREVER, ICSI, media};
use mc_sip::sdp::McpttMedia;
use mc_sip::{
    BodyPart, Method, Multipart, NameAddr, Request, SessionTimer, SessionTimerPolicy, Uri, name,
    token,
};
use mc_xml::affiliation::{Affiliation, AffiliationPresence, Tuple};
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};
use mc_xml::poc_settings::{AnswerMode, PocSettings};
use mc_xml::resource_lists::ResourceLists;
use mc_xml::security::XmlProtection;
use rand_core::CryptoRng;

use crate::config::Identity;

/// Makes requests of one identity.
pub(crate) struct Requests<'a, R: CryptoRng> {
    pub(crate) identity: &'a Identity,
    /// Contact towards the first hop, with the MCPTT features.
    pub(crate) contact: &'a NameAddr,
    /// Keys for mcptt-info; without, values go in clear.
    pub(crate) xml: Option<&'a XmlProtection>,
    pub(crate) rng: &'a mut R,
}

impl<R: CryptoRng> Requests<'_, R> {
    fn outside_dialog(&mut self, method: Method, uri: &Uri, to: &Uri) -> Request {
        let from = NameAddr::new(self.identity.impu.clone()).with_tag(&token::tag(self.rng));
        let call_id = token::call_id(self.rng);
        Request::new(
            method,
            uri.clone(),
            &from,
            &NameAddr::new(to.clone()),
            &call_id,
            1,
        )
    }

    fn with_parts(&mut self, request: Request, parts: &Multipart) -> Request {
        let (content_type, body) = parts.write(&token::boundary(self.rng));
        request.with_body(&content_type, body)
    }

    fn info(&mut self, mut info: McpttInfo) -> BodyPart {
        if let Some(keys) = self.xml {
            info.encrypt(keys, self.rng);
        }
        BodyPart::new(media::MCPTT_INFO, info.to_xml())
    }

    /// REGISTER with service authorisation: the CSK first, then the token under it.
    //= TS 24.379 7.2.1
    pub(crate) fn register(
        &mut self,
        expires_s: u32,
        csk_message: Vec<u8>,
        access_token: &str,
        csk_keys: &XmlProtection,
    ) -> Request {
        let mut info = McpttInfo {
            access_token: Some(Content::string_value(access_token)),
            client_id: Some(Content::string_value(self.identity.client_id.as_str())),
            ..McpttInfo::default()
        };
        info.encrypt(csk_keys, self.rng);
        let parts = Multipart::default()
            .with(BodyPart::new(media::MIKEY, csk_message))
            .with(BodyPart::new(media::MCPTT_INFO, info.to_xml()));
        let request = self.bare_register(expires_s);
        self.with_parts(request, &parts)
    }

    /// REGISTER without body: a refresh, or with 0 the end of the registration.
    pub(crate) fn bare_register(&mut self, expires_s: u32) -> Request {
        let registrar = Uri {
            user: None,
            ..self.identity.impu.identity()
        };
        let impu = self.identity.impu.clone();
        let contact = self
            .contact
            .clone()
            .with_param("expires", Some(&expires_s.to_string()));
        self.outside_dialog(Method::Register, &registrar, &impu)
            .with(name::CONTACT, contact.to_string())
            .with(name::SUPPORTED, "path")
            .with(name::ALLOW, Method::allow())
    }

    /// Service settings: calls are answered automatically.
    //= TS 24.379 7.2.3
    pub(crate) fn publish_settings(&mut self) -> Request {
        let settings = PocSettings {
            client_id: self.identity.client_id.as_str().to_owned(),
            answer_mode: Some(AnswerMode::Automatic),
            user_profile_index: None,
        };
        let info = McpttInfo {
            client_id: Some(Content::string_value(self.identity.client_id.as_str())),
            ..self.about_self()
        };
        let part = BodyPart::new(media::POC_SETTINGS, settings.to_xml());
        self.publish("poc-settings", info, part)
    }

    /// Affiliation: the whole set of wanted groups.
    //= TS 24.379 9.2.1.2
    pub(crate) fn publish_affiliation(&mut self, groups: &[GroupId]) -> Request {
        let wanted = |group: &GroupId| Affiliation {
            group: Some(group.as_str().to_owned()),
            ..Affiliation::default()
        };
        let presence = AffiliationPresence {
            entity: self.identity.mcptt_id.as_str().to_owned(),
            tuples: vec![Tuple {
                id: self.identity.client_id.as_str().to_owned(),
                affiliations: groups.iter().map(wanted).collect(),
                functional_aliases: Vec::new(),
            }],
            p_id: Some(token::hex(self.rng, 4)),
        };
        let info = self.about_self();
        let part = BodyPart::new(media::PIDF, presence.to_xml());
        self.publish("presence", info, part)
    }

    fn about_self(&self) -> McpttInfo {
        McpttInfo {
            request_uri: Some(Content::uri_value(self.identity.mcptt_id.as_str())),
            ..McpttInfo::default()
        }
    }

    fn publish(&mut self, event: &str, info: McpttInfo, part: BodyPart) -> Request {
        let (participating, impu) = (
            self.identity.participating.clone(),
            self.identity.impu.clone(),
        );
        let request = self
            .outside_dialog(Method::Publish, &participating, &impu)
            .with("P-Preferred-Service", ICSI)
            .with("Event", event)
            .with(name::EXPIRES, EXPIRES_FOREVER.to_string());
        let parts = Multipart::default().with(self.info(info)).with(part);
        self.with_parts(request, &parts)
    }

    /// Subscription to changes of group documents; it also makes the GMS send GMKs.
    //= TS 24.481 6.3.13
    pub(crate) fn subscribe_groups(&mut self, documents: &[String], access_token: &str) -> Request {
        let info = McpttInfo {
            access_token: Some(Content::string_value(access_token)),
            ..McpttInfo::default()
        };
        let lists = ResourceLists {
            uris: documents.to_vec(),
        };
        let parts = Multipart::default()
            .with(BodyPart::new(media::MCPTT_INFO, info.to_xml()))
            .with(
                BodyPart::new(media::RESOURCE_LISTS, lists.to_xml())
                    .with(name::CONTENT_DISPOSITION, "recipient-list"),
            );
        let gms = self.identity.gms.clone();
        let request = self
            .outside_dialog(Method::Subscribe, &gms, &gms)
            .with(name::CONTACT, self.contact.to_string())
            .with("Event", "xcap-diff")
            .with(name::ACCEPT, media::XCAP_DIFF)
            .with(name::EXPIRES, EXPIRES_FOREVER.to_string())
            .with("P-Preferred-Service", ICSI);
        self.with_parts(request, &parts)
    }

    /// INVITE of a prearranged group call.
    //= TS 24.379 10.1.1.2.1.1
    pub(crate) fn invite(&mut self, group: &GroupId, offer: &McpttMedia) -> Request {
        let info = McpttInfo {
            session_type: Some(SessionType::Prearranged),
            request_uri: Some(Content::uri_value(group.as_str())),
            client_id: Some(Content::string_value(self.identity.client_id.as_str())),
            ..McpttInfo::default()
        };
        let participating = self.identity.participating.clone();
        let mut request = self
            .outside_dialog(Method::Invite, &participating, &participating)
            .with(name::CONTACT, self.contact.to_string())
            .with("P-Preferred-Service", ICSI)
            .with(name::ALLOW, Method::allow());
        mcptt::push_accept_contact(&mut request.headers);
        SessionTimer::offer(&mut request.headers, SessionTimerPolicy::default());
        let sdp = offer.to_sdp(1, 1).to_string().into_bytes();
        let parts = Multipart::default()
            .with(BodyPart::new(media::SDP, sdp))
            .with(self.info(info));
        self.with_parts(request, &parts)
    }
}

/// What an incoming group call says, after decryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IncomingCall {
    pub(crate) group: GroupId,
    pub(crate) caller: Option<McServiceId>,
    pub(crate) media: McpttMedia,
}

/// Why an incoming request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 400.
    Malformed,
    /// 403 with Warning 140.
    Undecryptable,
    /// 488.
    NotAcceptable,
}

/// Reads the INVITE of a group call.
//= TS 24.379 10.1.1.2.2.1
pub(crate) fn incoming_call(
    request: &Request,
    xml: Option<&XmlProtection>,
) -> Result<IncomingCall, Refused> {
    let malformed = |_| Refused::Malformed;
    let parts = Multipart::of(&request.headers, &request.body).map_err(|_| Refused::Malformed)?;
    let info = parts.get(media::MCPTT_INFO).ok_or(Refused::Malformed)?;
    let mut info = McpttInfo::parse(&info.content).map_err(malformed)?;
    if info.is_protected() {
        let keys = xml.ok_or(Refused::Undecryptable)?;
        info.decrypt(keys).map_err(|_| Refused::Undecryptable)?;
    }
    if info.session_type != Some(SessionType::Prearranged) {
        return Err(Refused::NotAcceptable);
    }
    let group = info
        .calling_group_id
        .as_ref()
        .and_then(Content::uri)
        .ok_or(Refused::Malformed)?;
    let caller = info.calling_user_id.as_ref().and_then(Content::uri);
    let sdp = parts.get(media::SDP).ok_or(Refused::NotAcceptable)?;
    Ok(IncomingCall {
        group: GroupId::new(group).map_err(|_| Refused::Malformed)?,
        caller: caller.and_then(|caller| McServiceId::new(caller).ok()),
        media: read_sdp(&sdp.content).ok_or(Refused::NotAcceptable)?,
    })
}

/// Reads the description of an answer: alone, or beside other parts.
pub(crate) fn answer_media(headers: &mc_sip::Headers, body: &[u8]) -> Option<McpttMedia> {
    let parts = Multipart::of(headers, body).ok()?;
    read_sdp(&parts.get(media::SDP)?.content)
}

fn read_sdp(content: &[u8]) -> Option<McpttMedia> {
    let sdp = mc_sip::sdp::Sdp::parse(content).ok()?;
    McpttMedia::from_sdp(&sdp).ok()
}

#[cfg(test)]
mod tests;
