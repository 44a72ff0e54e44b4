//! Implementations of the primitives: portable code, and kernels for CPUs with suitable instructions.
//!
//! [`Backend`] is chosen once per call: [`Backend::detect`] inspects the CPU, [`Backend::portable`] does not. The rest of
//! the crate uses its methods and contains no `unsafe`.
//!
//! With `--cfg chappe_portable`, `detect` returns `portable`.

#[cfg(feature = "batch")]
pub(crate) mod batch;
pub(crate) mod modexp;
pub(crate) mod portable;

#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_endian = "little", target_feature = "neon")
))]
mod shared;

#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_endian = "little", target_feature = "neon")
)))]
#[path = "absent/mod.rs"]
mod kernels;
#[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
#[path = "arm/mod.rs"]
mod kernels;
#[cfg(target_arch = "x86_64")]
#[path = "x86/mod.rs"]
mod kernels;
#[cfg(test)]
mod tests;

use core::{fmt, hint};

use subtle::Choice;

use self::kernels::{Narrow, Wide};
use crate::kdf::AesKeyIv;

/// The implementation to use: a few bytes that prove which CPU features exist.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    narrow: Option<Narrow>,
    wide: Option<Wide>,
}

impl Backend {
    /// Returns the fastest implementation for this CPU.
    #[inline]
    pub fn detect() -> Self {
        if cfg!(chappe_portable) {
            return Self::portable();
        }
        Self { narrow: Narrow::detect(), wide: Wide::detect() }
    }

    /// Returns the portable implementation.
    pub const fn portable() -> Self {
        Self { narrow: None, wide: None }
    }

    /// Returns this implementation without VAES and AVX-512.
    #[must_use]
    pub const fn narrow(self) -> Self {
        Self { narrow: self.narrow, wide: None }
    }

    /// Returns whether this is the portable code.
    pub const fn is_portable(self) -> bool {
        self.narrow.is_none()
    }

    /// Returns whether VAES and AVX-512 are used.
    pub const fn is_wide(self) -> bool {
        self.wide.is_some()
    }

    /// Encrypts whole blocks in place with AES-256-IGE. A trailing partial block is left unchanged.
    pub(crate) fn ige_encrypt(self, key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
        match self.narrow {
            Some(narrow) => narrow.ige_encrypt(key, iv, data),
            None => portable::ige_encrypt(key, iv, data),
        }
    }

    /// Decrypts whole blocks in place with AES-256-IGE. A trailing partial block is left unchanged.
    pub(crate) fn ige_decrypt(self, key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
        match self.narrow {
            Some(narrow) => narrow.ige_decrypt(key, iv, data),
            None => portable::ige_decrypt(key, iv, data),
        }
    }

    /// Derives key and IV of MTProto 2.0; `x` is 0 or 8.
    pub(crate) fn kdf_v2(self, secret: &[u8; 256], x: usize, msg_key: &[u8; 16]) -> AesKeyIv {
        match self.narrow {
            Some(narrow) => narrow.kdf_v2(secret, x, msg_key),
            None => portable::kdf_v2(secret, x, msg_key),
        }
    }

    /// Returns the SHA-256 of `prefix` followed by `data`.
    pub(crate) fn sha256_prefixed(self, prefix: &[u8; 32], data: &[[u8; 16]]) -> [u8; 32] {
        match self.narrow {
            Some(narrow) => narrow.sha256_prefixed(prefix, data),
            None => portable::sha256_prefixed(prefix, data),
        }
    }

    /// Decrypts in place and returns the SHA-256 of `prefix` followed by what was decrypted.
    pub(crate) fn ige_decrypt_sha256(
        self,
        key: &[u8; 32],
        iv: &[u8; 32],
        prefix: &[u8; 32],
        data: &mut [[u8; 16]],
    ) -> [u8; 32] {
        match self.narrow {
            Some(narrow) => narrow.ige_decrypt_sha256(key, iv, prefix, data),
            None => portable::ige_decrypt_sha256(key, iv, prefix, data),
        }
    }

    /// Wipes `data` unless `keep`, in a time that does not depend on `keep`.
    pub(crate) fn keep_if(self, keep: Choice, data: &mut [[u8; 16]]) {
        // The compiler must not see that the mask has two values, or it might branch on them.
        let mask = hint::black_box(0_u8.wrapping_sub(keep.unwrap_u8()));
        match self.wide {
            Some(wide) => wide.mask(mask, data),
            None => portable::mask(mask, data),
        }
    }

    /// Expands a key for CTR mode.
    pub(crate) fn ctr_key(self, key: &[u8; 32]) -> CtrKey {
        // Not a `match`: where there are no kernels, nothing could follow the call.
        let kernel = self.narrow.map(|narrow| narrow.ctr_key(key));
        kernel.map_or_else(|| CtrKey::Portable(portable::CtrKey::new(key)), CtrKey::Kernel)
    }
}

/// An expanded key for CTR mode. Wiped on drop.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "both variants hold a key schedule")]
pub(crate) enum CtrKey {
    Kernel(kernels::CtrKey),
    Portable(portable::CtrKey),
}

impl CtrKey {
    /// XORs the keystream that starts with `counter` onto whole batches of eight blocks.
    pub(crate) fn apply(&self, counter: u128, batches: &mut [[u8; 128]]) {
        match self {
            Self::Kernel(key) => key.apply(counter, batches),
            Self::Portable(key) => key.apply(counter, batches),
        }
    }
}

impl fmt::Debug for CtrKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtrKey").finish_non_exhaustive()
    }
}
