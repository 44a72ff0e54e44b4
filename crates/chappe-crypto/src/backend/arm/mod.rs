//! Kernels for `aarch64` CPUs with ARM's cryptographic extension.
//!
//! [`Narrow`] is proof of its AES and SHA-256 instructions. Only `detect` makes one, so holding one is the safety argument of
//! every call below. NEON itself belongs to every target that this module is built for.
//!
//! AESE adds the round key in front of its byte substitution, and CPUs fuse it with an AESMC behind it. So the chain of IGE
//! is 14 AESE and 13 AESMC between two blocks, with every XOR folded in; AESD and AESIMC likewise.

mod aes;
#[cfg(feature = "batch")]
mod batch;
mod ctr;
mod ige;
mod kdf;
mod register;
mod sha256;
mod stitched;
#[path = "../absent/wide.rs"]
mod wide;

pub(crate) use self::{ctr::CtrKey, wide::Wide};
use crate::kdf::AesKeyIv;

cpufeatures::new!(cpu_narrow, "aes", "sha2");

/// Proof that this CPU has the AES and SHA-256 instructions. Only [`Narrow::detect`] makes one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow(());

#[allow(clippy::unused_self, reason = "holding the proof is what it takes to call these")]
impl Narrow {
    /// Detects the CPU's features. The result is cached.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        cpu_narrow::get().then_some(Self(()))
    }

    pub(crate) fn ige_encrypt(self, key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
        // SAFETY: `encrypt` needs the CPU features that `self` proves.
        unsafe { ige::encrypt(key, iv, data.as_chunks_mut().0) }
    }

    pub(crate) fn ige_decrypt(self, key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
        // SAFETY: `decrypt` needs the CPU features that `self` proves.
        unsafe { ige::decrypt(key, iv, data.as_chunks_mut().0) }
    }

    pub(crate) fn ctr_key(self, key: &[u8; 32]) -> CtrKey {
        CtrKey::new(self, key)
    }

    pub(crate) fn sha256_prefixed(self, prefix: &[u8; 32], data: &[[u8; 16]]) -> [u8; 32] {
        // SAFETY: `prefixed` needs the CPU features that `self` proves.
        unsafe { sha256::prefixed(prefix, data) }
    }

    pub(crate) fn kdf_v2(self, secret: &[u8; 256], x: usize, msg_key: &[u8; 16]) -> AesKeyIv {
        // SAFETY: `aes_v2` needs the CPU features that `self` proves.
        unsafe { kdf::aes_v2(secret, x, msg_key) }
    }

    pub(crate) fn ige_decrypt_sha256(
        self,
        key: &[u8; 32],
        iv: &[u8; 32],
        prefix: &[u8; 32],
        data: &mut [[u8; 16]],
    ) -> [u8; 32] {
        // SAFETY: `decrypt` needs the CPU features that `self` proves.
        unsafe { stitched::decrypt(key, iv, prefix, data) }
    }
}
