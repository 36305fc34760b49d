//! The payloads between the header and SIGN.

use super::{Item, hex, next_item};
use crate::policy::{policy_differences, policy_name};
use crate::wire::{
    ID_SCHEME_MCX_UID, ID_TYPE_BYTES, ID_TYPE_URI, Reader, SAKKE_PARAMETER_SET_1, TIME_NTP_UTC,
    extension, payload, role,
};
use mc_ids::{KeyPurpose, NtpTime};
use mikey_sakke::SED_OCTETS;

/// One payload and the type of the next; `None` when it is cut short or of no known type.
pub(super) fn payload(kind: u8, reader: &mut Reader<'_>) -> Option<(Item, u8)> {
    let at = reader.position();
    let next = reader.u8()?;
    let mut item = match kind {
        payload::TIME => time(at, reader)?,
        payload::RAND => rand(at, reader)?,
        payload::IDR => identity(at, reader)?,
        payload::SP => policy(at, reader)?,
        payload::SAKKE => sakke(at, reader)?,
        payload::EXTENSION => general_extension(at, reader)?,
        _ => return None,
    };
    item.length = reader.position() - at;
    item.children.insert(0, next_item(at, next));
    Some((item, next))
}

fn time(at: usize, reader: &mut Reader<'_>) -> Option<Item> {
    let (kind, time) = (reader.u8()?, u64::from_be_bytes(reader.array()?));
    let ntp = NtpTime(time);
    let unix = ntp.to_unix().as_secs();
    let mut item = Item::new(
        at,
        0,
        "T",
        format!("{time:016x} = {unix} s of the Unix epoch"),
    );
    item.children = vec![
        Item::new(at + 1, 1, "TS type", kind.to_string())
            .expect("0 (NTP-UTC)", kind == TIME_NTP_UTC),
        Item::new(
            at + 2,
            8,
            "TS value",
            format!("{} NTP seconds", ntp.seconds()),
        ),
    ];
    Some(item)
}

fn rand(at: usize, reader: &mut Reader<'_>) -> Option<Item> {
    let length = reader.u8()?;
    let value = reader.take(length.into())?;
    let mut item = Item::new(at, 0, "RAND", hex(value));
    item.children = vec![
        Item::new(at + 1, 1, "length", length.to_string())
            .expect("16 or more (RFC 3830 6.11)", length >= 16),
    ];
    Some(item)
}

fn identity(at: usize, reader: &mut Reader<'_>) -> Option<Item> {
    let [role, kind] = reader.array()?;
    let data = reader.field16()?;
    let name = match role {
        role::INITIATOR => "IDRi",
        role::RESPONDER => "IDRr",
        role::KMS_INITIATOR => "IDRkmsi",
        role::KMS_RESPONDER => "IDRkmsr",
        role::UID_INITIATOR => "IDRuidi",
        role::UID_RESPONDER => "IDRuidr",
        _ => "IDR of another role",
    };
    let uid = matches!(role, role::UID_INITIATOR | role::UID_RESPONDER);
    let text = std::str::from_utf8(data).ok().filter(|_| !uid);
    let printable = text.filter(|t| !t.chars().any(char::is_control));
    let seen = printable.map_or_else(|| hex(data), str::to_owned);
    let mut item = Item::new(at, 0, name, seen);
    if uid {
        item = item.expect("a UID of 32 octets", data.len() == 32);
    } else {
        item = item.expect("a URI", printable.is_some() && !data.is_empty());
    }
    let (types, fits) = if uid {
        ("1, or 2", kind == ID_TYPE_URI || kind == ID_TYPE_BYTES)
    } else {
        ("1 (URI)", kind == ID_TYPE_URI)
    };
    item.children = vec![
        Item::new(at + 1, 1, "role", role.to_string())
            .expect("1, 2, 6, 7, 8 or 9", matches!(role, 1 | 2 | 6..=9)),
        Item::new(at + 2, 1, "ID type", kind.to_string()).expect(types, fits),
        Item::new(at + 3, 2, "length", data.len().to_string()),
    ];
    Some(item)
}

fn policy(at: usize, reader: &mut Reader<'_>) -> Option<Item> {
    let [number, protocol] = reader.array()?;
    let data = reader.field16()?;
    let mut parameters = Vec::new();
    let mut inner = Reader::new(data);
    while !inner.is_empty() {
        let [kind, length] = inner.array()?;
        parameters.push((kind, inner.take(length.into())?.to_vec()));
    }
    let mut item = Item::new(at, 0, "SP", format!("policy {number}"));
    item.children = vec![
        Item::new(at + 2, 1, "protocol", protocol.to_string()).expect("0 (SRTP)", protocol == 0),
    ];
    let differences = policy_differences(&parameters, KeyPurpose::Gmk);
    let mut place = at + 5;
    for (kind, value) in &parameters {
        let difference = differences.iter().find(|d| d.kind == *kind);
        let parameter = Item::new(place, 2 + value.len(), policy_name(*kind), hex(value));
        let expected = match difference.map(|d| &d.default) {
            None => hex(value),
            Some(Some(default)) => hex(default),
            Some(None) => "not in the default profile".to_owned(),
        };
        place += 2 + value.len();
        item.children
            .push(parameter.expect(expected, difference.is_none()));
    }
    Some(item)
}

fn sakke(at: usize, reader: &mut Reader<'_>) -> Option<Item> {
    let [set, scheme] = reader.array()?;
    let data = reader.field16()?;
    let mut item = Item::new(at, 0, "SAKKE", format!("{} octets", data.len()));
    let right = data.len() == SED_OCTETS;
    let (r, h) = data.split_at_checked(257).unwrap_or((data, &[]));
    item.children = vec![
        Item::new(at + 1, 1, "parameter set", set.to_string())
            .expect("1", set == SAKKE_PARAMETER_SET_1),
        Item::new(at + 2, 1, "identifier scheme", scheme.to_string())
            .expect("2 (MCX hashed UID)", scheme == ID_SCHEME_MCX_UID),
        Item::new(at + 3, 2, "length", data.len().to_string()).expect("273", right),
        Item::new(at + 5, r.len(), "R", abbreviated(r))
            .expect("04 || x || y", right && r.first() == Some(&4)),
        Item::new(at + 5 + r.len(), h.len(), "H", hex(h)),
    ];
    Some(item)
}

fn general_extension(at: usize, reader: &mut Reader<'_>) -> Option<Item> {
    let kind = reader.u8()?;
    let data = reader.field16()?;
    let (name, children) = match kind {
        extension::SAKKE_TO_SELF => {
            let mut inner = Reader::new(data);
            let next = inner.u8()?;
            let mut inside = sakke(at + 4, &mut inner)?;
            inside.length = data.len();
            inside.children.insert(0, next_item(at + 4, next));
            ("SAKKE-to-self", vec![inside])
        }
        extension::KEY_PARAMETERS => ("key parameters", key_parameters(at + 4, data)),
        _ => ("extension of another type", Vec::new()),
    };
    let mut item = Item::new(at, 0, name, format!("{} octets", data.len()));
    item.children = vec![
        Item::new(at + 1, 1, "type", kind.to_string()).expect(
            "6 or 7 (others are skipped)",
            matches!(kind, extension::SAKKE_TO_SELF | extension::KEY_PARAMETERS),
        ),
        Item::new(at + 2, 2, "length", data.len().to_string()),
    ];
    item.children.extend(children);
    Some(item)
}

/// The octets in clear of the protected form (TS 33.180 8.5.4); the rest needs the key.
fn key_parameters(at: usize, data: &[u8]) -> Vec<Item> {
    let mut reader = Reader::new(data);
    let parts = (
        reader.u8(),
        reader.array::<5>(),
        reader.array::<5>(),
        reader.u8(),
        reader.array::<16>(),
        reader.array::<4>(),
    );
    let (Some(kind), Some(date), Some(payload), Some(algorithm), Some(iv), Some(id)) = parts else {
        let seen = format!("{} octets: {}", data.len(), hex(data));
        return vec![
            Item::new(at, data.len(), "plain form", seen).expect("the protected form (E.6)", false),
        ];
    };
    vec![
        Item::new(at, 1, "message type", format!("{kind:#04x}")).expect("0x43", kind == 0x43),
        Item::new(at + 1, 5, "date and time", hex(&date)),
        Item::new(at + 6, 5, "payload ID and number", hex(&payload))
            .expect("0000000000", payload == [0; 5]),
        Item::new(at + 11, 1, "algorithm", algorithm.to_string())
            .expect("1 (AEAD_AES_128_GCM)", algorithm == 1),
        Item::new(at + 12, 16, "IV", hex(&iv)),
        Item::new(at + 28, 4, "DPPK-ID", hex(&id)),
        Item::new(
            at + 32,
            data.len() - 32,
            "payload",
            format!("{} octets", data.len() - 32),
        ),
    ]
}

fn abbreviated(octets: &[u8]) -> String {
    match octets {
        [first @ .., _, _, _, _] if octets.len() > 32 => {
            let head = first.get(..12).unwrap_or(first);
            format!("{}... ({} octets)", hex(head), octets.len())
        }
        _ => hex(octets),
    }
}
