//! No kernels for this kind of CPU: the proofs cannot be made, so the methods cannot be called.

mod wide;

pub(crate) use self::wide::Wide;
use crate::kdf::AesKeyIv;

/// Would be proof of AES and SHA instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Narrow {}

/// Would be an expanded key.
#[derive(Clone)]
pub(crate) enum CtrKey {}

impl CtrKey {
    pub(crate) fn apply(&self, _: u128, _: &mut [[u8; 128]]) {
        match *self {}
    }
}

impl Narrow {
    pub(crate) const fn detect() -> Option<Self> {
        None
    }

    pub(crate) fn ige_encrypt(self, _: &[u8; 32], _: &[u8; 32], _: &mut [u8]) {
        match self {}
    }

    pub(crate) fn ige_decrypt(self, _: &[u8; 32], _: &[u8; 32], _: &mut [u8]) {
        match self {}
    }

    pub(crate) fn ctr_key(self, _: &[u8; 32]) -> CtrKey {
        match self {}
    }

    pub(crate) fn sha256_prefixed(self, _: &[u8; 32], _: &[[u8; 16]]) -> [u8; 32] {
        match self {}
    }

    pub(crate) fn kdf_v2(self, _: &[u8; 256], _: usize, _: &[u8; 16]) -> AesKeyIv {
        match self {}
    }

    pub(crate) fn ige_decrypt_sha256(
        self,
        _: &[u8; 32],
        _: &[u8; 32],
        _: &[u8; 32],
        _: &mut [[u8; 16]],
    ) -> [u8; 32] {
        match self {}
    }
}

#[cfg(feature = "batch")]
mod batch {
    use super::Narrow;
    use crate::ige::IgeStream;

    impl Narrow {
        pub(crate) fn ige_encrypt_many(self, _: &mut [IgeStream<'_>]) {
            match self {}
        }

        pub(crate) fn ige_decrypt_many(self, _: &mut [IgeStream<'_>]) {
            match self {}
        }

        pub(crate) fn ige_encrypt_sha256(
            self,
            _: &[u8; 32],
            _: &[u8; 32],
            _: &mut [[u8; 16]],
            _: &[u8; 32],
            _: &[[u8; 16]],
        ) -> [u8; 32] {
            match self {}
        }
    }
}
