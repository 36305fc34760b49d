//! The SIP requests and answers of a client, as messages (TS 24.379). Pure.

mod incoming;

pub(crate) use incoming::{
    CallKind, IncomingCall, Refused, answer_media, emergency_of, incoming_call,
};

use mc_ids::GroupId;
use mc_sip::mcptt::{self, Commencement, EXPIRES_FOREVER, ICSI, media};
use mc_sip::sdp::McpttMedia;
use mc_sip::{
    BodyPart, Method, Multipart, NameAddr, Request, SessionTimer, SessionTimerPolicy, Uri, name,
    token,
};
use mc_xml::affiliation::{Affiliation, AffiliationPresence, Tuple};
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};
use mc_xml::poc_settings::{AnswerMode, PocSettings};
use mc_xml::resource_lists::ResourceLists;
use rand_core::CryptoRng;

use crate::bodies::{BodyProtection, Seal};
use crate::config::{Identity, Role};

/// Makes requests of one identity.
pub(crate) struct Requests<'a, R: CryptoRng> {
    pub(crate) identity: &'a Identity,
    /// Contact towards the first hop, with the MCPTT features.
    pub(crate) contact: &'a NameAddr,
    /// How bodies for the MCPTT server are protected.
    pub(crate) seal: Seal<'a>,
    pub(crate) rng: &'a mut R,
}

impl<R: CryptoRng> Requests<'_, R> {
    fn outside_dialog(&mut self, method: Method, uri: &Uri, to: &Uri) -> Request {
        let from = NameAddr::new(self.identity.impu.clone()).with_tag(&token::tag(self.rng));
        let call_id = token::call_id(self.rng);
        let to = NameAddr::new(to.clone());
        let mut request = Request::new(method, uri.clone(), &from, &to, &call_id, 1);
        //= TS 24.379 6.3.2.1.3
        if self.identity.role == Role::ParticipatingFunction {
            let own = NameAddr::new(self.identity.impu.clone()).to_string();
            request.headers.push(name::P_ASSERTED_IDENTITY, own);
        }
        request
    }

    fn with_parts(&mut self, request: Request, parts: Multipart) -> Request {
        let parts = self.seal.sign(parts, self.rng);
        self.unsigned(request, &parts)
    }

    fn unsigned(&mut self, request: Request, parts: &Multipart) -> Request {
        let (content_type, body) = parts.write(&token::boundary(self.rng));
        request.with_body(&content_type, body)
    }

    fn info(&mut self, mut info: McpttInfo) -> BodyPart {
        // Between functions, only the body tells whose request it is.
        if self.identity.role == Role::ParticipatingFunction {
            info.calling_user_id = Some(Content::uri_value(self.identity.mcptt_id.as_str()));
        }
        self.seal.info(info, self.rng)
    }

    /// REGISTER with service authorisation: the CSK first, then the token under it, whatever else
    /// goes in clear.
    //= TS 24.379 7.2.1
    pub(crate) fn register(
        &mut self,
        expires_s: u32,
        csk_message: Vec<u8>,
        access_token: &str,
        csk: &BodyProtection,
    ) -> Request {
        let info = McpttInfo {
            access_token: Some(Content::string_value(access_token)),
            client_id: Some(Content::string_value(self.identity.client_id.as_str())),
            ..McpttInfo::default()
        };
        let parts = Multipart::default()
            .with(BodyPart::new(media::MIKEY, csk_message))
            .with(Seal::full(csk).info(info, self.rng));
        let request = self.bare_register(expires_s);
        self.with_parts(request, parts)
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

    /// OPTIONS to the function that serves us.
    //= RFC 3261 11.1
    pub(crate) fn options(&mut self) -> Request {
        let (function, to) = (self.identity.function.clone(), self.identity.impu.clone());
        self.outside_dialog(Method::Options, &function, &to)
            .with(name::ACCEPT, media::SDP)
    }

    /// Service settings: who answers private calls.
    //= TS 24.379 7.2.3
    pub(crate) fn publish_settings(&mut self, answer_mode: AnswerMode) -> Request {
        let settings = PocSettings {
            client_id: self.identity.client_id.as_str().to_owned(),
            answer_mode: Some(answer_mode),
            user_profile_index: None,
        };
        let info = McpttInfo {
            client_id: Some(Content::string_value(self.identity.client_id.as_str())),
            ..self.about_self()
        };
        let part = BodyPart::new(media::POC_SETTINGS, settings.to_xml());
        self.publish("poc-settings", EXPIRES_FOREVER, info, part)
    }

    /// Affiliation: the whole set of wanted groups; `p_id` comes back in the NOTIFY it causes.
    //= TS 24.379 9.2.1.2
    pub(crate) fn publish_affiliation(
        &mut self,
        groups: &[GroupId],
        p_id: &str,
        expires_s: u32,
    ) -> Request {
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
            p_id: Some(p_id.to_owned()),
            p_id_fa: None,
        };
        self.publish_presence(presence, expires_s)
    }

    /// Affiliation of this user to one group, from its participating function to the controlling
    /// function of the group.
    //= TS 24.379 9.2.2.2.6
    pub(crate) fn publish_member(
        &mut self,
        group: &GroupId,
        p_id: &str,
        expires_s: u32,
    ) -> Request {
        let client = Affiliation {
            client: Some(self.identity.client_id.as_str().to_owned()),
            ..Affiliation::default()
        };
        let presence = AffiliationPresence {
            entity: group.as_str().to_owned(),
            tuples: vec![Tuple {
                id: self.identity.mcptt_id.as_str().to_owned(),
                affiliations: vec![client],
                functional_aliases: Vec::new(),
            }],
            p_id: Some(p_id.to_owned()),
            p_id_fa: None,
        };
        let info = McpttInfo {
            request_uri: Some(Content::uri_value(group.as_str())),
            ..McpttInfo::default()
        };
        let part = self.seal.presence(presence, self.rng);
        self.publish("presence", expires_s, info, part)
    }

    /// Subscription to the own affiliations.
    //= TS 24.379 9.2.1.3
    pub(crate) fn subscribe_affiliations(&mut self) -> Request {
        let (function, to) = (self.identity.function.clone(), self.identity.impu.clone());
        let request = self
            .outside_dialog(Method::Subscribe, &function, &to)
            .with(name::CONTACT, self.contact.to_string())
            .with(self.identity.role.service_field(), ICSI)
            .with("Event", "presence")
            .with(name::ACCEPT, media::PIDF)
            .with(name::EXPIRES, EXPIRES_FOREVER.to_string());
        let info = self.about_self();
        let parts = Multipart::default().with(self.info(info));
        self.with_parts(request, parts)
    }

    /// Functional aliases: the whole set of wanted ones; with `expires_s` 0 these are given up.
    //= TS 24.379 9A.2.1.2
    pub(crate) fn publish_aliases(&mut self, aliases: &[String], expires_s: u32) -> Request {
        let presence = AffiliationPresence {
            entity: self.identity.mcptt_id.as_str().to_owned(),
            tuples: vec![Tuple {
                id: self.identity.client_id.as_str().to_owned(),
                affiliations: Vec::new(),
                functional_aliases: aliases.to_vec(),
            }],
            p_id: None,
            p_id_fa: Some(token::hex(self.rng, 4)),
        };
        self.publish_presence(presence, expires_s)
    }

    fn publish_presence(&mut self, presence: AffiliationPresence, expires_s: u32) -> Request {
        let mut info = self.about_self();
        if self.identity.role == Role::ParticipatingFunction {
            info.client_id = Some(Content::string_value(self.identity.client_id.as_str()));
        }
        let part = self.seal.presence(presence, self.rng);
        self.publish("presence", expires_s, info, part)
    }

    fn about_self(&self) -> McpttInfo {
        McpttInfo {
            request_uri: Some(Content::uri_value(self.identity.mcptt_id.as_str())),
            ..McpttInfo::default()
        }
    }

    fn publish(&mut self, event: &str, expires_s: u32, info: McpttInfo, part: BodyPart) -> Request {
        let function = self.identity.function.clone();
        let to = match self.identity.role {
            Role::Client => self.identity.impu.clone(),
            Role::ParticipatingFunction => function.clone(),
        };
        let request = self
            .outside_dialog(Method::Publish, &function, &to)
            .with(self.identity.role.service_field(), ICSI)
            .with("Event", event)
            .with(name::EXPIRES, expires_s.to_string());
        let parts = Multipart::default().with(self.info(info)).with(part);
        self.with_parts(request, parts)
    }

    /// Subscription to changes of group documents; it also makes the GMS send GMKs.
    //= TS 24.481 6.3.13
    pub(crate) fn subscribe_groups(
        &mut self,
        gms: &Uri,
        documents: &[String],
        access_token: &str,
    ) -> Request {
        let info = McpttInfo {
            access_token: Some(Content::string_value(access_token)),
            ..McpttInfo::default()
        };
        let lists = ResourceLists {
            uris: documents.to_vec(),
        };
        let lists = BodyPart::new(media::RESOURCE_LISTS, lists.to_xml())
            .with(name::CONTENT_DISPOSITION, "recipient-list");
        let request = self
            .outside_dialog(Method::Subscribe, gms, gms)
            .with(name::CONTACT, self.contact.to_string())
            .with("Event", "xcap-diff")
            .with(name::ACCEPT, media::XCAP_DIFF)
            .with(name::EXPIRES, EXPIRES_FOREVER.to_string())
            .with(self.identity.role.service_field(), ICSI);
        match self.identity.role {
            // The GMS does not have this client's CSK.
            Role::Client => {
                let info = BodyPart::new(media::MCPTT_INFO, info.to_xml());
                self.unsigned(request, &Multipart::default().with(info).with(lists))
            }
            // Between functions, the last one opens the SPK.
            Role::ParticipatingFunction => {
                let parts = Multipart::default().with(self.info(info)).with(lists);
                self.with_parts(request, parts)
            }
        }
    }

    /// INVITE of a prearranged group call, perhaps under a functional alias.
    //= TS 24.379 10.1.1.2.1.1
    pub(crate) fn invite(
        &mut self,
        group: &GroupId,
        offer: &McpttMedia,
        functional_alias: Option<&str>,
        emergency: Option<&EmergencyPriority>,
    ) -> Request {
        let mut info = self.about_group(group);
        if emergency.is_some() {
            indicate_emergency(&mut info, true);
        }
        if let Some(alias) = functional_alias {
            info.set_ext_content("functional-alias-URI", &Content::uri_value(alias));
        }
        let parts = Multipart::default()
            .with(offer_part(offer))
            .with(self.info(info));
        let mut request = self.bare_invite();
        if let Some(priority) = emergency.and_then(Option::as_ref) {
            request.headers.push(name::RESOURCE_PRIORITY, priority);
        }
        self.with_parts(request, parts)
    }

    fn about_group(&self, group: &GroupId) -> McpttInfo {
        McpttInfo {
            session_type: Some(SessionType::Prearranged),
            request_uri: Some(Content::uri_value(group.as_str())),
            client_id: Some(Content::string_value(self.identity.client_id.as_str())),
            ..McpttInfo::default()
        }
    }

    /// Completes the re-INVITE that declares an emergency in a call, or ends it. `description` is
    /// ours, unchanged.
    //= TS 24.379 6.2.8.1.2
    //= TS 24.379 6.2.8.1.3
    pub(crate) fn emergency(
        &mut self,
        re_invite: Request,
        group: &GroupId,
        description: Vec<u8>,
        emergency: Option<&EmergencyPriority>,
    ) -> Request {
        let mut info = self.about_group(group);
        indicate_emergency(&mut info, emergency.is_some());
        let mut request = re_invite
            .with(name::CONTACT, self.contact.to_string())
            .with(self.identity.role.service_field(), ICSI)
            .with(name::ALLOW, Method::allow());
        mcptt::push_accept_contact(&mut request.headers);
        SessionTimer::offer(&mut request.headers, SessionTimerPolicy::default());
        if let Some(priority) = emergency.and_then(Option::as_ref) {
            request.headers.push(name::RESOURCE_PRIORITY, priority);
        }
        let parts = Multipart::default()
            .with(BodyPart::new(media::SDP, description))
            .with(self.info(info));
        self.with_parts(request, parts)
    }

    /// INVITE of a private call. `entry` is the called user or functional alias.
    //= TS 24.379 11.1.1.2.1.1
    pub(crate) fn private_invite(
        &mut self,
        entry: &str,
        alias: AliasUse<'_>,
        commencement: Commencement,
        offer: &McpttMedia,
    ) -> Request {
        let mut info = McpttInfo {
            session_type: Some(SessionType::Private),
            client_id: Some(Content::string_value(self.identity.client_id.as_str())),
            ..McpttInfo::default()
        };
        if let Some(own) = alias.calling {
            info.set_ext_content("functional-alias-URI", &Content::uri_value(own));
        }
        match alias.called {
            CalledAlias::None => {}
            CalledAlias::ToResolve => info.set_ext_text("call-to-functional-alias-ind", "true"),
            CalledAlias::Resolved(called) => {
                info.set_ext_content("called-functional-alias-URI", &Content::uri_value(called));
            }
        }
        let called = self.seal.recipients(&[entry], self.rng);
        let parts = Multipart::default()
            .with(offer_part(offer))
            .with(self.info(info))
            .with(called);
        let (field, value) = commencement.header();
        let request = self.bare_invite().with(field, value);
        self.with_parts(request, parts)
    }

    fn bare_invite(&mut self) -> Request {
        let function = self.identity.function.clone();
        let role = self.identity.role;
        let mut request = self
            .outside_dialog(Method::Invite, &function, &function)
            .with(name::CONTACT, self.contact.to_string())
            .with(role.service_field(), ICSI)
            .with(name::ALLOW, Method::allow());
        if role == Role::ParticipatingFunction {
            let supported = "timer, tdialog, norefersub, explicitsub, nosub";
            request.headers.push(name::SUPPORTED, supported);
        }
        mcptt::push_accept_contact(&mut request.headers);
        SessionTimer::offer(&mut request.headers, SessionTimerPolicy::default());
        request
    }
}

/// Resource-Priority of an emergency, if one is configured.
pub(crate) type EmergencyPriority = Option<String>;

/// No alert goes with an emergency of ours.
fn indicate_emergency(info: &mut McpttInfo, emergency: bool) {
    info.emergency_ind = Some(Content::boolean_value(emergency));
    info.alert_ind = Some(Content::boolean_value(false));
}

/// The functional aliases a private call is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AliasUse<'a> {
    /// Ours.
    pub(crate) calling: Option<&'a str>,
    /// The called party's.
    pub(crate) called: CalledAlias<'a>,
}

/// The part a functional alias of the called party plays.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CalledAlias<'a> {
    /// None.
    None,
    /// The entry is one, to be resolved by the participating function.
    ToResolve,
    /// The entry is the user that this one was resolved to.
    Resolved(&'a str),
}

fn offer_part(offer: &McpttMedia) -> BodyPart {
    BodyPart::new(media::SDP, offer.to_sdp(1, 1).to_string().into_bytes())
}

#[cfg(test)]
mod tests;
