//! The inner loop of Montgomery arithmetic with the BMI2 and ADX instructions.
//!
//! `mulx` leaves the flags alone, and `adcx` and `adox` carry through one flag each; so the two additions of every
//! limb are two independent chains, which no compiler makes out of portable code.
//!
//! ```text
//! high = 0
//! for each limb a[i]:
//!     (next, low) = a[i] * b                  mulx
//!     low += t[i]                             adcx
//!     low += high                             adox
//!     t[i] = low;  high = next
//! return high + both flags
//! ```

use core::arch::asm;

use super::rows::Rows;

/// Proof that this CPU has BMI2 and ADX. Only [`Mulx::detect`] makes one.
#[derive(Clone, Copy)]
pub(super) struct Mulx(());

cpufeatures::new!(mulx_detected, "bmi2", "adx");

impl Mulx {
    /// Detects the CPU's features. The result is cached.
    pub(super) fn detect() -> Option<Self> {
        mulx_detected::get().then_some(Self(()))
    }
}

impl Rows for Mulx {
    #[inline(always)]
    fn add_product<const N: usize>(self, t: &mut [u64; N], a: &[u64; N], b: u64) -> u64 {
        const { assert!(N.is_multiple_of(8), "the code takes eight limbs at a time") }
        let carry;
        // SAFETY: `self` exists only if `detect` found both instruction sets. The code reads `a` and reads and writes
        // `t` from their starts up to 8 * (N / 8) limbs, which is all of them and no more; it touches no other memory
        // and no stack. `t` is borrowed for writing, so the two do not overlap.
        unsafe {
            asm!(
                "xor {high:e}, {high:e}",
                // Written out N / 8 times: a loop would need flags for its counter.
                ".rept {blocks}",
                "mulx {next}, {low}, qword ptr [{a}]",
                "adcx {low}, qword ptr [{t}]",
                "adox {low}, {high}",
                "mov qword ptr [{t}], {low}",
                "mulx {high}, {low}, qword ptr [{a} + 8]",
                "adcx {low}, qword ptr [{t} + 8]",
                "adox {low}, {next}",
                "mov qword ptr [{t} + 8], {low}",
                "mulx {next}, {low}, qword ptr [{a} + 16]",
                "adcx {low}, qword ptr [{t} + 16]",
                "adox {low}, {high}",
                "mov qword ptr [{t} + 16], {low}",
                "mulx {high}, {low}, qword ptr [{a} + 24]",
                "adcx {low}, qword ptr [{t} + 24]",
                "adox {low}, {next}",
                "mov qword ptr [{t} + 24], {low}",
                "mulx {next}, {low}, qword ptr [{a} + 32]",
                "adcx {low}, qword ptr [{t} + 32]",
                "adox {low}, {high}",
                "mov qword ptr [{t} + 32], {low}",
                "mulx {high}, {low}, qword ptr [{a} + 40]",
                "adcx {low}, qword ptr [{t} + 40]",
                "adox {low}, {next}",
                "mov qword ptr [{t} + 40], {low}",
                "mulx {next}, {low}, qword ptr [{a} + 48]",
                "adcx {low}, qword ptr [{t} + 48]",
                "adox {low}, {high}",
                "mov qword ptr [{t} + 48], {low}",
                "mulx {high}, {low}, qword ptr [{a} + 56]",
                "adcx {low}, qword ptr [{t} + 56]",
                "adox {low}, {next}",
                "mov qword ptr [{t} + 56], {low}",
                "lea {a}, [{a} + 64]",
                "lea {t}, [{t} + 64]",
                ".endr",
                "mov {low:e}, 0",
                "adcx {high}, {low}",
                "adox {high}, {low}",
                high = out(reg) carry,
                next = out(reg) _,
                low = out(reg) _,
                a = inout(reg) a.as_ptr() => _,
                t = inout(reg) t.as_mut_ptr() => _,
                blocks = const N / 8,
                in("rdx") b,
                options(nostack),
            );
        }
        carry
    }
}
