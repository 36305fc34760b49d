//! The SIP side of a client: subscribes, takes NOTIFY and MESSAGE, opens what they bring.

use mc_ids::{Gmk, GmkId, NtpTime};
use mc_runtime::Clock as _;
use mc_runtime::sip::{Incoming, IncomingRequest};
use mc_sip::{
    BodyPart, Method, Multipart, NameAddr, Peer, Request, Response, StatusCode, Uri, mcptt, name,
};
use mc_xml::mcptt_info::{Content, McpttInfo};
use mc_xml::resource_lists::ResourceLists;
use mc_xml::xcap_diff::XcapDiff;
use mikey::{DistributedKey, KeyParameters, ReplayCache, Unverified, VerifyPolicy};

use crate::lab::{GMS, Lab};

/// A group key as a member has it.
#[derive(Debug)]
pub(crate) struct MemberKey {
    pub(crate) id: GmkId,
    pub(crate) key: Gmk,
    pub(crate) rand: Vec<u8>,
    pub(crate) parameters: Option<KeyParameters>,
}

/// Opens an I_MESSAGE as its receiver would: signature of the GMS, time, own RSK.
pub(crate) fn opened(lab: &Lab, member: &str, octets: &[u8]) -> MemberKey {
    let now = NtpTime::from_unix(lab.clock.unix());
    let certificates = [&lab.kms.certificate, &lab.gateway.certificate];
    let kms = match member.ends_with("@segy.example") {
        true => &lab.gateway,
        false => &lab.kms,
    };
    let message = Unverified::parse(octets).unwrap();
    let mut replay = ReplayCache::new(8);
    let policy = VerifyPolicy::default();
    let verified = message
        .verify(certificates, policy, now, &mut replay)
        .unwrap();
    assert_eq!(verified.initiator().uri.as_deref(), Some(GMS));
    let opened = verified
        .open(&kms.certificate, [&kms.keys(member, now)])
        .unwrap();
    assert_eq!(opened.kms_initiator, lab.kms.certificate.kms_uri);
    assert_eq!(opened.kms_responder, kms.certificate.kms_uri);
    let DistributedKey::Gmk { key, id, .. } = opened.key.clone() else {
        panic!("not a GMK");
    };
    MemberKey {
        id,
        key,
        rand: opened.rand.clone(),
        parameters: opened.key_parameters.clone(),
    }
}

pub(crate) fn impu(member: &str) -> String {
    let user = member.trim_start_matches("sip:").split('@').next().unwrap();
    match member.ends_with("@segy.example") {
        true => format!("sip:{user}@ims.segy.example"),
        false => format!("sip:{user}-impu@ims.mc.example"),
    }
}

/// A SUBSCRIBE to documents with a token in its body.
pub(crate) fn subscribe(lab: &Lab, member: &str, token: &str, selectors: &[String]) -> Request {
    let info = McpttInfo {
        access_token: Some(Content::string_value(token)),
        ..McpttInfo::default()
    };
    subscribe_with(lab, member, &info, selectors)
}

/// The same with an mcptt-info body of the test's own.
pub(crate) fn subscribe_with(
    lab: &Lab,
    member: &str,
    info: &McpttInfo,
    selectors: &[String],
) -> Request {
    let lists = ResourceLists {
        uris: selectors.to_vec(),
    };
    let body = Multipart::default()
        .with(BodyPart::new(mcptt::media::MCPTT_INFO, info.to_xml()))
        .with(BodyPart::new(mcptt::media::RESOURCE_LISTS, lists.to_xml()));
    let (kind, octets) = body.write("b1");
    let target: Uri = GMS.parse().unwrap();
    let from = NameAddr::new(impu(member).parse().unwrap()).with_tag("t1");
    let call_id = mc_sip::token::call_id(&mut mc_runtime::rng());
    let contact = lab.sip.contact("client", Peer::tcp(lab.gms_sip));
    Request::new(
        Method::Subscribe,
        target.clone(),
        &from,
        &target.into(),
        &call_id,
        1,
    )
    .with(name::EVENT, "xcap-diff")
    .with(name::EXPIRES, "4294967295")
    .with(name::CONTACT, contact.to_string())
    .with_body(&kind, octets)
}

impl Lab {
    pub(crate) async fn send(&self, request: Request) -> Response {
        let mut responses = self.sip.request(request, Peer::tcp(self.gms_sip));
        responses.final_response().await.unwrap()
    }

    /// Subscribes and takes the first NOTIFY.
    pub(crate) async fn subscribed(&mut self, member: &str, selectors: &[String]) -> XcapDiff {
        let request = subscribe(self, member, &self.token(member), selectors);
        let response = self.send(request).await;
        assert_eq!(response.status, StatusCode::OK);
        assert_eq!(response.headers.expires(), Some(u32::MAX));
        self.notified().await
    }

    pub(crate) async fn next_request(&mut self) -> IncomingRequest {
        loop {
            match self.incoming.recv().await {
                Some(Incoming::Request(request)) => {
                    request.respond_status(StatusCode::OK);
                    return request;
                }
                Some(_) => {}
                None => panic!("the endpoint stopped"),
            }
        }
    }

    /// The next request, which must be a NOTIFY.
    pub(crate) async fn notified(&mut self) -> XcapDiff {
        let incoming = self.next_request().await;
        assert_eq!(incoming.request.method, Method::Notify);
        XcapDiff::parse(&incoming.request.body).unwrap()
    }

    /// The next request, which must be a MESSAGE with a key for `member`.
    pub(crate) async fn key_for(&mut self, member: &str) -> MemberKey {
        let (receiver, key) = self.any_key().await;
        assert_eq!(receiver, member);
        key
    }

    /// The next request, which must be a MESSAGE with a key, and for whom.
    pub(crate) async fn any_key(&mut self) -> (String, MemberKey) {
        let incoming = self.next_request().await;
        let request = &incoming.request;
        assert_eq!(request.method, Method::Message);
        let parts = Multipart::of(&request.headers, &request.body).unwrap();
        let info = parts.get(mcptt::media::MCPTT_INFO).unwrap();
        let info = McpttInfo::parse(&info.content).unwrap();
        let member = info.request_uri.unwrap().uri().unwrap().to_owned();
        assert_eq!(request.uri.to_string(), impu(&member));
        let mikey = parts.get(mcptt::media::MIKEY).unwrap();
        let key = opened(self, &member, &mikey.content);
        (member, key)
    }
}
