//! The signers of one KMS that were met last, and the tables of those that come again.
//!
//! A signer is known by HS, the hash of KPAK, identifier and PVT: no two of them have the same. All of
//! it is public.

use super::{SCALAR_OCTETS, Verifier};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Signers kept: tables of 88 kB each, 2.8 MB at most.
pub(super) const KEPT: usize = 32;
/// The valid signature of a signer with which its table is made, at the cost of ten verifications.
const WORTHWHILE: u32 = 4;

/// The signers, the one met last in front; the last one is forgotten when there are too many.
#[derive(Default)]
pub(super) struct Signers(Mutex<VecDeque<Signer>>);

struct Signer {
    hs: [u8; SCALAR_OCTETS],
    /// Valid signatures seen of it.
    met: u32,
    verifier: Option<Verifier>,
}

impl Signers {
    /// The table of a signer, if it is there.
    pub(super) fn verifier(&self, hs: &[u8; SCALAR_OCTETS]) -> Option<Verifier> {
        let mut signers = self.locked();
        moved_to_front(&mut signers, hs)?.verifier.clone()
    }

    /// Notes a valid signature of a signer; true when its table is worth making.
    pub(super) fn met(&self, hs: &[u8; SCALAR_OCTETS]) -> bool {
        let mut signers = self.locked();
        if let Some(signer) = moved_to_front(&mut signers, hs) {
            signer.met = signer.met.saturating_add(1);
            return signer.met == WORTHWHILE;
        }
        signers.push_front(Signer {
            hs: *hs,
            met: 1,
            verifier: None,
        });
        signers.truncate(KEPT);
        false
    }

    /// Keeps the table of a signer that is still remembered.
    pub(super) fn put(&self, verifier: Verifier) {
        let mut signers = self.locked();
        if let Some(signer) = moved_to_front(&mut signers, &verifier.hs) {
            signer.verifier = Some(verifier);
        }
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Signer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn tables(&self) -> usize {
        let signers = self.0.lock().unwrap();
        assert!(signers.len() <= KEPT);
        signers.iter().filter(|s| s.verifier.is_some()).count()
    }
}

fn moved_to_front<'s>(
    signers: &'s mut VecDeque<Signer>,
    hs: &[u8; SCALAR_OCTETS],
) -> Option<&'s mut Signer> {
    let at = signers.iter().position(|signer| signer.hs == *hs)?;
    let signer = signers.remove(at)?;
    signers.push_front(signer);
    signers.front_mut()
}
