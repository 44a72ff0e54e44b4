//! Several independent streams or messages at once.

use super::{Backend, portable};
use crate::{ige::IgeStream, wipe::wipe};

/// One of several independent messages: the prefix of its hash, key and IV, blocks, and the resulting digest.
pub(crate) struct MessageStream<'a> {
    pub(crate) prefix: &'a [u8; 32],
    pub(crate) key: [u8; 32],
    pub(crate) iv: [u8; 32],
    pub(crate) data: &'a mut [[u8; 16]],
    pub(crate) digest: [u8; 32],
}

impl MessageStream<'_> {
    /// Returns a message without data, for a slot of an array that is filled later.
    pub(crate) const fn empty() -> Self {
        Self { prefix: &[0; 32], key: [0; 32], iv: [0; 32], data: &mut [], digest: [0; 32] }
    }
}

impl Drop for MessageStream<'_> {
    fn drop(&mut self) {
        wipe(&mut self.key);
        wipe(&mut self.iv);
        wipe(&mut self.digest);
    }
}

impl Backend {
    /// Encrypts several independent streams. Trailing partial blocks are left unchanged.
    pub(crate) fn ige_encrypt_many(self, streams: &mut [IgeStream<'_>]) {
        match (self.narrow, self.wide) {
            (_, Some(wide)) => wide.ige_encrypt_many(streams),
            (Some(narrow), None) => narrow.ige_encrypt_many(streams),
            (None, None) => for_each_stream(streams, portable::ige_encrypt),
        }
    }

    /// Decrypts several independent streams. Trailing partial blocks are left unchanged.
    pub(crate) fn ige_decrypt_many(self, streams: &mut [IgeStream<'_>]) {
        match (self.narrow, self.wide) {
            (_, Some(wide)) => wide.ige_decrypt_many(streams),
            (Some(narrow), None) => narrow.ige_decrypt_many(streams),
            (None, None) => for_each_stream(streams, portable::ige_decrypt),
        }
    }

    /// Finds the digest of every message.
    pub(crate) fn sha256_prefixed_many(self, messages: &mut [MessageStream<'_>]) {
        match self.wide {
            Some(wide) => wide.sha256_prefixed_many(messages),
            None => messages.iter_mut().for_each(|message| {
                message.digest = self.sha256_prefixed(message.prefix, message.data);
            }),
        }
    }

    /// Decrypts every message in place and finds its digest.
    pub(crate) fn ige_decrypt_sha256_many(self, messages: &mut [MessageStream<'_>]) {
        match self.wide {
            Some(wide) => wide.ige_decrypt_sha256_many(messages),
            None => messages.iter_mut().for_each(|message| {
                message.digest =
                    self.ige_decrypt_sha256(&message.key, &message.iv, message.prefix, message.data);
            }),
        }
    }

    /// Encrypts `data` in place and returns the SHA-256 of `next_prefix` followed by `next`, another message.
    pub(crate) fn ige_encrypt_sha256(
        self,
        key: &[u8; 32],
        iv: &[u8; 32],
        data: &mut [[u8; 16]],
        next_prefix: &[u8; 32],
        next: &[[u8; 16]],
    ) -> [u8; 32] {
        if let Some(narrow) = self.narrow {
            return narrow.ige_encrypt_sha256(key, iv, data, next_prefix, next);
        }
        portable::ige_encrypt(key, iv, data.as_flattened_mut());
        portable::sha256_prefixed(next_prefix, next)
    }
}

/// Runs the portable cipher of one stream on every stream.
fn for_each_stream(streams: &mut [IgeStream<'_>], cipher: fn(&[u8; 32], &[u8; 32], &mut [u8])) {
    for stream in streams {
        cipher(&stream.key, &stream.iv, stream.data);
    }
}
