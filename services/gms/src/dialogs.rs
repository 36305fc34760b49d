//! Subscription dialogs across a restart: what the SUBSCRIBE said of its dialog is stored, without
//! the body and its access token, and the dialog is made from it again.

use mc_sip::{Dialog, Headers, ParseError, Request, SipMessage, name, parse_message};

/// What a dialog is made of (RFC 3261 12.1.1), and what makes a message readable.
const HEAD: [&str; 6] = [
    name::VIA,
    name::FROM,
    name::CALL_ID,
    name::CSEQ,
    name::CONTACT,
    name::RECORD_ROUTE,
];

/// The head of a SUBSCRIBE that was answered with `to_tag`.
///
/// # Errors
/// It has no readable To.
pub(crate) fn head_of(request: &Request, to_tag: &str) -> Result<String, ParseError> {
    let mut headers = Headers::new();
    headers.push(name::MAX_FORWARDS, "70");
    for field in HEAD {
        for value in request.headers.get_all(field) {
            headers.push(field, value);
        }
    }
    let to = request.headers.to()?.with_tag(to_tag);
    headers.push(name::TO, to.to_string());
    let head = Request {
        headers,
        body: Vec::new(),
        ..request.clone()
    };
    Ok(String::from_utf8_lossy(&head.to_bytes()).into_owned())
}

/// The head after a SUBSCRIBE inside the dialog: its sequence number and target, the same route.
pub(crate) fn refreshed(head: &str, request: &Request) -> Option<String> {
    let mut known = read(head)?;
    for field in [name::CSEQ, name::CONTACT] {
        if let Some(value) = request.headers.get(field) {
            known.headers.set(field, value);
        }
    }
    Some(String::from_utf8_lossy(&known.to_bytes()).into_owned())
}

/// The dialog of a stored head. Its requests are numbered from the second `now_s` of the Unix epoch
/// on: higher than any of before as long as there was less than one each second (RFC 3261 8.1.1.5).
pub(crate) fn restored(head: &str, now_s: u64) -> Option<Dialog> {
    let request = read(head)?;
    let to = request.headers.to().ok()?;
    let mut dialog = Dialog::uas(&request, to.tag()?).ok()?;
    dialog.count_from(u32::try_from(now_s & 0x7fff_ffff).ok()?);
    Some(dialog)
}

fn read(head: &str) -> Option<Request> {
    match parse_message(head.as_bytes()) {
        Ok(SipMessage::Request(request)) => Some(request),
        Ok(SipMessage::Response(_)) | Err(_) => None,
    }
}
