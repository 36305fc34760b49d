//! Every event name the system emits, once, each with its clause.
//!
//! Names read `area:what_happened`. Emitters use the constants, so an undeclared name does not
//! compile; views and tests match on the text.

use crate::event::{Interface, Protocol};

/// A declared event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The stable dotted-by-colon name.
    pub name: &'static str,
    /// The usual reference point.
    pub interface: Interface,
    /// The protocol of the octets.
    pub protocol: Protocol,
    /// The clause that defines the procedure.
    pub clause: &'static str,
    /// What happened, in a few words: the summary if the emitter gives none.
    pub meaning: &'static str,
}

macro_rules! declared {
    ($($id:ident = $name:literal, $interface:ident, $protocol:ident, $clause:literal, $meaning:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $meaning, " (", $clause, ").")]
            pub const $id: Declared = Declared {
                name: $name,
                interface: Interface::$interface,
                protocol: Protocol::$protocol,
                clause: $clause,
                meaning: $meaning,
            };
        )*

        /// All declared events, in the order of this file.
        pub const ALL: &[&Declared] = &[$(&$id),*];
    };
}

declared! {
    // Identity management
    IDMS_AUTHORIZED = "idms:authorized", CSC_1, Http, "TS 33.180 5.1.2", "the user logged in and a code was issued";
    IDMS_TOKEN_ISSUED = "idms:token_issued", CSC_1, Http, "TS 33.180 B.4", "tokens were issued";
    IDMS_REFUSED = "idms:refused", CSC_1, Http, "TS 33.180 B.4", "the identity server refused a request";

    // Key management
    KMS_INIT_ISSUED = "kms:init_issued", CSC_8, Http, "TS 33.180 D.2.3", "the KMS gave its certificate to a new client";
    KMS_KEYPROV_ISSUED = "kms:keyprov_issued", CSC_8, Http, "TS 33.180 D.2.4", "the KMS issued key sets";
    KMS_CERTCACHE_ISSUED = "kms:certcache_issued", CSC_8, Http, "TS 33.180 D.2.5", "the KMS gave the certificates of its partners";
    KMS_REFUSED = "kms:refused", CSC_8, Http, "TS 33.180 D.3.1", "the KMS refused a request";
    KEYS_VALIDATED = "keys:validated", INTERNAL, None, "TS 33.180 5.3.3", "a received key set was validated and stored";
    KEYS_REJECTED = "keys:rejected", INTERNAL, None, "TS 33.180 5.3.3", "a received key set failed validation";

    // HTTP seen from a client, or on an interface without a name of its own
    HTTP_REQUEST = "http:request", CSC_1, Http, "RFC 9110 6", "an HTTP request";
    HTTP_RESPONSE = "http:response", CSC_1, Http, "RFC 9110 6", "an HTTP response";

    // Group management
    GMS_DOCUMENT_SERVED = "gms:document_served", CSC_2, Http, "TS 24.481 6.3.3", "a group document was served";
    GMS_DOCUMENT_CHANGED = "gms:document_changed", CSC_2, Http, "TS 24.481 6.3.4", "a group document was changed";
    GMS_GMK_DELIVERED = "gms:gmk_delivered", CSC_2, None, "TS 24.481 6.3.14", "a group master key was delivered to a member";
    GMS_GMK_REKEYED = "gms:gmk_rekeyed", CSC_2, None, "TS 33.180 5.7", "a group got a new master key";
    GMS_REFUSED = "gms:refused", CSC_2, Http, "TS 24.481 6.3.3", "the group server refused a request";

    // MIKEY
    MIKEY_VERIFIED = "mikey:verified", INTERNAL, Mikey, "TS 33.180 E.2", "an I_MESSAGE was verified and its key stored";
    MIKEY_REFUSED = "mikey:refused", INTERNAL, Mikey, "TS 33.180 E.2", "an I_MESSAGE was refused";

    // SIP
    SIP_SENT = "sip:sent", SIP_1, Sip, "RFC 3261 18.1.1", "a SIP message was sent";
    SIP_RECEIVED = "sip:received", SIP_1, Sip, "RFC 3261 18.2.1", "a SIP message was received";
    SIP_REJECTED = "sip:rejected", SIP_1, Sip, "RFC 3261 18.3", "a SIP message could not be read";

    // MCPTT call control
    MCPTT_REGISTERED = "mcptt:registered", MCPTT_1, None, "TS 24.379 7.3.2", "a client registered and was authorised";
    MCPTT_DEREGISTERED = "mcptt:deregistered", MCPTT_1, None, "TS 24.379 7.3.4", "a client's registration ended";
    MCPTT_AFFILIATED = "mcptt:affiliated", MCPTT_1, None, "TS 24.379 9.2.2", "a client affiliated to a group";
    MCPTT_DEAFFILIATED = "mcptt:deaffiliated", MCPTT_1, None, "TS 24.379 9.2.2", "a client left a group";
    MCPTT_ALIASES = "mcptt:aliases", MCPTT_1, None, "TS 24.379 9A.2.2", "a client's active functional aliases changed";
    MCPTT_CALL_STARTED = "mcptt:call_started", MCPTT_1, None, "TS 24.379 10.1.1", "a call was set up";
    MCPTT_CALL_JOINED = "mcptt:call_joined", MCPTT_1, None, "TS 24.379 10.1.1", "a party joined a call";
    MCPTT_CALL_LEFT = "mcptt:call_left", MCPTT_1, None, "TS 24.379 10.1.1", "a party left a call";
    MCPTT_CALL_ENDED = "mcptt:call_ended", MCPTT_1, None, "TS 24.379 10.1.1", "a call ended";
    MCPTT_EMERGENCY = "mcptt:emergency", MCPTT_1, None, "TS 24.379 6.2.8.1", "an emergency in a group was declared, or is over";
    MCPTT_ASSERTION_REFUSED = "mcptt:assertion_refused", MCPTT_1, None, "TS 24.379 6.8.3", "a user or a partner asserted an identity or alias that is not its own";
    MCPTT_REFUSED = "mcptt:refused", MCPTT_1, None, "TS 24.379 4.4.2", "the MCPTT server refused a request";

    // Floor control
    FLOOR_SENT = "floor:sent", MCPTT_4, Rtcp, "TS 24.380 8.2", "a floor control message was sent";
    FLOOR_RECEIVED = "floor:received", MCPTT_4, Rtcp, "TS 24.380 8.2", "a floor control message was received";
    FLOOR_REFUSED = "floor:refused", MCPTT_4, Rtcp, "TS 24.380 13", "a floor control packet was refused";

    // Media
    MEDIA_SENT = "media:sent", MCPTT_7, Rtp, "TS 33.180 7.5", "a packet of speech was sent";
    MEDIA_RECEIVED = "media:received", MCPTT_7, Rtp, "TS 33.180 7.5", "a packet of speech was received";
    MEDIA_FORWARDED = "media:forwarded", MCPTT_7, Rtp, "TS 24.380 6.3.5", "a packet of speech was forwarded untouched";
    MEDIA_REFUSED = "media:refused", MCPTT_7, Rtp, "TS 33.180 7.5", "a packet of speech was refused";

    // The gateway and its external side
    SEGY_STEP = "segy:step", INTERNAL, None, "TS 33.180 L.3", "the gateway completed a step of its set-up";
    SEGY_CALL_BRIDGED = "segy:call_bridged", INTERNAL, None, "TS 33.180 L.4", "a radio call and an MC call were joined";
    SEGY_TALKER_CHANGED = "segy:talker_changed", INTERNAL, None, "TS 33.180 L.4", "the talker of a bridged call changed";
    SEGY_CALL_ENDED = "segy:call_ended", INTERNAL, None, "TS 33.180 L.4", "a bridged call ended";
    SEGY_BYPASSED = "segy:bypassed", INTERNAL, None, "TS 33.180 L.5.2", "a bridged call has no protection, as its group's document says";
    SEGY_REFUSED = "segy:refused", INTERNAL, None, "TS 33.180 L.5.2", "the gateway refused to pass a call on";
    LMR_SIP_SENT = "lmr:sip_sent", LMR, Sip, "RFC 3261 18.1.1", "a message to the radio network was sent";
    LMR_SIP_RECEIVED = "lmr:sip_received", LMR, Sip, "RFC 3261 18.2.1", "a message from the radio network was received";
    LMR_MEDIA_SENT = "lmr:media_sent", LMR, Rtp, "RFC 3551 4.5.14", "a packet of radio speech was sent";
    LMR_MEDIA_RECEIVED = "lmr:media_received", LMR, Rtp, "RFC 3551 4.5.14", "a packet of radio speech was received";
    LMR_PTT = "lmr:ptt", LMR, None, "TR 33.880 7.1", "a radio pressed or released its push-to-talk";
}

/// The declaration of a name, if there is one.
#[must_use]
pub fn find(name: &str) -> Option<&'static Declared> {
    ALL.iter().copied().find(|declared| declared.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_unique_well_formed_and_has_a_clause() {
        let mut seen = BTreeSet::new();
        for declared in ALL {
            let (area, what) = declared.name.split_once(':').unwrap();
            let plain =
                |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(plain(area) && plain(what), "{}", declared.name);
            assert!(
                seen.insert(declared.name),
                "{} declared twice",
                declared.name
            );
            assert!(
                ["TS ", "TR ", "RFC "]
                    .iter()
                    .any(|p| declared.clause.starts_with(p))
                    && declared.clause.split(' ').count() == 3,
                "{}: clause {:?}",
                declared.name,
                declared.clause
            );
            assert!(!declared.meaning.is_empty());
            assert_eq!(find(declared.name), Some(*declared));
        }
    }

    #[test]
    fn an_undeclared_name_is_not_found() {
        assert_eq!(find("kms:unheard_of"), None);
    }
}
