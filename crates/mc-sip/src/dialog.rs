//! Dialogs (RFC 3261 12): tags, sequence numbers, route set and remote target.

use crate::error::ParseError;
use crate::header::{CSeq, Headers, name};
use crate::message::{Request, Response};
use crate::method::Method;
use crate::name_addr::NameAddr;
use crate::uri::Uri;

/// What identifies a dialog at this element.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag.
    pub remote_tag: String,
}

impl DialogId {
    /// The dialog an incoming request belongs to; `None` when it is outside any.
    ///
    /// # Errors
    /// A mandatory header field is missing or malformed.
    pub fn of_request(request: &Request) -> Result<Option<Self>, ParseError> {
        let Some(local_tag) = request.headers.to()?.tag().map(str::to_owned) else {
            return Ok(None);
        };
        let remote_tag = request.headers.from()?.tag().unwrap_or_default().to_owned();
        Ok(Some(Self {
            call_id: request.headers.call_id()?.to_owned(),
            local_tag,
            remote_tag,
        }))
    }

    /// The dialog a response to our request belongs to.
    ///
    /// # Errors
    /// A mandatory header field is missing or malformed.
    pub fn of_response(headers: &Headers) -> Result<Self, ParseError> {
        Ok(Self {
            call_id: headers.call_id()?.to_owned(),
            local_tag: headers.from()?.tag().unwrap_or_default().to_owned(),
            remote_tag: headers.to()?.tag().unwrap_or_default().to_owned(),
        })
    }
}

/// How far a dialog has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialogState {
    /// A provisional response made it.
    Early,
    /// A 2xx confirmed it.
    Confirmed,
    /// It is over.
    Terminated,
}

/// Why a request inside a dialog is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    /// The sequence number is lower than one already seen: answered with 500 (RFC 3261 12.2.2).
    #[error("sequence number is out of order")]
    OutOfOrder,
    /// The request has no readable sequence number.
    #[error("request is malformed")]
    Malformed,
}

/// One dialog at one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    id: DialogId,
    local: NameAddr,
    remote: NameAddr,
    remote_target: Uri,
    route_set: Vec<NameAddr>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    state: DialogState,
}

impl Dialog {
    /// The server's side, made when it answers `request` with `to_tag` (RFC 3261 12.1.1).
    ///
    /// # Errors
    /// The request has no Contact or a malformed header field.
    pub fn uas(request: &Request, to_tag: &str) -> Result<Self, ParseError> {
        let headers = &request.headers;
        let remote = headers.from()?;
        let local = headers.to()?.with_tag(to_tag);
        let contact = headers
            .contact()
            .ok_or(ParseError::MissingHeader(name::CONTACT))?;
        Ok(Self {
            id: DialogId {
                call_id: headers.call_id()?.to_owned(),
                local_tag: to_tag.to_owned(),
                remote_tag: remote.tag().unwrap_or_default().to_owned(),
            },
            local,
            remote,
            remote_target: contact.uri,
            route_set: headers.record_routes()?,
            local_cseq: 0,
            remote_cseq: Some(headers.cseq()?.number),
            state: DialogState::Confirmed,
        })
    }

    /// The client's side, made when `response` to `request` brings a tag (RFC 3261 12.1.2).
    ///
    /// # Errors
    /// The response has no Contact, no To tag, or a malformed header field.
    pub fn uac(request: &Request, response: &Response) -> Result<Self, ParseError> {
        let headers = &response.headers;
        let remote = headers.to()?;
        let remote_tag = remote
            .tag()
            .ok_or(ParseError::MalformedHeader(name::TO))?
            .to_owned();
        let local = request.headers.from()?;
        let contact = headers
            .contact()
            .ok_or(ParseError::MissingHeader(name::CONTACT))?;
        let mut route_set = headers.record_routes()?;
        route_set.reverse();
        Ok(Self {
            id: DialogId {
                call_id: request.headers.call_id()?.to_owned(),
                local_tag: local.tag().unwrap_or_default().to_owned(),
                remote_tag,
            },
            local,
            remote,
            remote_target: contact.uri,
            route_set,
            local_cseq: request.headers.cseq()?.number,
            remote_cseq: None,
            state: if response.status.is_success() {
                DialogState::Confirmed
            } else {
                DialogState::Early
            },
        })
    }

    /// What identifies the dialog.
    #[must_use]
    pub const fn id(&self) -> &DialogId {
        &self.id
    }

    /// How far it has come.
    #[must_use]
    pub const fn state(&self) -> DialogState {
        self.state
    }

    /// Where requests of this dialog are sent: the first route, else the remote target.
    #[must_use]
    pub fn next_hop(&self) -> &Uri {
        self.route_set
            .first()
            .map_or(&self.remote_target, |route| &route.uri)
    }

    /// The peer's Contact.
    #[must_use]
    pub const fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    /// Ends the dialog.
    pub const fn terminate(&mut self) {
        self.state = DialogState::Terminated;
    }

    /// Goes on after this sequence number, if it is higher: for a dialog that is made from what was
    /// stored of it.
    pub fn count_from(&mut self, cseq: u32) {
        self.local_cseq = self.local_cseq.max(cseq);
    }

    /// A request inside the dialog with the next sequence number.
    //= RFC 3261 12.2.1.1
    pub fn request(&mut self, method: Method) -> Request {
        self.local_cseq += 1;
        self.build(method, self.local_cseq)
    }

    /// The ACK for a 2xx to the INVITE with sequence number `cseq` (RFC 3261 13.2.2.4).
    #[must_use]
    pub fn ack(&self, cseq: u32) -> Request {
        self.build(Method::Ack, cseq)
    }

    fn build(&self, method: Method, cseq: u32) -> Request {
        let mut request = Request::new(
            method,
            self.remote_target.clone(),
            &self.local,
            &self.remote,
            &self.id.call_id,
            cseq,
        );
        for route in &self.route_set {
            request.headers.push(name::ROUTE, route.to_string());
        }
        request
    }

    /// Takes in a request of the peer: order and target refresh.
    ///
    /// # Errors
    /// The request is out of order or malformed; the dialog is unchanged.
    //= RFC 3261 12.2.2
    pub fn on_request(&mut self, request: &Request) -> Result<(), DialogError> {
        let CSeq { number, method } = request.headers.cseq().map_err(|_| DialogError::Malformed)?;
        let is_ack = matches!(method, Method::Ack | Method::Cancel);
        if !is_ack && self.remote_cseq.is_some_and(|seen| number <= seen) {
            return Err(DialogError::OutOfOrder);
        }
        if !is_ack {
            self.remote_cseq = Some(number);
        }
        if matches!(
            method,
            Method::Invite | Method::Update | Method::Subscribe | Method::Notify
        ) && let Some(contact) = request.headers.contact()
        {
            self.remote_target = contact.uri;
        }
        if method == Method::Bye {
            self.state = DialogState::Terminated;
        }
        Ok(())
    }

    /// Takes in a response to a request of ours: confirmation and target refresh.
    pub fn on_response(&mut self, response: &Response) {
        if response.status.is_success() && self.state == DialogState::Early {
            self.state = DialogState::Confirmed;
        }
        let refreshes = response.headers.cseq().is_ok_and(|cseq| {
            matches!(
                cseq.method,
                Method::Invite | Method::Update | Method::Subscribe
            )
        });
        if response.status.is_success()
            && refreshes
            && let Some(contact) = response.headers.contact()
        {
            self.remote_target = contact.uri;
        }
        if matches!(response.status.code(), 408 | 481) {
            self.state = DialogState::Terminated;
        }
    }
}
