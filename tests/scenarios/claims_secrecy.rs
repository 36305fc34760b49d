//! MCSEC-7.1-2 (TR 33.880 7.8.1.2): what is not routed to the other side stays closed to the gateway.
//! Whoever has taken the gateway over tries all it ever held on everything else that was captured.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use lab::site::Approach;
use lab::supervisor::Lab;
use mc_ids::annex_f::XpkIdEncoding;
use mc_ids::{Csk, Key128 as _, KeyId};
use mc_sip::Multipart;
use mc_sip::mcptt::media;
use mc_trace::{Event, KeyKind, Protocol};
use mc_xml::mcptt_info::McpttInfo;
use mc_xml::security::XmlProtection;
use mikey::{KmsCertificate, Unverified};
use mikey_sakke::sakke::ReceiverSecretKey;
use testkit::attack::{Loot, Packet, encapsulated, open_media};
use testkit::recording::Recording;
use testkit::tshark;

use crate::claims_stage::{ALICE, BOB, COMMAND, Stage};
use crate::counts::key_sets;
use crate::domains;
use crate::folder::Folder;
use crate::peer::MDSI;

macro_rules! claim {
    ($($test:ident: $approach:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            opens_nothing_else(Approach::$approach).await;
        }
    )*};
}

claim! {
    a_gateways_secrets_open_nothing_else_7_1: SingleClient;
    a_gateways_secrets_open_nothing_else_7_2: ClientPerUser;
    a_gateways_secrets_open_nothing_else_7_3: MigratedClients;
    a_gateways_secrets_open_nothing_else_7_4: ExternalDomain;
    a_gateways_secrets_open_nothing_else_7_5: ExternalDomainSingleUser;
}

async fn opens_nothing_else(approach: Approach) {
    let folder = Folder::new(approach, "opens-nothing-else");
    let stage = Stage::up(&folder.lab(), approach).await;
    let unit = stage.site.units[0];
    // The gateway's part: a group call and a private call each way, so that it holds every kind of key.
    stage.radio_talks(unit).await;
    stage.radio_calls_bob(unit).await;
    stage.alice_calls_radio(unit).await;
    // And what is none of its business.
    stage.alice_talks(COMMAND, None).await;
    stage.alice_calls_bob(None).await;
    let memory = Memory::of(&stage.lab, stage.site.gateway().name);
    let files = files_of(&stage.lab, stage.site.gateway().name);
    let (site, certificates) = (stage.site, certificates(&stage.lab).await);
    let own: BTreeSet<String> = site.units.iter().map(|u| stage.identity(u)).collect();
    let run = stage.down().await;

    let is_native = |node: &str| node == "alice" || node == "bob";
    let natives = Loot::of(&run, is_native).unwrap();
    let mut gateway = Loot::of(&run, |node| node.starts_with("segy")).unwrap();
    assert!(gateway.keys().count() >= 4, "GMK, PCKs and CSK or SPK");
    for file in &files {
        gateway.carve(file);
    }
    on_media(&run, &natives, &gateway);
    on_bodies(&run, &natives, &gateway);
    in_memory(&run, site.gateway().name, &memory);
    on_key_messages(&run, &own, &certificates);
}

/// Keys of one node, by identifier.
fn keys_of<'r>(
    run: &'r Recording,
    node: &'r str,
    kind: KeyKind,
) -> impl Iterator<Item = (&'r str, Vec<u8>)> {
    let entries = run.keys.iter();
    let own = entries.filter(move |entry| entry.node == node && entry.kind == kind);
    own.map(|entry| (entry.key_id.as_str(), hex::decode(&entry.key).unwrap()))
}

/// Secrets that alice or bob holds and the gateway must not: GMKs, PCKs and CSKs.
fn foreign_keys(run: &Recording, kind: KeyKind) -> BTreeMap<&str, Vec<u8>> {
    let natives = ["alice", "bob"].into_iter();
    let held = natives.flat_map(|node| keys_of(run, node, kind));
    let shared: BTreeSet<&str> = run
        .keys
        .iter()
        .filter(|entry| entry.node.starts_with("segy") && entry.kind == kind)
        .map(|entry| entry.key_id.as_str())
        .collect();
    held.filter(|(id, _)| !shared.contains(id)).collect()
}

fn on_media(run: &Recording, natives: &Loot, gateway: &Loot) {
    let of = |kind| -> Vec<String> {
        foreign_keys(run, kind)
            .into_keys()
            .map(str::to_owned)
            .collect()
    };
    let (gmks, pcks, csks) = (of(KeyKind::Gmk), of(KeyKind::Pck), of(KeyKind::Csk));
    assert_eq!((gmks.len(), pcks.len(), csks.len()), (1, 1, 2));
    let packets = |protocol, ids: &[String], group: bool| -> BTreeSet<Packet> {
        let events = run.of(protocol).filter_map(|e| Packet::of(e, group));
        events
            .filter(|p| ids.iter().any(|id| p.mki.starts_with(id.as_str())))
            .collect()
    };
    for (what, packets) in [
        (
            "speech of the other group",
            packets(Protocol::Rtp, &gmks, true),
        ),
        (
            "speech of the private call",
            packets(Protocol::Rtp, &pcks, false),
        ),
        ("floor control", packets(Protocol::Rtcp, &csks, false)),
    ] {
        let rightful = open_media(&packets, natives).unwrap();
        assert!(rightful.len() >= 8, "{what}: {}", rightful.len());
        assert_eq!(rightful.len(), packets.len(), "{what}: the attack is able");
        let stolen = open_media(&packets, gateway).unwrap();
        assert_eq!(stolen, [], "{what}");
    }
}

/// XML bodies between alice or bob and the server: their CSK opens them, none of the gateway's does.
fn on_bodies(run: &Recording, natives: &Loot, gateway: &Loot) {
    let mut opened = 0;
    for event in run
        .of(Protocol::Sip)
        .filter(|e| e.node == "alice" || e.node == "bob")
    {
        let user = if event.node == "alice" { ALICE } else { BOB };
        let Some(info) = info_of(event) else { continue };
        let Some(key_id) = key_name(&info) else {
            continue;
        };
        let opens = |loot: &Loot| {
            loot.keys().any(|key| {
                let csk = Csk::from_octets(*key);
                [XpkIdEncoding::Binary4, XpkIdEncoding::Base64Ascii]
                    .into_iter()
                    .any(|encoding| {
                        let keys = XmlProtection::derive(&csk, key_id, user, encoding);
                        info.clone().decrypt(&keys) == Ok(true)
                    })
            })
        };
        assert!(opens(natives), "{}", event.summary);
        assert!(!opens(gateway), "{}", event.summary);
        opened += 1;
    }
    assert!(opened >= 4, "{opened} encrypted bodies");
}

fn info_of(event: &Event) -> Option<McpttInfo> {
    let (headers, body) = match mc_sip::parse_message(&event.raw).ok()? {
        mc_sip::SipMessage::Request(request) => (request.headers, request.body),
        mc_sip::SipMessage::Response(response) => (response.headers, response.body),
    };
    let parts = Multipart::of(&headers, &body).ok()?;
    McpttInfo::parse(&parts.get(media::MCPTT_INFO)?.content).ok()
}

/// The key that the encrypted elements name.
fn key_name(info: &McpttInfo) -> Option<KeyId> {
    use base64::Engine as _;
    let xml = info.to_xml();
    let (_, rest) = xml.split_once("KeyName>")?;
    let (name, _) = rest.split_once('<')?;
    let id = base64::engine::general_purpose::STANDARD
        .decode(name)
        .ok()?;
    Some(KeyId(u32::from_be_bytes(id.try_into().ok()?)))
}

/// Certificates of all KMSs: everybody has them.
async fn certificates(lab: &Lab) -> Vec<KmsCertificate> {
    let bob = domains::user(lab, lab::topology::Domain::Primary, "bob", BOB).await;
    bob.ring.certificates().cloned().collect()
}

/// The SAKKE data of every I_MESSAGE that is not the gateway's, under every RSK the gateway was given,
/// as if it were for any of the users concerned.
fn on_key_messages(run: &Recording, own: &BTreeSet<String>, certificates: &[KmsCertificate]) {
    let rsks = |wanted: &dyn Fn(&str) -> bool| -> Vec<(String, ReceiverSecretKey)> {
        let sets = key_sets(run).filter(|set| wanted(&set.user_uri));
        sets.map(|set| {
            let rsk = ReceiverSecretKey::from_octets(&set.keys(&[]).unwrap().rsk);
            (set.user_uri, rsk.unwrap())
        })
        .collect()
    };
    let stolen = rsks(&|user| own.contains(user));
    let natives = rsks(&|user| [ALICE, BOB, MDSI].contains(&user));
    let holders: BTreeSet<&String> = stolen.iter().map(|(user, _)| user).collect();
    assert_eq!(
        holders,
        own.iter().collect(),
        "the RSK of each of its users"
    );
    let mut opened = BTreeSet::new();
    for seen in tshark::check_mikey(run).unwrap() {
        if seen.identities.iter().take(2).any(|id| own.contains(id)) {
            continue;
        }
        let time = Unverified::parse(&seen.octets).unwrap().claimed_time();
        let opens = |keys: &[(String, ReceiverSecretKey)]| {
            encapsulated(&seen.octets).into_iter().any(|data| {
                certificates.iter().any(|kms| {
                    keys.iter().any(|(holder, rsk)| {
                        [holder.as_str(), &seen.identities[0], &seen.identities[1]]
                            .iter()
                            .any(|user| {
                                let uid = kms.uid(user, time);
                                rsk.decapsulate(&kms.encryption, uid.octets(), data).is_ok()
                            })
                    })
                })
            })
        };
        assert!(!opens(&stolen), "{seen:?}");
        if opens(&natives) {
            opened.insert(seen.carrier.clone());
        }
    }
    // The attack is able: with their keys, alice's, bob's and the server's own messages open.
    for carrier in ["MESSAGE", "INVITE", "REGISTER"] {
        assert!(opened.contains(carrier), "{carrier}: {opened:?}");
    }
}

/// None of the natives' keys is anywhere in the gateway's memory; its own are.
fn in_memory(run: &Recording, gateway: &str, memory: &Memory) {
    for kind in [KeyKind::Gmk, KeyKind::Pck, KeyKind::Csk] {
        for (id, key) in foreign_keys(run, kind) {
            assert!(!memory.holds(&key), "{kind:?} {id} is in its memory");
        }
    }
    let is_own = |node: &str| node.starts_with(gateway);
    let entries = run.keys.iter().filter(|entry| is_own(&entry.node));
    let gmks: Vec<_> = entries.filter(|entry| entry.kind == KeyKind::Gmk).collect();
    assert!(!gmks.is_empty());
    let found = gmks
        .iter()
        .any(|gmk| memory.holds(&hex::decode(&gmk.key).unwrap()));
    assert!(found, "its own GMK: the search is able");
}

/// Everything a process has written to, at one moment.
struct Memory(Vec<Vec<u8>>);

impl Memory {
    fn of(lab: &Lab, service: &str) -> Self {
        let record = lab.state().record().unwrap().unwrap();
        let mut processes = record.processes.into_iter();
        let pid = processes.find(|p| p.service == service).unwrap().pid;
        let maps = std::fs::File::open(format!("/proc/{pid}/maps")).unwrap();
        let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
        let mut regions = Vec::new();
        for line in BufReader::new(maps).lines() {
            let line = line.unwrap();
            let (range, rest) = line.split_once(' ').unwrap();
            if !rest.starts_with("rw") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
            let mut octets = vec![0; usize::try_from(end - start).unwrap()];
            memory.seek(SeekFrom::Start(start)).unwrap();
            // A region may have gone since.
            if memory.read_exact(&mut octets).is_ok() {
                regions.push(octets);
            }
        }
        Self(regions)
    }

    fn holds(&self, key: &[u8]) -> bool {
        let mut regions = self.0.iter();
        regions.any(|region| {
            let first = key[0];
            let mut at = 0;
            while let Some(next) = region[at..].iter().position(|octet| *octet == first) {
                at += next;
                if region[at..].starts_with(key) {
                    return true;
                }
                at += 1;
            }
            false
        })
    }
}

/// The files in the gateway's state directories.
fn files_of(lab: &Lab, gateway: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(lab.state().root().join("data")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name.starts_with(gateway) {
            found.extend(files_in(&path));
        }
    }
    assert!(!found.is_empty(), "its SSRC ledger");
    found
}

fn files_in(dir: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect()
}
