//! Inversion modulo an odd number in constant time: the division steps of Bernstein and Yang ("Fast
//! constant-time gcd computation and modular inversion", 2019), in the variant that starts at
//! delta = 1/2. Sixty-two steps on the low limbs give a matrix, which then goes over the whole
//! numbers: signed limbs of 62 bits, all but the highest below `2^62`.
//!
//! The number of steps depends on the modulus alone.

#![expect(
    clippy::indexing_slicing,
    reason = "every index runs over a fixed-size array of limbs"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "double limbs are split, and low limbs are the same number signed and unsigned"
)]

use crate::opaque::opaque;
use zeroize::Zeroize;

/// Bits of a limb, and division steps between two updates of the whole numbers.
const LIMB: usize = 62;
const MASK: u64 = (1 << LIMB) - 1;

/// An odd modulus below `2^(64 * WORDS)`, as `LIMBS` limbs of 62 bits, which leave a bit or more for
/// the sign and one for twice the modulus.
pub(crate) struct Modulus<const WORDS: usize, const LIMBS: usize> {
    limbs: Signed<LIMBS>,
    /// `1 / modulus mod 2^62`.
    inverse: u64,
    /// How many times 62 division steps every number needs.
    rounds: usize,
}

type Signed<const LIMBS: usize> = [i64; LIMBS];

/// `2^62` times what 62 division steps do: f becomes `u f + v g` and g becomes `q f + r g`.
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

impl<const WORDS: usize, const LIMBS: usize> Modulus<WORDS, LIMBS> {
    pub(crate) const fn new(words: [u64; WORDS]) -> Self {
        assert!(LIMB * LIMBS >= 64 * WORDS + 2 && words[0] & 1 == 1);
        let bits = 64 * WORDS - words[WORDS - 1].leading_zeros() as usize;
        // The bound on the steps for numbers of so many bits (github.com/sipa/safegcd-bounds).
        let steps = (45_907 * bits + 30_179) / 19_929;
        let mut inverse = 1_u64;
        let mut step = 0;
        while step < 6 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(words[0].wrapping_mul(inverse)));
            step += 1;
        }
        Self {
            limbs: limbs_of(&words),
            inverse: inverse & MASK,
            rounds: steps.div_ceil(LIMB),
        }
    }

    /// `1 / words` modulo the modulus, to which it must be prime; zero for zero.
    pub(crate) fn invert(&self, words: &[u64; WORDS]) -> [u64; WORDS] {
        let (mut f, mut g) = (self.limbs, limbs_of(words));
        let (mut d, mut e) = ([0; LIMBS], [0; LIMBS]);
        e[0] = 1;
        // -(delta + 1/2)
        let mut zeta = -1;
        for _ in 0..self.rounds {
            let matrix;
            (zeta, matrix) = division_steps(zeta, f[0] as u64, g[0] as u64);
            self.update_cofactors(&mut d, &mut e, &matrix);
            update_numbers(&mut f, &mut g, &matrix);
        }
        let inverse = self.normalised(&d, f[LIMBS - 1] >> 63);
        for secret in [&mut f, &mut g, &mut d, &mut e] {
            secret.zeroize();
        }
        words_of(&inverse)
    }

    /// The matrix over `2^62`, on numbers modulo the modulus, between minus twice and once it.
    fn update_cofactors(&self, d: &mut Signed<LIMBS>, e: &mut Signed<LIMBS>, m: &Matrix) {
        // Multiples of the modulus that make a negative one positive, then the low limb zero.
        let (d_sign, e_sign) = (d[LIMBS - 1] >> 63, e[LIMBS - 1] >> 63);
        let mut d_times = (m.u & d_sign) + (m.v & e_sign);
        let mut e_times = (m.q & d_sign) + (m.r & e_sign);
        let mut d_sum = wide(m.u, d[0]) + wide(m.v, e[0]);
        let mut e_sum = wide(m.q, d[0]) + wide(m.r, e[0]);
        let clear = |sum: i128, times: i64| {
            let low = self.inverse.wrapping_mul(sum as u64);
            times - (low.wrapping_add(times as u64) & MASK) as i64
        };
        d_times = clear(d_sum, d_times);
        e_times = clear(e_sum, e_times);
        d_sum = (d_sum + wide(self.limbs[0], d_times)) >> LIMB;
        e_sum = (e_sum + wide(self.limbs[0], e_times)) >> LIMB;
        for i in 1..LIMBS {
            d_sum += wide(m.u, d[i]) + wide(m.v, e[i]) + wide(self.limbs[i], d_times);
            e_sum += wide(m.q, d[i]) + wide(m.r, e[i]) + wide(self.limbs[i], e_times);
            d[i - 1] = (d_sum as u64 & MASK) as i64;
            e[i - 1] = (e_sum as u64 & MASK) as i64;
            d_sum >>= LIMB;
            e_sum >>= LIMB;
        }
        d[LIMBS - 1] = d_sum as i64;
        e[LIMBS - 1] = e_sum as i64;
    }

    /// The remainder of a number between minus twice and once the modulus, negated first where the
    /// sign is all ones.
    fn normalised(&self, number: &Signed<LIMBS>, sign: i64) -> Signed<LIMBS> {
        let mut out = self.plus_modulus_if_negative(number);
        for limb in &mut out {
            *limb = (*limb ^ sign) - sign;
        }
        self.plus_modulus_if_negative(&carried(&out))
    }

    fn plus_modulus_if_negative(&self, number: &Signed<LIMBS>) -> Signed<LIMBS> {
        // The compiler must not see that the mask is a condition: it would branch on it.
        let negative = opaque((number[LIMBS - 1] >> 63) as u64) as i64;
        let mut out = *number;
        for (limb, modulus) in out.iter_mut().zip(&self.limbs) {
            *limb += modulus & negative;
        }
        carried(&out)
    }
}

/// The matrix over `2^62`, on numbers it divides without remainder.
fn update_numbers<const LIMBS: usize>(f: &mut Signed<LIMBS>, g: &mut Signed<LIMBS>, m: &Matrix) {
    let mut f_sum = (wide(m.u, f[0]) + wide(m.v, g[0])) >> LIMB;
    let mut g_sum = (wide(m.q, f[0]) + wide(m.r, g[0])) >> LIMB;
    for i in 1..LIMBS {
        f_sum += wide(m.u, f[i]) + wide(m.v, g[i]);
        g_sum += wide(m.q, f[i]) + wide(m.r, g[i]);
        f[i - 1] = (f_sum as u64 & MASK) as i64;
        g[i - 1] = (g_sum as u64 & MASK) as i64;
        f_sum >>= LIMB;
        g_sum >>= LIMB;
    }
    f[LIMBS - 1] = f_sum as i64;
    g[LIMBS - 1] = g_sum as i64;
}

/// Sixty-two division steps on the low limbs.
fn division_steps(mut zeta: i64, mut f: u64, mut g: u64) -> (i64, Matrix) {
    let (mut u, mut v, mut q, mut r) = (1_u64, 0_u64, 0_u64, 1_u64);
    for _ in 0..LIMB {
        // The compiler must not see that the masks are conditions: it would branch on them.
        let mut swap = opaque((zeta >> 63) as u64);
        let odd = opaque((g & 1).wrapping_neg());
        let signed = |x: u64| (x ^ swap).wrapping_sub(swap) & odd;
        g = g.wrapping_add(signed(f));
        q = q.wrapping_add(signed(u));
        r = r.wrapping_add(signed(v));
        swap &= odd;
        zeta = (zeta ^ swap as i64) - 1;
        f = f.wrapping_add(g & swap);
        u = u.wrapping_add(q & swap);
        v = v.wrapping_add(r & swap);
        g >>= 1;
        u <<= 1;
        v <<= 1;
    }
    let [u, v, q, r] = [u, v, q, r].map(|entry| entry as i64);
    (zeta, Matrix { u, v, q, r })
}

fn wide(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

/// The same number with all limbs but the highest below `2^62`.
fn carried<const LIMBS: usize>(number: &Signed<LIMBS>) -> Signed<LIMBS> {
    let mut out = *number;
    for i in 1..LIMBS {
        out[i] += out[i - 1] >> LIMB;
        out[i - 1] &= MASK as i64;
    }
    out
}

const fn limbs_of<const WORDS: usize, const LIMBS: usize>(words: &[u64; WORDS]) -> Signed<LIMBS> {
    let (mut limbs, mut i) = ([0; LIMBS], 0);
    while i < LIMBS {
        let (word, shift) = (LIMB * i / 64, LIMB * i % 64);
        let low = if word < WORDS { words[word] } else { 0 };
        let high = if word + 1 < WORDS { words[word + 1] } else { 0 };
        let both = (high as u128) << 64 | low as u128;
        limbs[i] = ((both >> shift) as u64 & MASK) as i64;
        i += 1;
    }
    limbs
}

fn words_of<const WORDS: usize, const LIMBS: usize>(limbs: &Signed<LIMBS>) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (i, word) in words.iter_mut().enumerate() {
        let (limb, shift) = (64 * i / LIMB, 64 * i % LIMB);
        let part =
            |at: usize| limbs.get(at).map_or(0, |limb| *limb as u128) << (LIMB * (at - limb));
        *word = ((part(limb) | part(limb + 1)) >> shift) as u64;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{P_MODULUS, Q_ORDER};
    use crypto_bigint::{Odd, U256, U1024};
    use proptest::prelude::*;

    const P256: U256 =
        U256::from_be_hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    const N256: U256 =
        U256::from_be_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");

    fn check_small(modulus: &U256, number: [u64; 4]) {
        let words = *modulus.as_words();
        let ours = Modulus::<4, 5>::new(words).invert(&number);
        let odd = Odd::new(*modulus).unwrap();
        let theirs = U256::from_words(number).invert_odd_mod(&odd);
        assert_eq!(ours, *theirs.unwrap_or(U256::ZERO).as_words());
    }

    fn check_large(modulus: &str, number: [u64; 16]) {
        let modulus = U1024::from_be_hex(modulus);
        let ours = Modulus::<16, 17>::new(*modulus.as_words()).invert(&number);
        let odd = Odd::new(modulus).unwrap();
        let theirs = U1024::from_words(number).invert_odd_mod(&odd);
        assert_eq!(ours, *theirs.unwrap_or(U1024::ZERO).as_words());
    }

    #[test]
    fn inverses_of_extremes() {
        for modulus in [P256, N256] {
            for distance in [1_u64, 2, 3, 1 << 62, u64::MAX] {
                check_small(&modulus, [distance, 0, 0, 0]);
                check_small(
                    &modulus,
                    *modulus.wrapping_sub(&U256::from(distance)).as_words(),
                );
            }
            check_small(&modulus, [0; 4]);
            check_small(&modulus, [0, 0, 0, 1 << 63]);
            check_small(&modulus, *modulus.shr(1).as_words());
        }
        for hex in [P_MODULUS, Q_ORDER] {
            let modulus = U1024::from_be_hex(hex);
            for distance in [1_u64, 2, 3, 1 << 62, u64::MAX] {
                let small = U1024::from(distance);
                check_large(hex, *small.as_words());
                check_large(hex, *modulus.wrapping_sub(&small).as_words());
            }
            check_large(hex, [0; 16]);
            check_large(hex, *modulus.shr(1).as_words());
        }
    }

    proptest! {
        #[test]
        fn inverses_at_random(small: [u64; 4], large: [u64; 16]) {
            for modulus in [P256, N256] {
                let below = U256::from_words(small).rem(&modulus.to_nz().unwrap());
                check_small(&modulus, *below.as_words());
            }
            for hex in [P_MODULUS, Q_ORDER] {
                let modulus = U1024::from_be_hex(hex).to_nz().unwrap();
                check_large(hex, *U1024::from_words(large).rem(&modulus).as_words());
            }
        }
    }
}
