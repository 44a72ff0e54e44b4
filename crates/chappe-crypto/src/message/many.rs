//! Several messages at once, each with a key of its own.
//!
//! The chain of one message is serial; those of different messages are independent and can be interleaved.

use crate::{
    AuthKey, MsgKey, Side,
    backend::Backend,
    message::{OpenError, Opened, SealError, Sealed, open_with, seal_with},
};

/// A message that [`seal_many`] is to seal, and what came of it.
#[derive(Debug)]
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

    /// Returns what [`seal`](super::seal) would have returned, or `None` before the job was done.
    pub const fn result(&self) -> Option<Result<Sealed, SealError>> {
        self.result
    }
}

/// A message that [`open_many`] is to open, and what came of it.
#[derive(Debug)]
pub struct OpenJob<'a> {
    auth_key: &'a AuthKey,
    from: Side,
    msg_key: MsgKey,
    data: &'a mut [u8],
    result: Option<Result<Opened, OpenError>>,
}

impl<'a> OpenJob<'a> {
    /// Describes a message: the arguments of [`open`](super::open).
    pub fn new(auth_key: &'a AuthKey, from: Side, msg_key: MsgKey, ciphertext: &'a mut [u8]) -> Self {
        Self { auth_key, from, msg_key, data: ciphertext, result: None }
    }

    /// Returns what [`open`](super::open) would have returned, or `None` before the job was done.
    pub const fn result(&self) -> Option<Result<Opened, OpenError>> {
        self.result
    }
}

/// Seals every message. Each job holds its own result; one that fails does not touch the others.
pub fn seal_many(jobs: &mut [SealJob<'_>]) {
    seal_many_with(Backend::detect(), jobs);
}

/// Opens every message. Each job holds its own result; one that fails does not touch the others.
pub fn open_many(jobs: &mut [OpenJob<'_>]) {
    open_many_with(Backend::detect(), jobs);
}

/// [`seal_many`] by a chosen implementation.
pub fn seal_many_with(backend: Backend, jobs: &mut [SealJob<'_>]) {
    for job in jobs {
        job.result = Some(seal_with(backend, job.auth_key, job.from, job.data));
    }
}

/// [`open_many`] by a chosen implementation.
pub fn open_many_with(backend: Backend, jobs: &mut [OpenJob<'_>]) {
    for job in jobs {
        job.result = Some(open_with(backend, job.auth_key, job.from, &job.msg_key, job.data));
    }
}
