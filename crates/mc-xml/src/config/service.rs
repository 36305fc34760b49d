//! Service configuration (TS 24.484 8.4).

use std::time::Duration;

use crate::XmlError;
use crate::dom::Element;

/// Namespace of the document.
pub const NS: &str = "urn:3gpp:ns:mcpttServiceConfig:1.0";
/// Media type of the document.
pub const MEDIA_TYPE: &str = "application/vnd.3gpp.mcptt-service-config+xml";
/// XCAP application usage.
pub const AUID: &str = "org.3gpp.mcptt.service-config";

/// One `Resource-Priority` value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePriority {
    /// Namespace, such as `mcpttp`.
    pub namespace: String,
    /// Priority within the namespace.
    pub priority: String,
}

/// `fc-timers-counters`: durations and counts of TS 24.380.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FloorTimers {
    /// Element name (such as `T1-end-of-rtp-media`) and duration.
    pub timers: Vec<(String, Duration)>,
    /// Element name (such as `C7-floor-idle`) and count.
    pub counters: Vec<(String, u16)>,
}

impl FloorTimers {
    /// The timer whose element name starts with `number` and a hyphen, such as `T7`.
    #[must_use]
    pub fn timer(&self, number: &str) -> Option<Duration> {
        self.timers
            .iter()
            .find(|(name, _)| starts(name, number))
            .map(|(_, value)| *value)
    }

    /// The counter whose element name starts with `number` and a hyphen, such as `C7`.
    #[must_use]
    pub fn counter(&self, number: &str) -> Option<u16> {
        self.counters
            .iter()
            .find(|(name, _)| starts(name, number))
            .map(|(_, value)| *value)
    }
}

fn starts(name: &str, number: &str) -> bool {
    name.strip_prefix(number)
        .is_some_and(|rest| rest.starts_with('-'))
}

/// The service configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Domain it applies to.
    pub domain: String,
    /// TNG2: how long a group emergency lasts.
    pub group_emergency_limit: Option<Duration>,
    /// How long a private emergency call lasts.
    pub private_emergency_limit: Option<Duration>,
    /// Hang time of a private call.
    pub private_hang_time: Option<Duration>,
    /// Longest private call with floor control.
    pub private_max_duration: Option<Duration>,
    /// T2: longest time one talks.
    pub transmit_time_limit: Option<Duration>,
    /// When the talker is warned before T2 ends.
    pub transmit_time_warning: Option<Duration>,
    /// Depth of the floor queue.
    pub floor_queue_depth: Option<u16>,
    /// Longest wait in the floor queue.
    pub floor_queue_max_wait: Option<Duration>,
    /// Timers and counters of floor control.
    pub floor: FloorTimers,
    /// XML bodies are encrypted between client and server; absent is true.
    pub confidentiality_protection: bool,
    /// XML bodies are signed between client and server; absent is true.
    pub integrity_protection: bool,
    /// XML bodies are protected between servers; absent is true.
    pub server_signalling_protection: bool,
    /// Floor control is protected between servers; absent is true.
    pub server_floor_protection: bool,
    /// Priority of emergency calls.
    pub emergency_priority: Option<ResourcePriority>,
    /// Priority of imminent peril calls.
    pub imminent_peril_priority: Option<ResourcePriority>,
    /// Priority of other calls.
    pub normal_priority: Option<ResourcePriority>,
}

impl ServiceConfig {
    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        //= TS 24.484 8.4.2
        let root = crate::parse(octets)?;
        root.expect(NS, "service-configuration-info")?;
        let params = root
            .find(NS, "service-configuration-params")
            .ok_or(XmlError::PeerMissing("service-configuration-params"))?;
        let domain = params.required_attribute("domain")?;
        let absent = Element::new(NS, "on-network");
        let on = params.find(NS, "on-network").unwrap_or(&absent);
        let part = |local| on.find(NS, local).unwrap_or(&absent);
        let (emergency, private) = (part("emergency-call"), part("private-call"));
        let (transmit, queue) = (part("transmit-time"), part("floor-control-queue"));
        let (client, server) = (
            part("signalling-protection"),
            part("protection-between-mcptt-servers"),
        );
        let on_unless_false =
            |e: &Element, local| e.child_bool(NS, local).map(|value| value.unwrap_or(true));
        Ok(Self {
            domain,
            group_emergency_limit: emergency.child_duration(NS, "group-time-limit")?,
            private_emergency_limit: emergency.child_duration(NS, "private-cancel-timeout")?,
            private_hang_time: private.child_duration(NS, "hang-time")?,
            private_max_duration: private.child_duration(NS, "max-duration-with-floor-control")?,
            transmit_time_limit: transmit.child_duration(NS, "time-limit")?,
            transmit_time_warning: transmit.child_duration(NS, "time-warning")?,
            floor_queue_depth: queue.child_number(NS, "depth")?,
            floor_queue_max_wait: queue.child_duration(NS, "max-user-request-time")?,
            floor: floor(part("fc-timers-counters"))?,
            confidentiality_protection: on_unless_false(client, "confidentiality-protection")?,
            integrity_protection: on_unless_false(client, "integrity-protection")?,
            server_signalling_protection: on_unless_false(server, "allow-signalling-protection")?,
            server_floor_protection: on_unless_false(server, "allow-floor-control-protection")?,
            emergency_priority: priority(on, "emergency-resource-priority"),
            imminent_peril_priority: priority(on, "imminent-peril-resource-priority"),
            normal_priority: priority(on, "normal-resource-priority"),
        })
    }
}

fn floor(element: &Element) -> Result<FloorTimers, XmlError> {
    let mut floor = FloorTimers::default();
    for child in element.elements().filter(|e| e.ns == NS) {
        let text = child.trimmed_text();
        if child.local.starts_with('C') {
            let count = text
                .parse()
                .map_err(|_| XmlError::value("floor counter", &text))?;
            floor.counters.push((child.local.clone(), count));
        } else if child.local.starts_with('T') {
            let duration = crate::parse_duration(&text)
                .ok_or_else(|| XmlError::value("floor timer", &text))?;
            floor.timers.push((child.local.clone(), duration));
        }
    }
    Ok(floor)
}

fn priority(on: &Element, local: &str) -> Option<ResourcePriority> {
    let element = on.find(NS, local)?;
    Some(ResourcePriority {
        namespace: element.child_text(NS, "resource-priority-namespace")?,
        priority: element.child_text(NS, "resource-priority-priority")?,
    })
}
