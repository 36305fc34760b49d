//! Where the parts of the map stand: MC clients on the left, the servers between, the gateway and
//! the radio network on the right.

use super::{Light, Map, NodeHealth};

/// Width of the drawing, in SVG units.
const WIDTH: i32 = 1200;
const BOX_WIDTH: i32 = 176;
const BOX_HEIGHT: i32 = 62;
const PARTY_WIDTH: i32 = 150;
const PARTY_HEIGHT: i32 = 46;
const PARTY_GAP: i32 = 12;
/// Parties drawn on each side: what fits beside the rows of all sites.
const MAX_DRAWN: usize = 12;
/// From one site's row to the next one's.
const ROW: i32 = 84;

/// A service the map has a place for: name, role, x, y of its box's left upper corner.
const PLACES: &[(&str, &str, i32, i32)] = &[
    ("idms", "identity", 234, 16),
    ("kms", "keys", 434, 16),
    ("gms", "groups", 634, 16),
    ("mcptt-server", "calls and floor", 284, 204),
    ("segy", "MC security gateway", 554, 204),
    ("lmr-sim", "radio network", 806, 204),
    ("segy-7.2", "MC security gateway", 554, 204 + ROW),
    ("lmr-7.2", "radio network", 806, 204 + ROW),
    ("segy-7.3", "MC security gateway", 554, 204 + 2 * ROW),
    ("lmr-7.3", "radio network", 806, 204 + 2 * ROW),
    ("segy-7.4", "MC security gateway", 554, 204 + 3 * ROW),
    ("lmr-7.4", "radio network", 806, 204 + 3 * ROW),
    ("segy-7.5", "MC security gateway", 554, 204 + 4 * ROW),
    ("lmr-7.5", "radio network", 806, 204 + 4 * ROW),
    ("segy-idms", "gateway's identity", 284, 204 + 2 * ROW),
    ("segy-kms", "gateway's keys", 284, 204 + 3 * ROW),
    ("segy-gms", "gateway's groups", 284, 204 + 4 * ROW),
];

/// Connections drawn between services: the two ends and the reference point.
const LINKS: &[(&str, &str, &str)] = &[
    ("idms", "mcptt-server", "CSC-1"),
    ("kms", "mcptt-server", "CSC-9"),
    ("gms", "mcptt-server", "CSC-3"),
    ("idms", "segy", "CSC-1"),
    ("kms", "segy", "CSC-8"),
    ("gms", "segy", "CSC-2"),
    ("mcptt-server", "segy", "MCPTT-1"),
    ("segy", "lmr-sim", "LMR"),
    ("mcptt-server", "segy-7.2", "MCPTT-1"),
    ("segy-7.2", "lmr-7.2", "LMR"),
    ("mcptt-server", "segy-7.3", "SPK"),
    ("segy-7.3", "lmr-7.3", "LMR"),
    ("mcptt-server", "segy-7.4", "SPK"),
    ("segy-7.4", "lmr-7.4", "LMR"),
    ("mcptt-server", "segy-7.5", "SPK"),
    ("segy-7.5", "lmr-7.5", "LMR"),
];

/// The map, ready to be drawn.
#[derive(Debug)]
pub struct Drawing {
    /// Height in SVG units.
    pub height: i32,
    /// Connections, drawn first.
    pub edges: Vec<Edge>,
    /// Boxes.
    pub nodes: Vec<NodeBox>,
}

/// A connection.
#[derive(Debug)]
pub struct Edge {
    /// Start and end.
    pub line: [i32; 4],
    /// Reference point.
    pub label: String,
    /// Centre of the label.
    pub middle: [i32; 2],
    /// Width of the label.
    pub width: i32,
    /// Speech is on it.
    pub live: bool,
    /// The two ends, for screen readers.
    pub title: String,
}

/// A box.
#[derive(Debug)]
pub struct NodeBox {
    /// Name.
    pub name: String,
    /// What it does.
    pub role: String,
    /// `service`, `client` or `radio`.
    pub kind: &'static str,
    /// Light's class.
    pub light: &'static str,
    /// Why, on one line.
    pub reason: String,
    /// Why, in full.
    pub full_reason: String,
    /// Left upper corner, width, height.
    pub place: [i32; 4],
    /// It sends speech.
    pub talking: bool,
}

impl NodeBox {
    fn centre(&self) -> (i32, i32) {
        let [x, y, w, h] = self.place;
        (x + w / 2, y + h / 2)
    }
}

/// Whether the map has a place for this name.
#[must_use]
pub(super) fn is_service(name: &str) -> bool {
    PLACES.iter().any(|(place, ..)| *place == name) || name == "web-ui"
}

pub(super) fn draw(map: &Map) -> Drawing {
    let mut nodes = services(map);
    let known = nodes.len();
    nodes.extend(parties(map, "client", 24));
    nodes.extend(parties(map, "radio", WIDTH - PARTY_WIDTH - 24));
    let mut edges = Vec::new();
    for (a, b, label) in LINKS {
        edges.extend(edge(map, &nodes, a, b, label));
    }
    for party in nodes.iter().skip(known) {
        let network = map.networks.get(&party.name);
        let hub = match party.kind {
            "client" => "mcptt-server",
            _ => network.map_or("lmr-sim", String::as_str),
        };
        edges.extend(edge(map, &nodes, &party.name, hub, ""));
    }
    let bottom = nodes
        .iter()
        .map(|n| n.place[1] + n.place[3])
        .max()
        .unwrap_or(0);
    Drawing {
        height: bottom.max(290) + 20,
        edges,
        nodes,
    }
}

fn services(map: &Map) -> Vec<NodeBox> {
    // Without a list, the parts that every lab has.
    let shown = |name: &str| match map.services.is_empty() {
        true => !name.contains("7.") && !name.starts_with("segy-"),
        false => map.services.iter().any(|service| service == name),
    };
    let placed = PLACES.iter().filter(|(name, ..)| shown(name));
    let extra = map.services.iter().filter(|name| !is_service(name));
    let placed = placed.map(|(name, role, x, y)| ((*name).to_owned(), *role, *x, *y));
    let extra = (0..)
        .zip(extra)
        .map(|(n, name)| (name.clone(), "service", 270 + n * 190, 204 + 5 * ROW));
    placed
        .chain(extra)
        .map(|(name, role, x, y)| {
            let unknown = NodeHealth {
                light: Light::Grey,
                reason: "not asked yet".to_owned(),
            };
            let health = map.health.get(&name).cloned().unwrap_or(unknown);
            let place = [x, y, BOX_WIDTH, BOX_HEIGHT];
            node(map, name, role, "service", &health, place)
        })
        .collect()
}

fn parties(map: &Map, kind: &'static str, x: i32) -> Vec<NodeBox> {
    let (parties, role) = match kind {
        "client" => (&map.clients, "MC client"),
        _ => (&map.radios, "radio"),
    };
    let shown = i32::try_from(parties.len().min(MAX_DRAWN)).unwrap_or(0);
    let height = shown * (PARTY_HEIGHT + PARTY_GAP) - PARTY_GAP;
    let top = (212 + BOX_HEIGHT / 2 - height / 2).max(24);
    (0..)
        .zip(parties.iter().take(MAX_DRAWN))
        .map(|(n, (name, health))| {
            let y = top + n * (PARTY_HEIGHT + PARTY_GAP);
            let place = [x, y, PARTY_WIDTH, PARTY_HEIGHT];
            node(map, name.clone(), role, kind, health, place)
        })
        .collect()
}

fn node(
    map: &Map,
    name: String,
    role: &str,
    kind: &'static str,
    health: &NodeHealth,
    place: [i32; 4],
) -> NodeBox {
    let line = match health.light {
        Light::Green | Light::Grey => role.to_owned(),
        Light::Amber | Light::Red => short(&health.reason, 22),
    };
    NodeBox {
        talking: map.live.keys().any(|(from, _)| *from == name),
        light: health.light.class(),
        reason: line,
        full_reason: health.reason.clone(),
        role: role.to_owned(),
        name,
        kind,
        place,
    }
}

fn edge(map: &Map, nodes: &[NodeBox], a: &str, b: &str, label: &str) -> Option<Edge> {
    let find = |name: &str| nodes.iter().find(|n| n.name == name);
    let (from, to) = (find(a)?, find(b)?);
    let ([x1, y1, x2, y2], along) = course(from, to);
    let live = map
        .live
        .keys()
        .any(|(f, t)| (f == a && t == b) || (f == b && t == a));
    Some(Edge {
        line: [x1, y1, x2, y2],
        middle: [x1 + (x2 - x1) * along / 100, y1 + (y2 - y1) * along / 100],
        width: 16 + 7 * i32::try_from(label.len()).unwrap_or(0),
        label: label.to_owned(),
        live,
        title: format!("{a} to {b}"),
    })
}

/// Where a connection runs, and at which percentage of its length its label stands. The three
/// servers on top have two connections each: they leave and arrive side by side, so that neither
/// lines nor labels lie on each other.
fn course(from: &NodeBox, to: &NodeBox) -> ([i32; 4], i32) {
    let (x1, y1) = from.centre();
    let (x2, y2) = to.centre();
    let on_top = from.place[1] < 100;
    let downwards =
        on_top && from.kind == "service" && to.kind == "service" && y2 - y1 > BOX_HEIGHT;
    if !downwards {
        return ([x1, y1, x2, y2], 50);
    }
    let (bottom, top) = (from.place[1] + from.place[3], to.place[1]);
    let to_the_left = to.place[0] < 400;
    let (leave, along) = if to_the_left { (-34, 30) } else { (34, 70) };
    let arrive = (x1 - 522) / 4;
    ([x1 + leave, bottom, x2 + arrive, top], along)
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}
