//! Replay window over the whole packet index.

/// The 128 newest indexes of one stream.
//= RFC 3711 3.3.2
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplayWindow {
    highest: u64,
    seen: u128,
}

impl ReplayWindow {
    /// A window that starts with one authentic packet.
    pub(crate) const fn starting_at(index: u64) -> Self {
        Self {
            highest: index,
            seen: 1,
        }
    }

    /// Highest authentic index.
    pub(crate) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether `index` is new and within the window.
    pub(crate) fn accepts(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(age) if age < 128 => self.seen & (1 << age) == 0,
            Some(_) => false,
        }
    }

    /// Notes an authentic index that [`Self::accepts`] allowed.
    pub(crate) fn note(&mut self, index: u64) {
        match index.checked_sub(self.highest) {
            Some(ahead) if ahead > 0 => {
                let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                self.highest = index;
            }
            _ => {
                let age = u32::try_from(self.highest - index).unwrap_or(u32::MAX);
                self.seen |= 1u128.checked_shl(age).unwrap_or(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReplayWindow;

    #[test]
    fn each_index_passes_once_and_old_ones_never() {
        let mut window = ReplayWindow::starting_at(1000);
        assert!(!window.accepts(1000));
        assert!(window.accepts(873), "127 behind is inside");
        assert!(!window.accepts(872), "128 behind is outside");
        window.note(873);
        assert!(!window.accepts(873));
        window.note(1127);
        assert!(!window.accepts(1000), "now exactly 127 behind and seen");
        assert!(window.accepts(1001));
        assert!(!window.accepts(873));
        window.note(1 << 40);
        assert!(!window.accepts(1127));
        assert!(window.accepts((1 << 40) - 127));
        assert!(!window.accepts(1 << 40));
    }
}
