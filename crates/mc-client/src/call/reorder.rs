//! The packets of one stream back in the order they were sent in, because a speech decoder depends
//! on it.
//!
//! What comes in order passes at once. What comes early waits for those before it, one frame long
//! at most; then they count as lost. This is no jitter buffer: who plays speech in real time has
//! one of its own (`mc_audio::jitter`), as the gateway, and its 40 ms are more than what is waited
//! for here. A second one would only add delay.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mc_audio::FRAME;

/// How long a packet waits for one before it. Neighbours that changed places on the way are not
/// further apart.
const WINDOW: Duration = FRAME;
/// Most packets that wait; a sender cannot have sent more in that time.
const MOST_WAITING: usize = 8;

/// The packets of a stream; numbers are sequence numbers, counted on beyond 16 bits.
#[derive(Debug)]
pub(super) struct Reorder<T> {
    next: u64,
    waiting: BTreeMap<u64, (Instant, T)>,
}

impl<T> Reorder<T> {
    /// A stream that begins with this sequence number.
    pub(super) fn new(first: u16) -> Self {
        Self {
            next: u64::from(first),
            waiting: BTreeMap::new(),
        }
    }

    /// Takes in a packet that came at `now`; false if its turn is over.
    pub(super) fn push(&mut self, sequence: u16, packet: T, now: Instant) -> bool {
        let ahead = u64::from(sequence).wrapping_sub(self.next) & u64::from(u16::MAX);
        if ahead > u64::from(u16::MAX / 2) {
            return false;
        }
        let number = self.next + ahead;
        self.waiting.entry(number).or_insert((now, packet));
        true
    }

    /// The next packet whose turn it is, and how many before it count as lost.
    pub(super) fn pull(&mut self, now: Instant) -> Option<(u64, T)> {
        let (number, (came, _)) = self.waiting.first_key_value()?;
        let lost = number - self.next;
        if lost > 0 && now < *came + WINDOW && self.waiting.len() <= MOST_WAITING {
            return None;
        }
        self.give_up()
    }

    /// The next packet, even if others are missing before it.
    pub(super) fn give_up(&mut self) -> Option<(u64, T)> {
        let (number, (_, packet)) = self.waiting.pop_first()?;
        let lost = number - self.next;
        self.next = number + 1;
        Some((lost, packet))
    }

    /// When what is missing counts as lost.
    pub(super) fn due(&self) -> Option<Instant> {
        let (_, (came, _)) = self.waiting.first_key_value()?;
        Some(*came + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything whose turn it is: how many are lost before it, and the packet.
    fn all(order: &mut Reorder<u16>, now: Instant) -> Vec<(u64, u16)> {
        std::iter::from_fn(|| order.pull(now)).collect()
    }

    fn arrive(order: &mut Reorder<u16>, packets: &[u16], now: Instant) -> Vec<(u64, u16)> {
        let mut passed = Vec::new();
        for packet in packets {
            order.push(*packet, *packet, now);
            passed.extend(all(order, now));
        }
        passed
    }

    #[test]
    fn packets_in_order_pass_at_once_across_the_wrap() {
        let (mut order, now) = (Reorder::new(65_534), Instant::now());
        let packets = [65_534, 65_535, 0, 1];
        assert_eq!(arrive(&mut order, &packets, now), packets.map(|p| (0, p)));
        assert_eq!(order.due(), None);
    }

    #[test]
    fn changed_places_are_changed_back_across_the_wrap() {
        let (mut order, now) = (Reorder::new(65_534), Instant::now());
        let passed = arrive(&mut order, &[65_534, 0, 65_535, 2, 3, 1, 4], now);
        assert_eq!(passed, [65_534, 65_535, 0, 1, 2, 3, 4].map(|p| (0, p)));
    }

    #[test]
    fn what_is_missing_for_a_frame_is_lost_and_late_when_it_comes() {
        let (mut order, start) = (Reorder::new(1), Instant::now());
        assert_eq!(arrive(&mut order, &[1, 4], start), [(0, 1)]);
        let due = order.due().unwrap();
        assert_eq!(due, start + WINDOW);
        assert_eq!(arrive(&mut order, &[5], start + WINDOW / 2), []);
        assert_eq!(all(&mut order, due), [(2, 4), (0, 5)]);
        assert!(!order.push(3, 3, due), "late");
        assert_eq!(arrive(&mut order, &[6], due), [(0, 6)]);
    }

    #[test]
    fn a_packet_that_came_twice_passes_once() {
        let (mut order, now) = (Reorder::new(1), Instant::now());
        assert_eq!(
            arrive(&mut order, &[1, 3, 3, 2, 2, 3], now),
            [(0, 1), (0, 2), (0, 3)]
        );
    }

    #[test]
    fn more_than_a_sender_can_have_sent_do_not_wait() {
        let (mut order, now) = (Reorder::new(1), Instant::now());
        let flood: Vec<u16> = (3..100).collect();
        let passed = arrive(&mut order, &flood, now);
        assert_eq!(passed.first(), Some(&(2, 3)));
        assert!(order.waiting.len() <= MOST_WAITING);
    }

    #[test]
    fn the_end_of_a_talk_burst_gives_up_what_is_missing() {
        let (mut order, now) = (Reorder::new(1), Instant::now());
        assert_eq!(arrive(&mut order, &[1, 3, 5], now), [(0, 1)]);
        assert_eq!(order.give_up(), Some((1, 3)));
        assert_eq!(order.give_up(), Some((1, 5)));
        assert_eq!(order.give_up(), None);
    }
}
