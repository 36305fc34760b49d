//! SIP request methods.

use std::fmt;
use std::str::FromStr;

use crate::error::ParseError;

macro_rules! methods {
    ($($variant:ident $text:literal $doc:literal),* $(,)?) => {
        /// A request method that this stack implements; every other token is refused with 501.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = $doc] $variant,)*
        }

        impl Method {
            /// Every implemented method.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The token on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl FromStr for Method {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                match text { $($text => Ok(Self::$variant),)* _ => Err(ParseError::UnknownMethod) }
            }
        }
    };
}

methods! {
    Invite "INVITE" "RFC 3261 13.",
    Ack "ACK" "RFC 3261 13, 17.",
    Bye "BYE" "RFC 3261 15.",
    Cancel "CANCEL" "RFC 3261 9.",
    Options "OPTIONS" "RFC 3261 11.",
    Register "REGISTER" "RFC 3261 10.",
    Message "MESSAGE" "RFC 3428.",
    Publish "PUBLISH" "RFC 3903.",
    Subscribe "SUBSCRIBE" "RFC 6665.",
    Notify "NOTIFY" "RFC 6665.",
    Info "INFO" "RFC 6086.",
    Update "UPDATE" "RFC 3311.",
    Prack "PRACK" "RFC 3262.",
    Refer "REFER" "RFC 3515.",
}

impl Method {
    /// The value of an Allow header field that lists every implemented method.
    #[must_use]
    pub fn allow() -> String {
        let names: Vec<&str> = Self::ALL.iter().map(|method| method.as_str()).collect();
        names.join(", ")
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
