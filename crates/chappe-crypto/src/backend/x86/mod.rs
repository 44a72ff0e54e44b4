//! Kernels for `x86_64` CPUs.
//!
//! [`Narrow`] is proof of AES-NI and SHA-NI, [`Wide`] of VAES and AVX-512 beside them. Only `detect` makes one, so
//! holding one is the safety argument of every call below.
//!
//! **Trap:** SHA-NI has no VEX encoding. If the upper half of any vector register is dirty and a kernel mixes
//! VEX-encoded instructions with SHA-NI (as all code does that is compiled for a CPU with AVX), each change costs
//! some 140 cycles. So no SHA kernel is inlined, none touches a YMM register, and each begins with
//! [`Narrow::clean_uppers`].

mod aes;
#[cfg(feature = "batch")]
mod batch;
mod ctr;
mod ige;
mod kdf;
mod mask;
mod register;
mod sha256;
mod stitched;

use core::arch::asm;

pub(crate) use self::ctr::CtrKey;
use crate::kdf::AesKeyIv;

cpufeatures::new!(cpu_narrow, "aes", "sha", "sse2", "ssse3", "sse4.1");
cpufeatures::new!(cpu_avx, "avx");
cpufeatures::new!(cpu_wide, "avx", "avx512f", "avx512bw", "avx512dq", "avx512vl", "vaes");

/// Proof that this CPU has AES-NI, SHA-NI, SSSE3 and SSE4.1. Only [`Narrow::detect`] makes one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow {
    has_avx: bool,
}

/// Proof that this CPU has VAES and AVX-512 (F, BW, DQ, VL) beside everything of [`Narrow`]. Only [`Wide::detect`]
/// makes one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wide(
    #[cfg_attr(not(feature = "batch"), allow(dead_code, reason = "the kernels of a batch need it"))] Narrow,
);

#[allow(clippy::unused_self, reason = "holding the proof is what it takes to call these")]
impl Narrow {
    /// Detects the CPU's features. The result is cached.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        cpu_narrow::get().then(|| Self { has_avx: cpu_avx::get() })
    }

    /// Clears the upper halves of the vector registers if there are any.
    ///
    /// Without AVX in the build a kernel is only 1.3 times slower on dirty halves; with it, 140 times.
    #[inline(always)]
    fn clean_uppers(self) {
        if self.has_avx {
            // SAFETY: `detect` found AVX, to which the instruction belongs. It changes vector registers only, and
            // all of those that it changes are declared.
            unsafe {
                asm!("vzeroupper",
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                    out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                    options(nomem, nostack, preserves_flags));
            }
        }
    }

    pub(crate) fn ige_encrypt(self, key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
        self.clean_uppers();
        // SAFETY: `encrypt` needs the CPU features that `self` proves.
        unsafe { ige::encrypt(key, iv, data.as_chunks_mut().0) }
    }

    pub(crate) fn ige_decrypt(self, key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
        self.clean_uppers();
        // SAFETY: `decrypt` needs the CPU features that `self` proves.
        unsafe { ige::decrypt(key, iv, data.as_chunks_mut().0) }
    }

    pub(crate) fn ctr_key(self, key: &[u8; 32]) -> CtrKey {
        CtrKey::new(self, key)
    }

    pub(crate) fn sha256_prefixed(self, prefix: &[u8; 32], data: &[[u8; 16]]) -> [u8; 32] {
        // SAFETY: `prefixed` needs the CPU features that `self` proves.
        unsafe { sha256::prefixed(self, prefix, data) }
    }

    pub(crate) fn kdf_v2(self, secret: &[u8; 256], x: usize, msg_key: &[u8; 16]) -> AesKeyIv {
        // SAFETY: `aes_v2` needs the CPU features that `self` proves.
        unsafe { kdf::aes_v2(self, secret, x, msg_key) }
    }

    pub(crate) fn ige_decrypt_sha256(
        self,
        key: &[u8; 32],
        iv: &[u8; 32],
        prefix: &[u8; 32],
        data: &mut [[u8; 16]],
    ) -> [u8; 32] {
        // SAFETY: `decrypt` needs the CPU features that `self` proves.
        unsafe { stitched::decrypt(self, key, iv, prefix, data) }
    }
}

#[allow(clippy::unused_self, reason = "holding the proof is what it takes to call these")]
impl Wide {
    /// Detects the CPU's features. The result is cached.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        let narrow = Narrow::detect()?;
        cpu_wide::get().then_some(Self(narrow))
    }

    pub(crate) fn mask(self, mask: u8, data: &mut [[u8; 16]]) {
        // SAFETY: `apply` needs the CPU features that `self` proves.
        unsafe { mask::apply(mask, data.as_flattened_mut()) }
    }
}
