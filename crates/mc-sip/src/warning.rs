//! Warning header fields and the MCPTT warning texts (TS 24.379 4.4).

use std::fmt;
use std::str::FromStr;

use crate::error::ParseError;
use crate::params::{quote, split_unquoted, unquote};

macro_rules! warnings {
    ($($variant:ident $code:literal $text:literal),* $(,)?) => {
        /// A numbered warning text of TS 24.379 4.4.2 (300 to 302: TS 29.379 4.2.2).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum McWarning {
            $(#[doc = $text] $variant,)*
        }

        impl McWarning {
            /// Every numbered warning.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number that starts the text.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The text behind the number.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The warning with this number.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

warnings! {
    FunctionNotAllowed 100 "function not allowed due to local policy",
    ServiceAuthorisationFailed 101 "service authorisation failed",
    TooManyAffiliations 102 "too many simultaneous affiliations",
    MaximumGroupCalls 103 "maximum simultaneous MCPTT group calls reached",
    IsfocusNotAssigned 104 "isfocus not assigned",
    NoSubscriptionInBroadcastCall 105 "subscription not allowed in a broadcast group call",
    NotAuthorisedToJoinChatGroup 106 "user not authorised to join chat group",
    NotAuthorisedPrivateCall 107 "user not authorised to make private calls",
    NotAuthorisedChatGroupCall 108 "user not authorised to make chat group calls",
    NotAuthorisedPrearrangedGroupCall 109 "user not authorised to make prearranged group calls",
    UserDeclined 110 "user declined the call invitation",
    ProceededWithoutRequiredMembers 111 "group call proceeded without all required group members",
    AbandonedForRequiredMembers 112
        "group call abandoned due to required group members not part of the group session",
    GroupDocumentDoesNotExist 113 "group document does not exist",
    UnableToRetrieveGroupDocument 114 "unable to retrieve group document",
    GroupDisabled 115 "group is disabled",
    NotPartOfGroup 116 "user is not part of the MCPTT group",
    GroupIsPrearranged 117 "the group identity indicated in the request is a prearranged group",
    GroupIsChat 118 "the group identity indicated in the request is a chat group",
    NotAuthorisedToInitiate 119 "user is not authorised to initiate the group call",
    NotAffiliated 120 "user is not affiliated to this group",
    NotAuthorisedToJoin 121 "user is not authorised to join the group call",
    TooManyParticipants 122 "too many participants",
    SessionAlreadyExists 123 "MCPTT session already exists",
    MaximumPrivateCalls 124 "maximum number of private calls reached",
    AutomaticCommencementNotAuthorised 125
        "user not authorised to make private call with automatic commencement",
    ManualCommencementNotAuthorised 126 "user not authorised to make private call with manual commencement",
    NotAuthorisedToBeCalled 127 "user not authorised to be called in private call",
    IsfocusAlreadyAssigned 128 "isfocus already assigned",
    MikeyAuthenticationFailed 136 "authentication of the MIKEY-SAKKE I_MESSAGE failed",
    GroupCallDoesNotExist 137 "the indicated group call does not exist",
    ConferenceSubscriptionNotAllowed 138 "subscription of conference events not allowed",
    IntegrityCheckFailed 139 "integrity protection check failed",
    UnableToDecryptXml 140 "unable to decrypt XML content",
    UserUnknown 141 "user unknown to the participating function",
    ControllingFunctionUnknown 142 "unable to determine the controlling function",
    NotAuthorisedToForceAnswer 143 "not authorised to force auto answer",
    NotAuthorisedToCallUser 144 "user not authorised to call this particular user",
    UnableToDetermineCalledParty 145 "unable to determine called party",
    ServiceSettingsUnknown 146 "T-PF unable to determine the service settings for the called user",
    TemporaryGroupCallAuthorised 147 "user is authorized to initiate a temporary group call",
    GroupIsRegrouped 148 "group is regrouped",
    InfoRequestPending 149 "SIP INFO request pending",
    InvalidBodyCombination 150 "invalid combinations of data received in MIME body",
    NotAuthorisedCallBack 151 "user not authorised to make a private call call-back request",
    NotAuthorisedCallBackCancel 152 "user not authorised to make a private call call-back cancel request",
    NoneCallable 153 "unable to call any of the users of the first-to-answer call",
    NotAuthorisedAmbientListening 154 "user not authorised to make ambient listening call",
    NotAuthorisedFirstToAnswer 156 "user not authorised to originate a first-to-answer call",
    NotAuthorisedInterconnection 179 "service not authorized with the interconnected system",
    NotAuthorisedFunctionalAlias 201 "user not authorized to change the functional alias status",
    LmrEncryptionNotPermitted 300 "LMR end-to-end encryption not permitted",
    LmrEncryptionRequired 301 "LMR end-to-end encryption required",
    LmrCodecRequired 302 "LMR codec required",
}

/// One value of a Warning header field, code 399: the MCPTT number is inside the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Host of the function that warns.
    pub agent: String,
    /// The whole text, for numbered warnings starting with the number.
    pub text: String,
}

impl Warning {
    /// A numbered warning of TS 24.379 4.4.2.
    #[must_use]
    pub fn numbered(agent: &str, warning: McWarning) -> Self {
        Self {
            agent: agent.to_owned(),
            text: format!("{} {}", warning.code(), warning.text()),
        }
    }

    /// A numbered warning with an own text behind the number.
    #[must_use]
    pub fn numbered_because(agent: &str, warning: McWarning, detail: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            text: format!("{} {detail}", warning.code()),
        }
    }

    /// A warning without number.
    #[must_use]
    pub fn plain(agent: &str, text: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The MCPTT number at the start of the text.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        let (number, _) = self.text.split_once(' ').unwrap_or((&self.text, ""));
        number.parse().ok().filter(|_| number.len() == 3)
    }

    /// The warning of TS 24.379 that the number names.
    #[must_use]
    pub fn known(&self) -> Option<McWarning> {
        self.code().and_then(McWarning::from_code)
    }
}

impl fmt::Display for Warning {
    //= TS 24.379 4.4.1
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "399 {} {}", self.agent, quote(&self.text))
    }
}

impl FromStr for Warning {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = ParseError::MalformedHeader("Warning");
        let words: Vec<&str> = split_unquoted(text, ' ')
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        let [code, agent, quoted] = words.as_slice() else {
            return Err(bad);
        };
        if code.len() != 3 || !code.bytes().all(|b| b.is_ascii_digit()) || !quoted.starts_with('"')
        {
            return Err(bad);
        }
        Ok(Self {
            agent: (*agent).to_owned(),
            text: unquote(quoted),
        })
    }
}
