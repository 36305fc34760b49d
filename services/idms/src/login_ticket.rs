//! The hidden field of the login page: the checked request, sealed and bound to the browser.
//!
//! The server keeps nothing for a page somebody opens. The ticket is also the CSRF token: it opens
//! only together with the cookie that was set with the page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mc_runtime::sealing::{SealingError, SealingKey};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::authorization::AuthorizationRequest;
use crate::store::token_hash;

const PURPOSE: &str = "login ticket";

#[derive(Serialize, Deserialize)]
struct Ticket {
    request: AuthorizationRequest,
    cookie_hash: String,
    expires_s: i64,
}

/// Why a posted ticket is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not a ticket of this server.
    #[error("this login page is not ours")]
    Foreign,
    /// The page was open for too long.
    #[error("this login page has expired; go back to your application and start again")]
    Expired,
    /// The cookie set with the page is absent or another one.
    #[error("this login page belongs to another browser session")]
    OtherBrowser,
}

/// Seals a request for the browser that holds `cookie`, usable until `expires_s` (since 1970).
///
/// # Errors
/// [`SealingError`].
pub fn issue(
    key: &SealingKey,
    request: AuthorizationRequest,
    cookie: &str,
    expires_s: i64,
    rng: &mut impl CryptoRng,
) -> Result<String, SealingError> {
    let ticket = Ticket {
        request,
        cookie_hash: token_hash(cookie),
        expires_s,
    };
    let text = serde_json::to_vec(&ticket).map_err(|_| SealingError::Sealing)?;
    Ok(URL_SAFE_NO_PAD.encode(key.seal(PURPOSE, &text, rng)?))
}

/// Opens a posted ticket at `now_s` (since 1970) for the browser that sent `cookie`.
///
/// # Errors
/// [`TicketError`].
pub fn open(
    key: &SealingKey,
    ticket: &str,
    cookie: Option<&str>,
    now_s: i64,
) -> Result<AuthorizationRequest, TicketError> {
    let sealed = URL_SAFE_NO_PAD
        .decode(ticket)
        .map_err(|_| TicketError::Foreign)?;
    let text = key
        .open(PURPOSE, &sealed)
        .map_err(|_| TicketError::Foreign)?;
    let ticket: Ticket = serde_json::from_slice(&text).map_err(|_| TicketError::Foreign)?;
    let sent = cookie.map(token_hash).ok_or(TicketError::OtherBrowser)?;
    if !bool::from(sent.as_bytes().ct_eq(ticket.cookie_hash.as_bytes())) {
        return Err(TicketError::OtherBrowser);
    }
    if now_s > ticket.expires_s {
        return Err(TicketError::Expired);
    }
    Ok(ticket.request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_for_its_browser_until_it_expires() {
        let key = SealingKey::from_octets([1; 32]);
        let request = AuthorizationRequest {
            client_id: "c".into(),
            redirect_uri: "http://localhost/".into(),
            scope: "openid".into(),
            state: "s".into(),
            nonce: None,
            code_challenge: "x".into(),
            login_hint: None,
        };
        let mut rng = mc_runtime::rng();
        let ticket = issue(&key, request.clone(), "cookie", 100, &mut rng).unwrap();
        assert_eq!(open(&key, &ticket, Some("cookie"), 100), Ok(request));
        assert_eq!(
            open(&key, &ticket, Some("cookie"), 101),
            Err(TicketError::Expired)
        );
        assert_eq!(
            open(&key, &ticket, Some("other"), 1),
            Err(TicketError::OtherBrowser)
        );
        assert_eq!(open(&key, &ticket, None, 1), Err(TicketError::OtherBrowser));
        assert_eq!(
            open(&key, "AAAA", Some("cookie"), 1),
            Err(TicketError::Foreign)
        );
        let other = SealingKey::from_octets([2; 32]);
        assert_eq!(
            open(&other, &ticket, Some("cookie"), 1),
            Err(TicketError::Foreign)
        );
    }
}
