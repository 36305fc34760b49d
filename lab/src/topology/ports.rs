//! Every port of a lab, once: its name in templates, and where it is by default.

use serde::{Deserialize, Serialize};

macro_rules! ports {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $port:literal;)*) => {
        /// Every port of a lab.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum PortName {$(
            $(#[doc = $doc])+
            #[serde(rename = $name)]
            $variant,
        )*}

        impl PortName {
            /// All ports with their defaults.
            pub const ALL: &[(Self, u16)] = &[$((Self::$variant, $port),)*];

            /// Name in templates (`{{idms}}` is the address, `{{idms-ip}}` without the port) and
            /// reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {$(Self::$variant => $name,)*}
            }
        }
    };
}

ports! {
    /// Identity management server, HTTPS.
    Idms = "idms", 8441;
    /// Key management server, HTTPS.
    Kms = "kms", 8442;
    /// Group management server, HTTPS (XCAP).
    Gms = "gms", 8443;
    /// Group management server, SIP.
    GmsSip = "gms-sip", 5064;
    /// MCPTT server, HTTPS for health and status.
    McpttServer = "mcptt-server", 8444;
    /// MCPTT server, SIP over UDP and TCP.
    McpttSip = "mcptt-sip", 5060;
    /// Security gateway, HTTPS for health and status.
    Segy = "segy", 8445;
    /// Security gateway, SIP towards the radio network.
    SegySip = "segy-sip", 5062;
    /// Identity management server of the gateway's domain, HTTPS.
    SegyIdms = "segy-idms", 8451;
    /// Key management server of the gateway's domain, HTTPS.
    SegyKms = "segy-kms", 8452;
    /// Group management server of the gateway's domain, HTTPS (XCAP).
    SegyGms = "segy-gms", 8453;
    /// Group management server of the gateway's domain, SIP.
    SegyGmsSip = "segy-gms-sip", 5065;
    /// MCX server of the interconnected system, SIP.
    PartnerSip = "partner-sip", 5066;
    /// Radio network, API for radios and people, HTTP.
    LmrSim = "lmr-sim", 8446;
    /// Radio network, SIP of the analogue channels.
    LmrSip = "lmr-sip", 5070;
    /// Security gateway of approach 7.2, HTTPS for health and status.
    Segy72 = "segy-7.2", 8455;
    /// Security gateway of approach 7.2, SIP towards its radio network.
    Segy72Sip = "segy-7.2-sip", 5072;
    /// Radio network of approach 7.2, API for radios and people, HTTP.
    Lmr72 = "lmr-7.2", 8456;
    /// Radio network of approach 7.2, SIP of the analogue channels.
    Lmr72Sip = "lmr-7.2-sip", 5080;
    /// Security gateway of approach 7.3, HTTPS for health and status.
    Segy73 = "segy-7.3", 8465;
    /// Security gateway of approach 7.3, SIP towards its radio network.
    Segy73Sip = "segy-7.3-sip", 5074;
    /// Security gateway of approach 7.3, SIP of the interconnection.
    Segy73Mc = "segy-7.3-mc", 5067;
    /// Radio network of approach 7.3, API for radios and people, HTTP.
    Lmr73 = "lmr-7.3", 8466;
    /// Radio network of approach 7.3, SIP of the analogue channels.
    Lmr73Sip = "lmr-7.3-sip", 5082;
    /// Security gateway of approach 7.4, HTTPS for health and status.
    Segy74 = "segy-7.4", 8475;
    /// Security gateway of approach 7.4, SIP towards its radio network.
    Segy74Sip = "segy-7.4-sip", 5076;
    /// Security gateway of approach 7.4, SIP of the interconnection.
    Segy74Mc = "segy-7.4-mc", 5068;
    /// Radio network of approach 7.4, API for radios and people, HTTP.
    Lmr74 = "lmr-7.4", 8476;
    /// Radio network of approach 7.4, SIP of the analogue channels.
    Lmr74Sip = "lmr-7.4-sip", 5084;
    /// Security gateway of approach 7.5, HTTPS for health and status.
    Segy75 = "segy-7.5", 8485;
    /// Security gateway of approach 7.5, SIP towards its radio network.
    Segy75Sip = "segy-7.5-sip", 5078;
    /// Security gateway of approach 7.5, SIP of the interconnection.
    Segy75Mc = "segy-7.5-mc", 5069;
    /// Radio network of approach 7.5, API for radios and people, HTTP.
    Lmr75 = "lmr-7.5", 8486;
    /// Radio network of approach 7.5, SIP of the analogue channels.
    Lmr75Sip = "lmr-7.5-sip", 5086;
    /// Console, HTTP.
    Console = "console", 8080;
    /// Console, trace events by HEP3 over UDP.
    ConsoleHep = "console-hep", 9060;
    /// Lab runner, the console's buttons, HTTP.
    LabControl = "lab-control", 8448;
}
