//! Session timers (RFC 4028) as a state machine: who refreshes, when, and when the session is dead.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::error::ParseError;
use crate::header::{Headers, SessionExpires, name};
use crate::message::{Request, Response};

/// The side of the transaction that refreshes the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// The client of the INVITE or UPDATE that carried the value.
    Uac,
    /// The server of it.
    Uas,
}

impl FromStr for Refresher {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.to_ascii_lowercase().as_str() {
            "uac" => Ok(Self::Uac),
            "uas" => Ok(Self::Uas),
            _ => Err(ParseError::MalformedHeader(name::SESSION_EXPIRES)),
        }
    }
}

impl fmt::Display for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uac => "uac",
            Self::Uas => "uas",
        })
    }
}

/// What an element wants of session timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimerPolicy {
    /// The interval asked for, in seconds.
    pub interval_s: u32,
    /// The smallest interval accepted, in seconds; never below 90 (RFC 4028 5).
    pub min_se_s: u32,
    /// Who refreshes when the peer supports timers and leaves it open.
    pub prefer: Refresher,
}

impl Default for SessionTimerPolicy {
    fn default() -> Self {
        Self {
            interval_s: 1800,
            min_se_s: 90,
            prefer: Refresher::Uac,
        }
    }
}

/// What is due on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionTimerAction {
    /// Send a refresh (re-INVITE or UPDATE).
    Refresh,
    /// No refresh came in time: send BYE.
    Expired,
}

/// The timer of one dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTimer {
    interval: Duration,
    we_refresh: bool,
    next: Instant,
    expires: Instant,
}

impl SessionTimer {
    /// Adds the client's wish to an INVITE: Supported, Session-Expires without refresher, Min-SE.
    pub fn offer(headers: &mut Headers, policy: SessionTimerPolicy) {
        if !headers.has_option(name::SUPPORTED, "timer") {
            headers.push(name::SUPPORTED, "timer");
        }
        headers.set(name::SESSION_EXPIRES, policy.interval_s.to_string());
        headers.set(name::MIN_SE, policy.min_se_s.max(90).to_string());
    }

    /// Server side: decides the interval for an INVITE or UPDATE, writes it into the 2xx and starts.
    /// Returns `None` when no timer runs.
    ///
    /// # Errors
    /// The interval is too small: answer 422 with the returned Min-SE.
    //= RFC 4028 9
    pub fn accept(
        request: &Request,
        response: &mut Response,
        policy: SessionTimerPolicy,
        now: Instant,
    ) -> Result<Option<Self>, u32> {
        let peer_supports = request.headers.has_option(name::SUPPORTED, "timer")
            || request.headers.has_option(name::REQUIRE, "timer");
        let asked = request.headers.session_expires();
        let min_se = policy.min_se_s.max(90);
        if asked.is_some_and(|asked| asked.seconds < min_se) {
            return Err(min_se);
        }
        let floor = request.headers.min_se().unwrap_or(0).max(min_se);
        let seconds = asked
            .map_or(policy.interval_s, |asked| {
                asked.seconds.min(policy.interval_s)
            })
            .max(floor);
        let refresher = match asked.and_then(|asked| asked.refresher) {
            _ if !peer_supports => Refresher::Uas,
            Some(refresher) => refresher,
            None => policy.prefer,
        };
        if peer_supports && !response.headers.has_option(name::REQUIRE, "timer") {
            response.headers.push(name::REQUIRE, "timer");
        }
        response.headers.set(
            name::SESSION_EXPIRES,
            format!("{seconds};refresher={refresher}"),
        );
        Ok(Some(Self::start(seconds, refresher == Refresher::Uas, now)))
    }

    /// Client side: starts what the 2xx says. `None` when the peer runs no timer.
    //= RFC 4028 7.2
    #[must_use]
    pub fn accepted(response: &Response, now: Instant) -> Option<Self> {
        let SessionExpires { seconds, refresher } = response.headers.session_expires()?;
        Some(Self::start(
            seconds.max(90),
            refresher != Some(Refresher::Uas),
            now,
        ))
    }

    /// After a refresh by this side: the same interval again.
    #[must_use]
    pub fn restarted(seconds: u32, now: Instant) -> Self {
        Self::start(seconds.max(90), true, now)
    }

    fn start(seconds: u32, we_refresh: bool, now: Instant) -> Self {
        let interval = Duration::from_secs(seconds.into());
        // The BYE goes out a little before the end: the smaller of 32 s and a third (RFC 4028 10).
        let margin = (interval / 3).min(Duration::from_secs(32));
        let expires = now + interval - margin;
        let next = if we_refresh {
            now + interval / 2
        } else {
            expires
        };
        Self {
            interval,
            we_refresh,
            next,
            expires,
        }
    }

    /// Whether this side refreshes.
    #[must_use]
    pub const fn we_refresh(&self) -> bool {
        self.we_refresh
    }

    /// The session interval.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// When [`SessionTimer::handle_timeout`] wants to be called.
    #[must_use]
    pub const fn poll_timeout(&self) -> Instant {
        self.next
    }

    /// What is due at `now`; `None` before the time.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<SessionTimerAction> {
        if now >= self.expires {
            return Some(SessionTimerAction::Expired);
        }
        if now < self.next {
            return None;
        }
        self.next = self.expires;
        Some(SessionTimerAction::Refresh)
    }
}
