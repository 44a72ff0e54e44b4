//! Kernels for several independent streams or messages.

mod ige_many;

// The kernels of one stream, for the modules of this folder.
use super::{Narrow, aes, ige, register, stitched};
use crate::ige::IgeStream;

#[allow(clippy::unused_self, reason = "the caller proves the CPU features by holding `self`")]
impl Narrow {
    /// Several independent streams, up to eight at a time.
    pub(crate) fn ige_encrypt_many(self, streams: &mut [IgeStream<'_>]) {
        ige_many::run::<false>(self, streams);
    }

    /// Several independent streams, up to eight at a time.
    pub(crate) fn ige_decrypt_many(self, streams: &mut [IgeStream<'_>]) {
        ige_many::run::<true>(self, streams);
    }

    pub(crate) fn ige_encrypt_sha256(
        self,
        key: &[u8; 32],
        iv: &[u8; 32],
        data: &mut [[u8; 16]],
        next_prefix: &[u8; 32],
        next: &[[u8; 16]],
    ) -> [u8; 32] {
        // SAFETY: `encrypt` needs the CPU features that `self` proves.
        unsafe { stitched::encrypt(key, iv, data, next_prefix, next) }
    }
}
