//! A number the compiler knows nothing about, so that it cannot turn a mask made of a secret into a
//! branch. `std::hint::black_box` does the same through memory, which costs a store and a load in
//! the innermost loops.

#![expect(
    unsafe_code,
    reason = "an empty assembler block: it only hides where a register's value comes from"
)]

/// The same number, of unknown origin.
#[inline(always)]
pub(crate) fn opaque(number: u64) -> u64 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let mut number = number;
        // SAFETY: there are no instructions.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) number, options(pure, nomem, nostack, preserves_flags));
        }
        number
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    std::hint::black_box(number)
}
