//! Several messages at once, each with a key of its own.
//!
//! The cipher of one message is a chain of dependent steps. The chains of different messages are independent, so that the
//! CPU can interleave them.

use core::{array, fmt};

use crate::{
    AuthKey, MsgKey, QuickAckToken, Side,
    backend::{Backend, batch::MessageStream},
    ige::IgeStream,
    kdf::{self, AesKeyIv, MsgKeyLarge},
    message::{OpenError, SealError, Sealed, check, open_with, whole_blocks},
};

/// Maximum number of messages processed together.
const BATCH: usize = 16;
/// Below this number of messages, wide vectors are slower.
const MIN_WIDE: usize = 12;

/// A message to be sealed by [`seal_many`], and the result.
pub struct SealJob<'a> {
    auth_key: &'a AuthKey,
    from: Side,
    data: &'a mut [u8],
    result: Option<Result<Sealed, SealError>>,
}

impl<'a> SealJob<'a> {
    /// Describes a message: the arguments of [`seal`](super::seal).
    pub fn new(auth_key: &'a AuthKey, from: Side, plaintext: &'a mut [u8]) -> Self {
        Self { auth_key, from, data: plaintext, result: None }
    }

    /// Returns the result of [`seal`](super::seal), or `None` if the job was not processed yet.
    pub const fn result(&self) -> Option<Result<Sealed, SealError>> {
        self.result
    }
}

/// A message to be opened by [`open_many`], and the result.
pub struct OpenJob<'a> {
    auth_key: &'a AuthKey,
    from: Side,
    msg_key: MsgKey,
    data: &'a mut [u8],
    result: Option<Result<QuickAckToken, OpenError>>,
}

impl<'a> OpenJob<'a> {
    /// Describes a message: the arguments of [`open`](super::open).
    pub fn new(auth_key: &'a AuthKey, from: Side, msg_key: MsgKey, ciphertext: &'a mut [u8]) -> Self {
        Self { auth_key, from, msg_key, data: ciphertext, result: None }
    }

    /// Returns the result of [`open`](super::open), or `None` if the job was not processed yet.
    pub const fn result(&self) -> Option<Result<QuickAckToken, OpenError>> {
        self.result
    }
}

impl fmt::Debug for SealJob<'_> {
    /// Omits the plaintext (SEC-05).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, result) = (self.data.len(), &self.result);
        f.debug_struct("SealJob").field("len", &len).field("result", result).finish_non_exhaustive()
    }
}

impl fmt::Debug for OpenJob<'_> {
    /// Omits the decrypted bytes (SEC-05).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, result) = (self.data.len(), &self.result);
        f.debug_struct("OpenJob").field("len", &len).field("result", result).finish_non_exhaustive()
    }
}

/// Seals every message. Each job holds its own result; a failure does not affect the others.
pub fn seal_many(jobs: &mut [SealJob<'_>]) {
    seal_many_with(Backend::detect(), jobs);
}

/// Opens every message. Each job holds its own result; a failure does not affect the others.
pub fn open_many(jobs: &mut [OpenJob<'_>]) {
    open_many_with(Backend::detect(), jobs);
}

/// [`seal_many`] with the given implementation.
///
/// With wide vectors, computes sixteen hashes together, then sixteen ciphers. Otherwise, hashes each message while the
/// previous one is encrypted.
pub fn seal_many_with(backend: Backend, jobs: &mut [SealJob<'_>]) {
    for batch in jobs.chunks_mut(BATCH) {
        if backend.is_wide() && batch.len() >= MIN_WIDE {
            seal_wide(backend, batch);
        } else {
            seal_pipelined(backend, batch);
        }
    }
}

/// [`open_many`] with the given implementation.
pub fn open_many_with(backend: Backend, jobs: &mut [OpenJob<'_>]) {
    for batch in jobs.chunks_mut(BATCH) {
        if backend.is_wide() && batch.len() >= MIN_WIDE {
            open_wide(backend, batch);
        } else {
            for job in batch {
                job.result = Some(open_with(backend, job.auth_key, job.from, &job.msg_key, job.data));
            }
        }
    }
}

/// Hashes each message while the one before is encrypted.
fn seal_pipelined(backend: Backend, jobs: &mut [SealJob<'_>]) {
    let mut waiting: Option<Hashed<'_>> = None;
    for job in jobs {
        let prefix = kdf::msg_key_prefix(job.auth_key, job.from);
        let blocks = match whole_blocks(job.data) {
            Ok(blocks) => blocks,
            Err(len) => {
                job.result = Some(Err(SealError::InvalidLength { len }));
                continue;
            }
        };
        let digest = match waiting.take() {
            Some(Hashed { aes, blocks: before }) => {
                backend.ige_encrypt_sha256(&aes.key, &aes.iv, before, prefix, blocks)
            }
            None => backend.sha256_prefixed(prefix, blocks),
        };
        let large = MsgKeyLarge::from_bytes(digest);
        let sealed = Sealed { msg_key: large.msg_key(), quick_ack: large.quick_ack() };
        let aes = kdf::aes_v2_with(backend, job.auth_key, job.from, &sealed.msg_key);
        job.result = Some(Ok(sealed));
        waiting = Some(Hashed { aes, blocks });
    }
    if let Some(Hashed { aes, blocks }) = waiting {
        backend.ige_encrypt(&aes.key, &aes.iv, blocks.as_flattened_mut());
    }
}

/// A message whose `msg_key` is known, not encrypted yet.
struct Hashed<'a> {
    aes: AesKeyIv,
    blocks: &'a mut [[u8; 16]],
}

/// Hashes all messages, then encrypts all.
fn seal_wide(backend: Backend, jobs: &mut [SealJob<'_>]) {
    let mut sealed: [Option<Sealed>; BATCH] = [None; BATCH];
    let mut keys = [const { None }; BATCH];
    let mut messages: [_; BATCH] = array::from_fn(|_| MessageStream::empty());
    let mut count = 0;
    for job in jobs.iter_mut() {
        job.result = None;
        match whole_blocks(job.data) {
            Ok(blocks) => {
                messages[count].prefix = kdf::msg_key_prefix(job.auth_key, job.from);
                messages[count].data = blocks;
                keys[count] = Some((job.auth_key, job.from));
                count += 1;
            }
            Err(len) => job.result = Some(Err(SealError::InvalidLength { len })),
        }
    }
    backend.sha256_prefixed_many(&mut messages[..count]);
    let mut streams: [_; BATCH] = array::from_fn(|_| IgeStream::empty());
    for (i, message) in messages[..count].iter_mut().enumerate() {
        let Some((auth_key, from)) = keys[i] else { continue };
        let large = MsgKeyLarge::from_bytes(message.digest);
        let aes = kdf::aes_v2_with(backend, auth_key, from, &large.msg_key());
        sealed[i] = Some(Sealed { msg_key: large.msg_key(), quick_ack: large.quick_ack() });
        (streams[i].key, streams[i].iv) = (aes.key, aes.iv);
        streams[i].data = message.data.as_flattened_mut();
    }
    backend.ige_encrypt_many(&mut streams[..count]);
    drop(streams);
    drop(messages);
    let open_jobs = jobs.iter_mut().filter(|job| job.result.is_none());
    for (job, sealed) in open_jobs.zip(sealed) {
        job.result = sealed.map(Ok);
    }
}

/// Decrypts and hashes all messages together.
fn open_wide(backend: Backend, jobs: &mut [OpenJob<'_>]) {
    let mut results = [None; BATCH];
    let mut msg_keys = [None; BATCH];
    let mut messages: [_; BATCH] = array::from_fn(|_| MessageStream::empty());
    let mut count = 0;
    for job in jobs.iter_mut() {
        job.result = None;
        match whole_blocks(job.data) {
            Ok(blocks) => {
                let aes = kdf::aes_v2_with(backend, job.auth_key, job.from, &job.msg_key);
                let message = &mut messages[count];
                message.prefix = kdf::msg_key_prefix(job.auth_key, job.from);
                (message.key, message.iv) = (aes.key, aes.iv);
                message.data = blocks;
                msg_keys[count] = Some(job.msg_key);
                count += 1;
            }
            Err(len) => job.result = Some(Err(OpenError::InvalidLength { len })),
        }
    }
    backend.ige_decrypt_sha256_many(&mut messages[..count]);
    for (i, message) in messages[..count].iter_mut().enumerate() {
        let large = MsgKeyLarge::from_bytes(message.digest);
        results[i] = msg_keys[i].map(|msg_key| check(backend, &large, &msg_key, message.data));
    }
    drop(messages);
    let open_jobs = jobs.iter_mut().filter(|job| job.result.is_none());
    for (job, result) in open_jobs.zip(results) {
        job.result = result;
    }
}
