//! What the eight-wide kernels of both fields share: AVX-512 IFMA multiplies 52-bit limbs, eight
//! independent numbers at once, one in each lane of a register.

#![expect(
    unsafe_code,
    reason = "an empty assembler block: it only hides where a register's value comes from"
)]

use std::arch::x86_64::*;

/// Numbers in a register.
pub(crate) const LANES: usize = 8;
/// The bits of a limb.
pub(crate) const MASK: u64 = (1 << 52) - 1;

/// Whether this processor has the instructions of the eight-wide kernels.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx512ifma") && is_x86_feature_detected!("avx512f")
}

/// A number in all lanes, but the compiler does not know that they are alike: it would branch on a
/// comparison.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn secret_index(index: u64) -> __m512i {
    let mut wanted = _mm512_set1_epi64(index.cast_signed());
    // SAFETY: there are no instructions.
    unsafe {
        std::arch::asm!("/* {0} */", inout(zmm_reg) wanted, options(pure, nomem, nostack, preserves_flags));
    }
    wanted
}

/// Rows to columns.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn transposed(rows: &[__m512i; LANES]) -> [__m512i; LANES] {
    let [a, b, c, d, e, f, g, h] = *rows;
    let pair = |x, y| (_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y));
    let ((ab0, ab1), (cd0, cd1)) = (pair(a, b), pair(c, d));
    let ((ef0, ef1), (gh0, gh1)) = (pair(e, f), pair(g, h));
    // Pairs of lanes are 128-bit blocks; columns 0, 2, 4 and 6 come from the first of each pair.
    let blocks = |x, y, z, w| {
        let even = |x, y| _mm512_shuffle_i64x2::<0x88>(x, y);
        let odd = |x, y| _mm512_shuffle_i64x2::<0xDD>(x, y);
        let ((xy_even, xy_odd), (zw_even, zw_odd)) =
            ((even(x, y), odd(x, y)), (even(z, w), odd(z, w)));
        [
            even(xy_even, zw_even),
            even(xy_odd, zw_odd),
            odd(xy_even, zw_even),
            odd(xy_odd, zw_odd),
        ]
    };
    let [c0, c2, c4, c6] = blocks(ab0, cd0, ef0, gh0);
    let [c1, c3, c5, c7] = blocks(ab1, cd1, ef1, gh1);
    [c0, c1, c2, c3, c4, c5, c6, c7]
}
