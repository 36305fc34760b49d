//! The two file formats: libpcap's classic one and pcapng.

/// One captured packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'c> {
    /// Link type (LINKTYPE_*).
    pub(super) link: u32,
    /// Its octets from the link layer on.
    pub(super) octets: &'c [u8],
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Reads numbers in the byte order of a file.
#[derive(Debug, Clone, Copy)]
struct Order {
    big: bool,
}

impl Order {
    fn u16(self, octets: &[u8], at: usize) -> Option<u16> {
        let octets = octets.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big {
            u16::from_be_bytes(octets)
        } else {
            u16::from_le_bytes(octets)
        })
    }

    fn u32(self, octets: &[u8], at: usize) -> Option<u32> {
        let octets = octets.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big {
            u32::from_be_bytes(octets)
        } else {
            u32::from_le_bytes(octets)
        })
    }

    fn length(self, octets: &[u8], at: usize) -> Option<usize> {
        self.u32(octets, at)
            .and_then(|length| usize::try_from(length).ok())
    }
}

/// The packets of a capture; `None` when the input is no capture. What comes behind a damaged block
/// is left out.
pub(super) fn packets(input: &[u8]) -> Option<Result<Vec<Packet<'_>>, String>> {
    let magic: [u8; 4] = input.first_chunk().copied()?;
    match u32::from_be_bytes(magic) {
        0xa1b2_c3d4 | 0xa1b2_3c4d => Some(classic(input, Order { big: true })),
        0xd4c3_b2a1 | 0x4d3c_b2a1 => Some(classic(input, Order { big: false })),
        SECTION_HEADER => Some(next_generation(input)),
        _ => None,
    }
}

fn classic(input: &[u8], order: Order) -> Result<Vec<Packet<'_>>, String> {
    let link = order
        .u32(input, 20)
        .ok_or("the capture ends in its header")?
        & 0x0FFF_FFFF;
    let mut packets = Vec::new();
    let mut at = 24;
    while let Some(length) = order.length(input, at + 8) {
        let Some(octets) = input.get(at + 16..).and_then(|rest| rest.get(..length)) else {
            break;
        };
        packets.push(Packet { link, octets });
        at += 16 + length;
    }
    Ok(packets)
}

fn next_generation(input: &[u8]) -> Result<Vec<Packet<'_>>, String> {
    let (mut packets, mut links) = (Vec::new(), Vec::new());
    let mut order = Order { big: false };
    let mut at = 0;
    while let Some(head) = input.get(at..).filter(|rest| rest.len() >= 12) {
        let kind_octets = head.first_chunk().copied().unwrap_or_default();
        if u32::from_be_bytes(kind_octets) == SECTION_HEADER {
            order = match head.get(8..12) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order { big: true },
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order { big: false },
                _ => return Err("the section header has no byte order".to_owned()),
            };
            links.clear();
        }
        let (Some(kind), Some(length)) = (order.u32(head, 0), order.length(head, 4)) else {
            break;
        };
        let Some(block) = head.get(..length).filter(|_| length >= 12) else {
            break;
        };
        match kind {
            INTERFACE => links.push(u32::from(order.u16(block, 8).unwrap_or_default())),
            ENHANCED_PACKET => packets.extend(enhanced(block, order, &links)),
            SIMPLE_PACKET => {
                let octets = block.get(12..length.saturating_sub(4)).unwrap_or_default();
                let link = links.first().copied().unwrap_or_default();
                packets.push(Packet { link, octets });
            }
            _ => {}
        }
        at += length.next_multiple_of(4);
    }
    Ok(packets)
}

fn enhanced<'c>(block: &'c [u8], order: Order, links: &[u32]) -> Option<Packet<'c>> {
    let link = *links.get(order.length(block, 8)?)?;
    let length = order.length(block, 20)?;
    let octets = block.get(28..)?.get(..length)?;
    Some(Packet { link, octets })
}
