//! Kernels for several independent streams or messages.

mod hash_many;
mod ige_many;
mod ige_wide;
mod sha256_wide;

// The kernels of one stream, for the modules of this folder.
use super::{Narrow, Wide, aes, ige, register, sha256, stitched};
use crate::{backend::batch::MessageStream, ige::IgeStream};

#[allow(clippy::unused_self, reason = "the caller proves the CPU features by holding `self`")]
impl Narrow {
    /// Several independent streams, four at a time.
    pub(crate) fn ige_encrypt_many(self, streams: &mut [IgeStream<'_>]) {
        ige_many::run::<false>(self, None, streams);
    }

    /// Several independent streams, four at a time.
    pub(crate) fn ige_decrypt_many(self, streams: &mut [IgeStream<'_>]) {
        ige_many::run::<true>(self, None, streams);
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
        unsafe { stitched::encrypt(self, key, iv, data, next_prefix, next) }
    }
}

impl Wide {
    /// Several independent streams, up to twelve at a time.
    pub(crate) fn ige_encrypt_many(self, streams: &mut [IgeStream<'_>]) {
        ige_many::run::<false>(self.0, Some(self), streams);
    }

    /// Several independent streams, up to twelve at a time.
    pub(crate) fn ige_decrypt_many(self, streams: &mut [IgeStream<'_>]) {
        ige_many::run::<true>(self.0, Some(self), streams);
    }

    pub(crate) fn sha256_prefixed_many(self, messages: &mut [MessageStream<'_>]) {
        hash_many::prefixed(self, messages);
    }

    pub(crate) fn ige_decrypt_sha256_many(self, messages: &mut [MessageStream<'_>]) {
        hash_many::decrypt(self, messages);
    }
}
