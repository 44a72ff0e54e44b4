//! The work itself: portable code, and kernels for CPUs that can do better.
//!
//! [`Backend`] is a choice made once per call: [`Backend::detect`] asks the CPU, [`Backend::portable`] asks
//! nothing. Everything above this folder is written against its methods and contains no `unsafe`.
//!
//! `--cfg chappe_portable` makes `detect` answer `portable`.

pub(crate) mod modexp;
pub(crate) mod portable;

/// Which implementation does the work. Copy it along; it is a few bytes of proof.
#[derive(Clone, Copy, Debug)]
pub struct Backend(());

impl Backend {
    /// Takes the best that this CPU offers.
    pub fn detect() -> Self {
        Self(())
    }

    /// Takes the portable code whatever the CPU offers.
    pub const fn portable() -> Self {
        Self(())
    }

    /// Encrypts whole blocks in place with AES-256-IGE. A last partial block is left alone.
    pub(crate) fn ige_encrypt(self, key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
        portable::ige_encrypt(key, iv, data);
    }

    /// Decrypts whole blocks in place with AES-256-IGE. A last partial block is left alone.
    pub(crate) fn ige_decrypt(self, key: &[u8; 32], iv: &[u8; 32], data: &mut [u8]) {
        portable::ige_decrypt(key, iv, data);
    }

    /// Returns the SHA-256 of `prefix` followed by `data`.
    pub(crate) fn sha256_prefixed(self, prefix: &[u8; 32], data: &[u8]) -> [u8; 32] {
        portable::sha256_prefixed(prefix, data)
    }

    /// Returns the SHA-256 of each of two inputs of 52 bytes.
    pub(crate) fn sha256_pair(self, a: &[u8; 52], b: &[u8; 52]) -> ([u8; 32], [u8; 32]) {
        portable::sha256_pair(a, b)
    }

    /// Decrypts in place and returns the SHA-256 of `prefix` followed by what was decrypted.
    pub(crate) fn ige_decrypt_sha256(
        self,
        key: &[u8; 32],
        iv: &[u8; 32],
        prefix: &[u8; 32],
        data: &mut [u8],
    ) -> [u8; 32] {
        portable::ige_decrypt_sha256(key, iv, prefix, data)
    }
}
