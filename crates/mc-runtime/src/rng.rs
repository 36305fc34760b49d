//! Operating-system randomness behind the `rand_core` traits.

use rand_core::UnwrapErr;

/// The operating system's random source as an infallible `rand_core::CryptoRng`.
pub type OsRng = UnwrapErr<getrandom::SysRng>;

/// Returns the random source every service hands to the protocol crates.
///
/// A machine without randomness cannot run a security service: a failing source aborts the
/// process instead of producing predictable keys.
#[must_use]
pub fn rng() -> OsRng {
    UnwrapErr(getrandom::SysRng)
}

#[cfg(test)]
mod tests {
    use rand_core::Rng;

    #[test]
    fn two_draws_differ() {
        let mut rng = super::rng();
        let (mut a, mut b) = ([0u8; 32], [0u8; 32]);
        rng.fill_bytes(&mut a);
        rng.fill_bytes(&mut b);
        assert_ne!(a, b);
    }
}
