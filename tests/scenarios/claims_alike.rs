//! MCSEC-7.1-3 (TR 33.880 7.8.1.2): what comes from the other side is protected like what comes from
//! an MC client, packet by packet and body by body; and who hears it is told where protection ends.

use std::collections::{BTreeMap, BTreeSet};

use lab::parties::now_us;
use lab::site::{Approach, Link, UnitIs};
use lab::topology::Domain;
use mc_client::ClientEvent;
use mc_sip::mcptt::media;
use mc_sip::sdp::Sdp;
use mc_sip::{Method, Multipart, Request, SipMessage};
use mc_trace::{Direction, Event, Interface, Protocol};
use mc_xml::{Element, Node};
use testkit::recording::Recording;

use crate::claims_stage::{COMMAND, Stage, heard_so_far, id};
use crate::folder::Folder;
use crate::support::until;

const DUTY_OFFICER: &str = "sip:duty-officer@mc.example";

macro_rules! claim {
    ($($test:ident: $approach:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            protected_alike(Approach::$approach).await;
        }
    )*};
}

claim! {
    radio_users_are_protected_as_mc_users_7_1: SingleClient;
    radio_users_are_protected_as_mc_users_7_2: ClientPerUser;
    radio_users_are_protected_as_mc_users_7_3: MigratedClients;
    radio_users_are_protected_as_mc_users_7_4: ExternalDomain;
    radio_users_are_protected_as_mc_users_7_5: ExternalDomainSingleUser;
}

/// A part of the run.
type Window = (u64, u64);
/// For each kind of message and packet, everything that was seen of its protection.
type Shapes = BTreeMap<String, BTreeSet<String>>;
/// The kind of the I_MESSAGE with a PCK.
const KEY: &str = "PCK";

async fn protected_alike(approach: Approach) {
    let folder = Folder::new(approach, "protected-alike");
    let stage = Stage::up(&folder.lab(), approach).await;
    let (site, unit) = (stage.site, stage.site.units[0]);
    // Whoever stands behind a functional alias is compared with somebody who has one too.
    let alias = (site.unit_is == UnitIs::FunctionalAlias).then_some(DUTY_OFFICER);
    if let Some(alias) = alias {
        on_duty(&stage, alias).await;
    }
    let mut told_bob = stage.bob.follow();
    let begin = now_us();
    stage.radio_talks(unit).await;
    let group = now_us();
    // In a group of MC users only.
    stage.alice_talks(COMMAND, alias).await;
    let private = now_us();
    stage.radio_calls_bob(unit).await;
    let told = heard_so_far(&mut told_bob);
    let native = now_us();
    stage.alice_calls_bob(alias).await;
    let told_of_alice = heard_so_far(&mut told_bob);
    let across = now_us();
    let mut told_alice = stage.alice.follow();
    stage.alice_calls_radio(unit).await;
    let told_caller = heard_so_far(&mut told_alice);
    user_is_told(&stage, [&told, &told_caller], &told_of_alice);
    let end = now_us();
    let run = stage.down().await;

    for (what, radio, mc) in [
        ("group call", (begin, group), (group, private)),
        ("private call", (private, native), (native, across)),
    ] {
        let (radio, mut mc) = (reached_bob(&run, radio), reached_bob(&run, mc));
        if site.domain == Domain::Gateway && what == "private call" {
            // A PCK that crosses systems is one for the sender too (TS 33.180 E.3.1): alice's are alike.
            let alices = sent(&run, (across, end), |event| event.node == "alice");
            mc.insert(KEY.to_owned(), alices.get(KEY).unwrap().clone());
        }
        same(&radio, &mc, what);
        for kind in ["INVITE", "SRTP", "SRTCP"] {
            assert!(radio.contains_key(kind), "{what}: {kind} in {radio:#?}");
        }
        assert_eq!(radio.contains_key(KEY), what == "private call");
    }
    let node = |event: &Event| event.node.starts_with(site.gateway().name);
    match site.link {
        Link::Registered => {
            let gateway = sent(&run, (0, across), node);
            let alice = sent(&run, (0, across), |event| event.node == "alice");
            same(&gateway, &alice, "to the server");
            assert!(gateway.contains_key("REGISTER") && gateway.contains_key("SRTCP"));
        }
        Link::Interconnected => {
            border_is_protected(&run, node);
            // Floor control under the SPK has the form of floor control under a CSK.
            let gateway = sent(&run, (0, end), node).remove("SRTCP").unwrap();
            let alice = sent(&run, (0, end), |event| event.node == "alice");
            let spk = |line: &String| line.replace("purpose 2", "purpose 3");
            assert_eq!(
                gateway,
                alice.get("SRTCP").unwrap().iter().map(spk).collect()
            );
        }
    }
}

async fn on_duty(stage: &Stage, alias: &str) {
    let mut at_alice = stage.alice.follow();
    let aliases = vec![alias.to_owned()];
    let asked = stage.alice.client.set_functional_aliases(aliases).await;
    asked.unwrap();
    until(&mut at_alice, "alias", |e| {
        matches!(e, ClientEvent::AliasesActive { .. }).then_some(())
    })
    .await;
}

/// TS 33.180 Annex L: a certificate that says "security gateway" reaches the user, and so does the
/// status bit of a PCK and of a group's key (E.6.9); a call or group without a gateway says nothing.
fn user_is_told(stage: &Stage, of_radio: [&[ClientEvent]; 2], of_alice: &[ClientEvent]) {
    let site = stage.site;
    let by_certificate = site.domain == Domain::Gateway;
    let radio = id(&stage.identity(site.units[0]));
    for told in of_radio {
        let said: Vec<_> = told
            .iter()
            .filter_map(|event| match event {
                ClientEvent::EndsAtGateway { user } => Some(user.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(said, std::slice::from_ref(&radio));
    }
    let silent = |e: &ClientEvent| !matches!(e, ClientEvent::EndsAtGateway { .. });
    assert!(of_alice.iter().all(silent), "{of_alice:?}");

    let (mut documents, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for event in &stage.told {
        match event {
            ClientEvent::GroupKnown {
                group,
                ends_at_gateway,
                ..
            } => {
                documents.insert(group.to_string(), *ends_at_gateway);
            }
            ClientEvent::KeyReceived {
                groups,
                ends_at_gateway,
                ..
            } => {
                keys.insert(groups[0].to_string(), *ends_at_gateway);
            }
            _ => {}
        }
    }
    let groups = |of_site| {
        BTreeMap::from([
            (site.group.to_owned(), of_site),
            (COMMAND.to_owned(), false),
        ])
    };
    assert_eq!(documents, groups(by_certificate), "by the certificates");
    // Of users of its own domain the GMS is told by its operator who is behind a gateway.
    assert_eq!(keys, groups(true), "by the status of the key");
}

/// Compares what comes from radio users with what comes from MC users.
fn same(radio: &Shapes, mc: &Shapes, what: &str) {
    let lines = |shapes: &Shapes| -> BTreeSet<String> {
        let line = |(kind, lines): (&String, &BTreeSet<String>)| -> Vec<String> {
            lines.iter().map(|line| format!("{kind}: {line}")).collect()
        };
        shapes.iter().flat_map(line).collect()
    };
    let (radio, mc) = (lines(radio), lines(mc));
    let only_radio: Vec<_> = radio.difference(&mc).collect();
    let only_mc: Vec<_> = mc.difference(&radio).collect();
    assert!(
        only_radio.is_empty() && only_mc.is_empty(),
        "{what}: of radio users only {only_radio:#?}, of MC users only {only_mc:#?}"
    );
}

/// What reached bob in a part of the run: how each kind of message and packet was protected.
fn reached_bob(run: &Recording, window: Window) -> Shapes {
    let received = |event: &Event| event.node == "bob" && event.direction == Direction::Received;
    shapes(run, window, received)
}

/// The same of what a node sent.
fn sent(run: &Recording, window: Window, by: impl Fn(&Event) -> bool) -> Shapes {
    shapes(run, window, |event| {
        by(event) && event.direction == Direction::Sent
    })
}

fn shapes(run: &Recording, (from, to): Window, wanted: impl Fn(&Event) -> bool) -> Shapes {
    let mut all = Shapes::new();
    let mut add = |kind: &str, shape: BTreeSet<String>| {
        all.entry(kind.to_owned()).or_default().extend(shape);
    };
    let events = run
        .events
        .iter()
        .filter(|e| (from..to).contains(&e.time_us));
    // What goes to the radios has no protection to compare.
    for event in events.filter(|e| wanted(e) && e.interface != Interface::LMR) {
        match event.protocol {
            Protocol::Sip => {
                let Some(request) = with_body(event) else {
                    continue;
                };
                add(request.method.as_str(), of_body(&request));
                if let Some(message) = pck(&request) {
                    add(KEY, of_key_message(&message).collect());
                }
            }
            Protocol::Rtp => add("SRTP", BTreeSet::from([of_speech(event)])),
            Protocol::Rtcp => add("SRTCP", BTreeSet::from([of_floor(event)])),
            Protocol::Http | Protocol::Mikey | Protocol::None => {}
        }
    }
    all
}

fn with_body(event: &Event) -> Option<Request> {
    match mc_sip::parse_message(&event.raw) {
        Ok(SipMessage::Request(request)) if !request.body.is_empty() => Some(request),
        Ok(_) | Err(_) => None,
    }
}

/// RFC 3711 3.1 and RFC 7714: what the header shows, and what follows the encrypted payload.
fn of_speech(event: &Event) -> String {
    let raw = &event.raw;
    let overhead = raw.len().checked_sub(event.clear.len());
    let overhead = overhead.filter(|_| !event.clear.is_empty());
    let mki = overhead.map_or(0, |octets| octets - 16);
    // MKI of eight octets and a counter of four, or MKI of four (TS 33.180 7.5).
    let purpose = raw[raw.len() - mki.max(4)] >> 4;
    let roc = (mki == 12).then(|| &raw[raw.len() - 4..]);
    format!(
        "first octet {:02x} payload type {} overhead {overhead:?} purpose {purpose} ROC {roc:?}",
        raw[0],
        raw[1] & 0x7f
    )
}

/// RFC 3711 3.4: E flag, tag and MKI.
fn of_floor(event: &Event) -> String {
    let raw = &event.raw;
    let overhead = raw.len() - event.clear.len();
    let mki = &raw[raw.len() - 4..];
    let index = &raw[raw.len() - 8..raw.len() - 4];
    let encrypted = index[0] >> 7;
    format!("overhead {overhead} E {encrypted} purpose {}", mki[0] >> 4)
}

/// Parts, encrypted and clear elements, signature and key message of a body.
fn of_body(request: &Request) -> BTreeSet<String> {
    let parts = Multipart::of(&request.headers, &request.body).unwrap();
    let mut shape = BTreeSet::new();
    for part in &parts.parts {
        shape.insert(format!("part {}", part.media_type));
        if part.media_type == "application/mikey" {
            shape.extend(of_key_message(&part.content));
        } else if part.media_type.ends_with("xml") {
            let root = mc_xml::parse(&part.content).unwrap();
            of_element(&root, "", &mut shape);
        }
    }
    shape
}

/// The I_MESSAGE of a private call's description (RFC 4567).
fn pck(request: &Request) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let parts = Multipart::of(&request.headers, &request.body).unwrap();
    let sdp = Sdp::parse(&parts.get(media::SDP)?.content).unwrap();
    let octets = base64::engine::general_purpose::STANDARD.decode(sdp.key_mgmt()?);
    Some(octets.unwrap())
}

/// The payloads with their lengths, which do not depend on keys.
fn of_key_message(octets: &[u8]) -> impl Iterator<Item = String> {
    let items = mikey::anatomy(octets).into_iter().enumerate();
    items.map(|(n, item)| {
        // Identities are as long as they are.
        let length = if item.name.contains("ID") {
            0
        } else {
            item.length
        };
        format!("mikey {n} {} {length}", item.name)
    })
}

/// Elements by path: encrypted ones up to the algorithm, clear ones with whatever is in clear.
fn of_element(element: &Element, above: &str, shape: &mut BTreeSet<String>) {
    let path = format!("{above}/{}", element.local);
    let algorithm = element.attribute("Algorithm").unwrap_or_default();
    shape.insert(format!("{path} {algorithm}"));
    for child in &element.children {
        if let Node::Element(child) = child {
            of_element(child, &path, shape);
        }
    }
}

/// Nothing that a user's identity could be read from leaves the gateway's system in clear, and
/// everything is signed.
fn border_is_protected(run: &Recording, by: impl Fn(&Event) -> bool) {
    let mut bodies = 0;
    for event in run.of(Protocol::Sip) {
        let leaves = event.direction == Direction::Sent && event.interface != Interface::LMR;
        let Some(request) = with_body(event).filter(|_| leaves && by(event)) else {
            continue;
        };
        let crosses = matches!(request.method, Method::Invite | Method::Publish);
        if !crosses {
            continue;
        }
        let shape = of_body(&request);
        let shown = |text: &str| shape.iter().any(|line| line.contains(text));
        assert!(shown("/EncryptedData "), "{shape:#?}");
        assert!(
            !shown("/mcpttURI ") && !shown("/mcpttString "),
            "{shape:#?}"
        );
        assert!(shown("/Signature "), "{shape:#?}");
        bodies += 1;
    }
    assert!(
        bodies >= 3,
        "{bodies}: affiliation, group call, private call"
    );
}
