//! Which SSRCs were used under which key, so that a GCM nonce never repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use rand_core::CryptoRng;

use crate::{LedgerError, Mki};

/// Most SSRCs remembered for one key; a key with more sessions than this has to be replaced.
const MAX_SSRCS_PER_KEY: usize = 16_384;

/// Permission to send with one SSRC under one key, starting at one packet index.
///
/// It cannot be copied, and a sender consumes it: two senders cannot share an SSRC.
#[derive(Debug)]
#[must_use = "a lease that is not used wastes an SSRC"]
pub struct SsrcLease {
    pub(crate) mki: Mki,
    pub(crate) ssrc: u32,
    pub(crate) first_index: u64,
}

impl SsrcLease {
    /// The synchronisation source to announce in SDP and floor control.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The key the lease is for.
    #[must_use]
    pub const fn mki(&self) -> Mki {
        self.mki
    }

    /// A lease with chosen numbers, for vectors.
    #[cfg(test)]
    pub(crate) const fn for_vector(mki: Mki, ssrc: u32, first_index: u64) -> Self {
        Self {
            mki,
            ssrc,
            first_index,
        }
    }
}

/// Which SSRCs one end of a key takes, when both ends send under it for longer than either one
/// remembers the other's: with a half each, they can never take the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SsrcHalf {
    /// Those below 2^31.
    #[default]
    Lower,
    /// The others.
    Upper,
}

impl SsrcHalf {
    const fn has(self, ssrc: u32) -> bool {
        match self {
            Self::Lower => ssrc >> 31 == 0,
            Self::Upper => ssrc >> 31 == 1,
        }
    }
}

/// The SSRCs used so far, one ledger per identity and state directory.
///
/// The stored form is text, one line `MKI SSRC` in hexadecimal per lease.
#[derive(Debug, Default, Clone)]
pub struct SsrcLedger {
    used: BTreeMap<Mki, BTreeSet<u32>>,
}

impl SsrcLedger {
    /// Reads a stored ledger; empty text is an empty ledger.
    ///
    /// # Errors
    /// [`LedgerError::LocalCorrupt`] for anything this type did not write: without the ledger a
    /// nonce could repeat, so the caller must not send.
    pub fn read<E>(stored: &str) -> Result<Self, LedgerError<E>> {
        let mut used: BTreeMap<Mki, BTreeSet<u32>> = BTreeMap::new();
        for (number, line) in stored.lines().enumerate() {
            let (mki, ssrc) =
                parse_line(line).ok_or(LedgerError::LocalCorrupt { line: number + 1 })?;
            used.entry(mki).or_default().insert(ssrc);
        }
        Ok(Self { used })
    }

    /// Chooses an SSRC that this identity never used under the key `mki` and that is not in
    /// `taken` (the other senders under the same key, such as the far end of a CSK association).
    ///
    /// `store` must write the given text durably, replacing what was stored; the lease exists only
    /// if it succeeds.
    ///
    /// # Errors
    /// [`LedgerError::LocalStore`] if `store` fails, [`LedgerError::LocalFull`] if the key is worn
    /// out; the ledger is then unchanged.
    //= TS 33.180 7.5
    //= RFC 7714 8.4
    pub fn lease<E>(
        &mut self,
        mki: Mki,
        taken: &[u32],
        rng: &mut impl CryptoRng,
        store: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<SsrcLease, LedgerError<E>> {
        self.lease_where(mki, |ssrc| !taken.contains(&ssrc), rng, store)
    }

    /// As [`Self::lease`], from one half of all SSRCs.
    ///
    /// # Errors
    /// As [`Self::lease`].
    pub fn lease_of<E>(
        &mut self,
        half: SsrcHalf,
        mki: Mki,
        taken: &[u32],
        rng: &mut impl CryptoRng,
        store: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<SsrcLease, LedgerError<E>> {
        let free = |ssrc| half.has(ssrc) && !taken.contains(&ssrc);
        self.lease_where(mki, free, rng, store)
    }

    fn lease_where<E>(
        &mut self,
        mki: Mki,
        acceptable: impl Fn(u32) -> bool,
        rng: &mut impl CryptoRng,
        store: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<SsrcLease, LedgerError<E>> {
        let used = self.used.get(&mki);
        if used.is_some_and(|used| used.len() >= MAX_SSRCS_PER_KEY) {
            return Err(LedgerError::LocalFull);
        }
        let ssrc = loop {
            let candidate = rng.next_u32();
            let free = !used.is_some_and(|used| used.contains(&candidate));
            if candidate != 0 && free && acceptable(candidate) {
                break candidate;
            }
        };
        // The first sequence number stays in the lower half, so that a receiver that misses the
        // first packets still estimates ROC 0 (RFC 3711 clause 3.3.1).
        let first_index = u64::from(rng.next_u32() & 0x7fff);
        self.used.entry(mki).or_default().insert(ssrc);
        if let Err(error) = store(&self.to_text()) {
            self.take_back(mki, ssrc);
            return Err(LedgerError::LocalStore(error));
        }
        Ok(SsrcLease {
            mki,
            ssrc,
            first_index,
        })
    }

    /// Forgets a key. Only for a key that was destroyed everywhere on this side.
    pub fn forget_destroyed_key(&mut self, mki: Mki) {
        self.used.remove(&mki);
    }

    /// The form [`Self::read`] reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (mki, ssrcs) in &self.used {
            for ssrc in ssrcs {
                let _infallible = writeln!(text, "{mki} {ssrc:08x}");
            }
        }
        text
    }

    fn take_back(&mut self, mki: Mki, ssrc: u32) {
        if let Some(used) = self.used.get_mut(&mki) {
            used.remove(&ssrc);
            if used.is_empty() {
                self.used.remove(&mki);
            }
        }
    }
}

fn parse_line(line: &str) -> Option<(Mki, u32)> {
    let (mki, ssrc) = line.split_once(' ')?;
    if !line.bytes().all(|b| b.is_ascii_hexdigit() || b == b' ') || ssrc.len() != 8 {
        return None;
    }
    let mki = match mki.len() {
        8 => Mki::Key(u32::from_str_radix(mki, 16).ok()?),
        16 => Mki::Group {
            gmk_id: u32::from_str_radix(mki.get(..8)?, 16).ok()?,
            guk_id: u32::from_str_radix(mki.get(8..)?, 16).ok()?,
        },
        _ => return None,
    };
    Some((mki, u32::from_str_radix(ssrc, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand_core::{TryCryptoRng, TryRng};

    use super::{LedgerError, Mki, SsrcHalf, SsrcLedger};

    /// Repeats a short list of numbers, to provoke collisions.
    struct Script(Vec<u32>);
    impl TryRng for Script {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(self.0.remove(0))
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            unreachable!("not used")
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
            unreachable!("not used")
        }
    }
    impl TryCryptoRng for Script {}

    const GROUP: Mki = Mki::Group {
        gmk_id: 0x09bf_9d37,
        guk_id: 0x01c8_de7b,
    };

    #[test]
    fn an_ssrc_is_never_given_twice_across_restarts() {
        let mut disk = String::new();
        let mut ledger = SsrcLedger::read::<()>("").unwrap();
        let keep = |disk: &mut String, text: &str| {
            *disk = text.to_owned();
            Ok::<(), ()>(())
        };
        let first = ledger
            .lease(GROUP, &[], &mut Script(vec![7, 1]), |t| keep(&mut disk, t))
            .unwrap();
        assert_eq!(first.ssrc(), 7);
        drop(ledger);

        let mut ledger = SsrcLedger::read::<()>(&disk).unwrap();
        let mut rng = Script(vec![7, 0, 8, 9, 0xffff_ffff]);
        let second = ledger
            .lease(GROUP, &[8], &mut rng, |t| keep(&mut disk, t))
            .unwrap();
        assert_eq!(
            second.ssrc(),
            9,
            "7 was used, 0 is no SSRC, 8 belongs to somebody else"
        );
        assert_eq!(second.first_index, 0x7fff);
        assert_eq!(
            disk,
            "09bf9d3701c8de7b 00000007\n09bf9d3701c8de7b 00000009\n"
        );
        let other = ledger.lease(Mki::Key(1), &[], &mut Script(vec![7, 0]), |t| {
            keep(&mut disk, t)
        });
        assert_eq!(other.unwrap().ssrc(), 7, "another key, another nonce space");
    }

    #[test]
    fn two_ends_with_a_half_each_never_take_the_same() {
        let mut ledger = SsrcLedger::default();
        let mut lease = |half, numbers: Vec<u32>| {
            let rng = &mut Script(numbers);
            let lease = ledger.lease_of(half, Mki::Key(1), &[], rng, |_| Ok::<(), ()>(()));
            lease.unwrap().ssrc()
        };
        let numbers = vec![0x8000_0000, 0x7fff_ffff, 0];
        assert_eq!(lease(SsrcHalf::Lower, numbers), 0x7fff_ffff);
        let numbers = vec![1, 0x8000_0000, 0];
        assert_eq!(lease(SsrcHalf::Upper, numbers), 0x8000_0000);
    }

    #[test]
    fn no_lease_without_storing_it() {
        let mut ledger = SsrcLedger::default();
        let failed = ledger.lease(GROUP, &[], &mut Script(vec![7, 1]), |_| Err("disk full"));
        assert!(matches!(failed, Err(LedgerError::LocalStore("disk full"))));
        assert_eq!(ledger.to_text(), "");
    }

    #[test]
    fn a_damaged_ledger_stops_sending() {
        for text in [
            "x",
            "09bf9d37",
            "09bf9d37 1",
            "09bf9d37 +0000001",
            "é9bf9d3 00000001",
            "1 2 3",
        ] {
            let read = SsrcLedger::read::<()>(text);
            assert!(
                matches!(read, Err(LedgerError::LocalCorrupt { line: 1 })),
                "{text}"
            );
        }
    }
}
