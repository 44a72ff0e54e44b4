//! The inner loop of Montgomery arithmetic for `aarch64`.
//!
//! `mul` and `umulh` leave the flags alone, so eight upper halves and then eight lower halves are added with one carry flag
//! each time, which no compiler makes out of portable code.
//!
//! ```text
//! carry = 0
//! for each eight limbs:
//!     t[0 .. 8] += carry, high(a[0] b), …, high(a[6] b)          adds, adcs …
//!     carry = high(a[7] b) + flag
//!     t[0 .. 8] += low(a[0] b), …, low(a[7] b)                   adds, adcs …
//!     carry += flag
//! return carry
//! ```

use core::arch::asm;

use super::rows::Rows;

/// Rows by `mul` and `umulh`, which belong to every `aarch64` CPU.
#[derive(Clone, Copy)]
pub(super) struct Umulh;

impl Rows for Umulh {
    #[inline(always)]
    fn add_product<const N: usize>(self, t: &mut [u64; N], a: &[u64; N], b: u64) -> u64 {
        const { assert!(N.is_multiple_of(8), "the code takes eight limbs at a time") }
        let carry;
        // SAFETY: the instructions belong to every CPU of this kind. The code reads `a` and reads and writes `t` from their
        // starts up to 8 * (N / 8) limbs, which is all of them and no more; it touches no other memory and no stack. `t` is
        // borrowed for writing, so the two do not overlap.
        unsafe {
            asm!(
                "mov {carry}, xzr",
                // Written out N / 8 times: a loop would cost a branch for each eight limbs.
                ".rept {blocks}",
                "ldp {a0}, {a1}, [{a}], #16",
                "ldp {t0}, {t1}, [{t}]",
                "ldp {a2}, {a3}, [{a}], #16",
                "ldp {t2}, {t3}, [{t}, #16]",
                "ldp {a4}, {a5}, [{a}], #16",
                "ldp {t4}, {t5}, [{t}, #32]",
                "ldp {a6}, {a7}, [{a}], #16",
                "ldp {t6}, {t7}, [{t}, #48]",
                "umulh {x}, {a0}, {b}",
                "adds {t0}, {t0}, {carry}",
                "umulh {y}, {a1}, {b}",
                "adcs {t1}, {t1}, {x}",
                "umulh {x}, {a2}, {b}",
                "adcs {t2}, {t2}, {y}",
                "umulh {y}, {a3}, {b}",
                "adcs {t3}, {t3}, {x}",
                "umulh {x}, {a4}, {b}",
                "adcs {t4}, {t4}, {y}",
                "umulh {y}, {a5}, {b}",
                "adcs {t5}, {t5}, {x}",
                "umulh {x}, {a6}, {b}",
                "adcs {t6}, {t6}, {y}",
                "umulh {y}, {a7}, {b}",
                "adcs {t7}, {t7}, {x}",
                "mul {a0}, {a0}, {b}",
                "adc {carry}, {y}, xzr",
                "mul {a1}, {a1}, {b}",
                "adds {t0}, {t0}, {a0}",
                "mul {a2}, {a2}, {b}",
                "adcs {t1}, {t1}, {a1}",
                "mul {a3}, {a3}, {b}",
                "adcs {t2}, {t2}, {a2}",
                "mul {a4}, {a4}, {b}",
                "adcs {t3}, {t3}, {a3}",
                "mul {a5}, {a5}, {b}",
                "adcs {t4}, {t4}, {a4}",
                "mul {a6}, {a6}, {b}",
                "adcs {t5}, {t5}, {a5}",
                "mul {a7}, {a7}, {b}",
                "adcs {t6}, {t6}, {a6}",
                "stp {t0}, {t1}, [{t}], #16",
                "adcs {t7}, {t7}, {a7}",
                "stp {t2}, {t3}, [{t}], #16",
                "adc {carry}, {carry}, xzr",
                "stp {t4}, {t5}, [{t}], #16",
                "stp {t6}, {t7}, [{t}], #16",
                ".endr",
                carry = out(reg) carry,
                a = inout(reg) a.as_ptr() => _,
                t = inout(reg) t.as_mut_ptr() => _,
                b = in(reg) b,
                blocks = const N / 8,
                a0 = out(reg) _, a1 = out(reg) _, a2 = out(reg) _, a3 = out(reg) _,
                a4 = out(reg) _, a5 = out(reg) _, a6 = out(reg) _, a7 = out(reg) _,
                t0 = out(reg) _, t1 = out(reg) _, t2 = out(reg) _, t3 = out(reg) _,
                t4 = out(reg) _, t5 = out(reg) _, t6 = out(reg) _, t7 = out(reg) _,
                x = out(reg) _, y = out(reg) _,
                options(nostack),
            );
        }
        carry
    }
}
