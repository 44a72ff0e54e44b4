//! No wide vectors on this kind of CPU: the proof cannot be made, so the methods cannot be called.

/// Would be proof of wide vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wide {}

impl Wide {
    pub(crate) const fn detect() -> Option<Self> {
        None
    }

    pub(crate) fn mask(self, _: u8, _: &mut [[u8; 16]]) {
        match self {}
    }
}

#[cfg(feature = "batch")]
mod batch {
    use super::Wide;
    use crate::{backend::batch::MessageStream, ige::IgeStream};

    impl Wide {
        pub(crate) fn ige_encrypt_many(self, _: &mut [IgeStream<'_>]) {
            match self {}
        }

        pub(crate) fn ige_decrypt_many(self, _: &mut [IgeStream<'_>]) {
            match self {}
        }

        pub(crate) fn sha256_prefixed_many(self, _: &mut [MessageStream<'_>]) {
            match self {}
        }

        pub(crate) fn ige_decrypt_sha256_many(self, _: &mut [MessageStream<'_>]) {
            match self {}
        }
    }
}
