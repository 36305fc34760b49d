//! A message taken apart for people: each field with its place, what was seen and what would be
//! expected. It goes on where [`Unverified::parse`](crate::Unverified::parse) refuses, and decides
//! nothing.

mod payloads;

use crate::wire::{DATA_TYPE_SAKKE, PRF_HMAC_SHA_256, Reader, SIGN_HEADER, VERSION, payload};
use mc_ids::KeyId;

/// Most payloads and sessions shown.
const MAX_ITEMS: usize = 32;

/// One field, or a group of fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Offset of its first octet in the message.
    pub at: usize,
    /// Octets it takes.
    pub length: usize,
    /// Name in the terms of the standards.
    pub name: &'static str,
    /// What is there.
    pub seen: String,
    /// What should be there, when only certain values are right.
    pub expected: Option<String>,
    /// Whether what is there is right.
    pub fits: bool,
    /// Fields within this one.
    pub children: Vec<Self>,
}

impl Item {
    pub(crate) fn new(
        at: usize,
        length: usize,
        name: &'static str,
        seen: impl Into<String>,
    ) -> Self {
        Self {
            at,
            length,
            name,
            seen: seen.into(),
            expected: None,
            fits: true,
            children: Vec::new(),
        }
    }

    pub(crate) fn expect(mut self, expected: impl Into<String>, fits: bool) -> Self {
        self.expected = Some(expected.into());
        self.fits = fits;
        self
    }

    /// Whether this field and all within it are right.
    #[must_use]
    pub fn all_fit(&self) -> bool {
        self.fits && self.children.iter().all(Self::all_fit)
    }
}

/// Takes a message apart, payload by payload, as far as its lengths carry.
#[must_use]
pub fn anatomy(octets: &[u8]) -> Vec<Item> {
    let mut reader = Reader::new(octets);
    let mut items = Vec::new();
    let Some((header, mut next)) = header(&mut reader) else {
        items.push(cut_short(0, octets.len(), "HDR"));
        return items;
    };
    items.push(header);
    while next != payload::LAST && items.len() < MAX_ITEMS {
        let at = reader.position();
        if next == payload::SIGN {
            items.push(sign(&mut reader, octets));
            return items;
        }
        let name = payload_name(next);
        match payloads::payload(next, &mut reader) {
            Some((item, following)) => {
                items.push(item);
                next = following;
            }
            None => {
                items.push(cut_short(at, octets.len(), name));
                return items;
            }
        }
    }
    items.push(cut_short(reader.position(), octets.len(), "SIGN"));
    items
}

fn cut_short(at: usize, end: usize, name: &'static str) -> Item {
    let left = end.saturating_sub(at);
    Item::new(at, left, name, format!("{left} octets are left"))
        .expect("a known payload that is complete (RFC 3830 6)", false)
}

pub(crate) const fn payload_name(kind: u8) -> &'static str {
    match kind {
        payload::LAST => "end of message",
        payload::SIGN => "SIGN",
        payload::TIME => "T",
        payload::SP => "SP",
        payload::RAND => "RAND",
        payload::IDR => "IDR",
        payload::EXTENSION => "General Extension",
        payload::SAKKE => "SAKKE",
        _ => "unknown payload",
    }
}

/// The octet that names the following payload.
pub(crate) fn next_item(at: usize, next: u8) -> Item {
    Item::new(
        at,
        1,
        "next payload",
        format!("{next} ({})", payload_name(next)),
    )
}

/// HDR and the type of the first payload, [`payload::LAST`] if nothing can be read behind it.
fn header(reader: &mut Reader<'_>) -> Option<(Item, u8)> {
    let [version, data_type, mut next, v_prf] = reader.array()?;
    let csb_id = KeyId(reader.u32()?);
    let [count, map_type] = reader.array()?;
    let purpose = csb_id.purpose();
    let tag = purpose.map_or_else(|| "no purpose".to_owned(), |p| format!("{p:?}"));
    let mut children = vec![
        Item::new(0, 1, "version", version.to_string()).expect("1", version == VERSION),
        Item::new(1, 1, "data type", data_type.to_string())
            .expect("26 (SAKKE)", data_type == DATA_TYPE_SAKKE),
        next_item(2, next).expect("5 (T)", next == payload::TIME),
        Item::new(3, 1, "V and PRF", format!("{v_prf:#04x}"))
            .expect("0x01 (V 0, HMAC-SHA-256)", v_prf == PRF_HMAC_SHA_256),
        Item::new(4, 4, "CSB-ID", format!("{csb_id} ({tag})"))
            .expect("purpose tag 0 to 6 (TS 33.180 Annex G)", purpose.is_some()),
        Item::new(8, 1, "#CS", count.to_string()),
        map_item(count, map_type),
    ];
    for index in 0..usize::from(count) {
        match session(reader, map_type) {
            Some(session) if index < MAX_ITEMS => children.push(session),
            Some(_) => {}
            None => {
                next = payload::LAST;
                break;
            }
        }
    }
    let mut item = Item::new(0, reader.position(), "HDR", format!("{tag} message"));
    item.children = children;
    Some((item, next))
}

fn map_item(count: u8, map_type: u8) -> Item {
    let (name, fits) = match map_type {
        0 => ("SRTP-ID", false),
        1 => ("empty", count == 0),
        2 => ("GENERIC-ID", count > 0),
        _ => ("unknown", false),
    };
    let expected = if count == 0 {
        "1 (empty)"
    } else {
        "2 (GENERIC-ID)"
    };
    Item::new(9, 1, "CS ID map type", format!("{map_type} ({name})")).expect(expected, fits)
}

fn session(reader: &mut Reader<'_>, map_type: u8) -> Option<Item> {
    let at = reader.position();
    let seen = match map_type {
        0 => {
            let (policy, ssrc, roc) = (reader.u8()?, reader.u32()?, reader.u32()?);
            format!("policy {policy}, SSRC {ssrc:08x}, ROC {roc}")
        }
        2 => {
            let [cs_id, protocol, flags] = reader.array()?;
            let policies = reader.take(usize::from(flags & 0x7F))?;
            let data = reader.field16()?;
            let length = reader.u8()?;
            let spi = reader.take(length.into())?;
            format!(
                "CS-ID {cs_id} ({}), protocol {protocol}, policies {policies:?}, session data \
                 [{}], SPI (MKI) {}",
                cs_name(cs_id),
                hex(data),
                hex(spi)
            )
        }
        _ => return None,
    };
    Some(Item::new(
        at,
        reader.position() - at,
        "crypto session",
        seen,
    ))
}

/// Table E.1.3-1.
const fn cs_name(cs_id: u8) -> &'static str {
    match cs_id {
        0 => "private call, initiator",
        1 => "private call, receiver",
        2 => "private video call, initiator",
        3 => "private video call, receiver",
        4 => "group call",
        5 => "group video call",
        6 => "floor control under a CSK",
        7 => "floor control under a MuSiK",
        8 => "transmission control under a CSK",
        9 => "transmission control under a MuSiK",
        _ => "not defined",
    }
}

fn sign(reader: &mut Reader<'_>, octets: &[u8]) -> Item {
    let at = reader.position();
    let Some([a, b]) = reader.array() else {
        return cut_short(at, octets.len(), "SIGN");
    };
    let left = octets.len().saturating_sub(at + 2);
    let signature = octets.get(at + 2..).unwrap_or_default();
    let length = (u16::from(a & 0x0F) << 8) | u16::from(b);
    let kind = format!("S type {}, length {length}", a >> 4);
    let mut item = Item::new(at, octets.len() - at, "SIGN", "ECCSI signature");
    let part = |from: usize, to: usize| hex(signature.get(from..to).unwrap_or_default());
    item.children = vec![
        Item::new(at, 2, "type and length", kind)
            .expect("S type 2 (ECCSI), length 129", [a, b] == SIGN_HEADER),
        Item::new(at + 2, left, "signature", format!("{left} octets"))
            .expect("129 octets, nothing behind", left == 129),
        Item::new(at + 2, 32, "r", part(0, 32)),
        Item::new(at + 34, 32, "s", part(32, 64)),
        Item::new(at + 66, 65, "PVT", part(64, 129)),
    ];
    item
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests;
