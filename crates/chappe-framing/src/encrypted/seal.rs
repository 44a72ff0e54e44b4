//! Writing encrypted messages.

use core::slice;

use chappe_crypto::{AuthKey, QuickAckToken, Side, message};
use rand_core::CryptoRng;

use super::{INNER_HEADER_LEN, Padding, inner};
use crate::{FrameBuf, FrameError, MessageHeader, ServerSalt, SessionId};

/// What stands in front of the body of an encrypted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptedHeader {
    /// The server's salt.
    pub salt: ServerSalt,
    /// The session the message belongs to.
    pub session_id: SessionId,
    /// Identifier and number of the message.
    pub message: MessageHeader,
}

/// Writes one encrypted message into a [`FrameBuf`].
///
/// Write the body, then either [`seal`](Self::seal), or [`prepare`](Self::prepare) several messages
/// and seal them together with [`seal_many`].
#[derive(Debug)]
#[must_use = "nothing is encrypted before `seal`"]
pub struct EncryptedWriter<'a> {
    buf: &'a mut FrameBuf,
}

impl<'a> EncryptedWriter<'a> {
    /// Clears the buffer; its headroom is where both headers will stand.
    #[inline]
    pub fn begin(buf: &'a mut FrameBuf) -> Self {
        buf.clear();
        Self { buf }
    }

    /// Returns the buffer, for the body to be appended.
    pub fn body(&mut self) -> &mut FrameBuf {
        self.buf
    }

    /// Puts the inner header in front of the body and random padding behind it.
    ///
    /// # Errors
    ///
    /// [`FrameError::UnsendableBody`] if the body is empty, not a multiple of 4 bytes, or too long.
    #[inline]
    pub fn prepare(
        self,
        header: EncryptedHeader,
        padding: Padding,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Prepared<'a>, FrameError> {
        let Self { buf } = self;
        let body_len = buf.len();
        let EncryptedHeader { salt, session_id, message: MessageHeader { msg_id, seq_no } } = header;
        let message = MessageHeader::encode(msg_id, seq_no, body_len)?;
        let mut bytes = [0; INNER_HEADER_LEN];
        bytes[inner::SALT].copy_from_slice(&salt.to_raw().to_le_bytes());
        bytes[inner::SESSION_ID].copy_from_slice(&session_id.to_raw().to_le_bytes());
        bytes[inner::MESSAGE].copy_from_slice(&message);
        buf.prepend(&bytes);
        let padding_len = padding.choose(body_len, rng);
        rng.fill_bytes(buf.append_zeroed(padding_len));
        Ok(Prepared { buf })
    }

    /// Writes both headers, pads, and encrypts in place; the buffer then holds the whole frame.
    ///
    /// Returns the token by which the peer may acknowledge the frame quickly.
    ///
    /// # Errors
    ///
    /// [`FrameError::UnsendableBody`] if the body is empty, not a multiple of 4 bytes, or too long.
    #[inline]
    pub fn seal(
        self,
        key: &AuthKey,
        from: Side,
        header: EncryptedHeader,
        padding: Padding,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<QuickAckToken, FrameError> {
        Ok(self.prepare(header, padding, rng)?.seal(key, from))
    }
}

/// A message with its inner header and padding that waits for encryption.
#[derive(Debug)]
#[must_use = "nothing is encrypted before `seal`"]
pub struct Prepared<'a> {
    buf: &'a mut FrameBuf,
}

impl Prepared<'_> {
    /// Encrypts in place and puts the outer header in front.
    #[inline]
    pub fn seal(self, key: &AuthKey, from: Side) -> QuickAckToken {
        let sealed = message::seal(key, from, self.buf.as_mut_slice()).expect(ALIGNED);
        finish(self.buf, key, &sealed)
    }
}

/// One message of several that are sealed together by [`seal_many`].
#[derive(Debug)]
#[must_use = "pass it to `seal_many`, then ask for the token"]
pub struct SealJob<'a> {
    key: &'a AuthKey,
    from: Side,
    buf: &'a mut FrameBuf,
    done: Option<QuickAckToken>,
}

impl<'a> SealJob<'a> {
    /// Describes a message: the arguments of [`Prepared::seal`].
    pub fn new(prepared: Prepared<'a>, key: &'a AuthKey, from: Side) -> Self {
        let Prepared { buf } = prepared;
        Self { key, from, buf, done: None }
    }

    /// Returns the token by which the peer may acknowledge the frame; seals it now if [`seal_many`]
    /// has not.
    pub fn finish(self) -> QuickAckToken {
        match self.done {
            Some(token) => token,
            None => Prepared { buf: self.buf }.seal(self.key, self.from),
        }
    }

    fn as_crypto_job(&mut self) -> message::SealJob<'_> {
        message::SealJob::new(self.key, self.from, self.buf.as_mut_slice())
    }
}

/// Seals several messages, whose ciphers run side by side: faster than one after the other.
pub fn seal_many(jobs: &mut [SealJob<'_>]) {
    // Wide vectors pay from twelve on; see `chappe_crypto::message`.
    let mut sixteens = jobs.chunks_exact_mut(16);
    for chunk in &mut sixteens {
        seal_chunk::<16>(chunk);
    }
    let mut twelves = sixteens.into_remainder().chunks_exact_mut(12);
    for chunk in &mut twelves {
        seal_chunk::<12>(chunk);
    }
    let mut eights = twelves.into_remainder().chunks_exact_mut(8);
    for chunk in &mut eights {
        seal_chunk::<8>(chunk);
    }
    let mut fours = eights.into_remainder().chunks_exact_mut(4);
    for chunk in &mut fours {
        seal_chunk::<4>(chunk);
    }
    let mut twos = fours.into_remainder().chunks_exact_mut(2);
    for chunk in &mut twos {
        seal_chunk::<2>(chunk);
    }
    for chunk in twos.into_remainder().chunks_mut(1) {
        seal_chunk::<1>(chunk);
    }
}

/// Seals exactly `N` messages, with the list of jobs on the stack.
fn seal_chunk<const N: usize>(chunk: &mut [SealJob<'_>]) {
    if chunk.iter().any(|job| job.done.is_some()) {
        // Sealed before: encrypting again would destroy the frame.
        return chunk
            .iter_mut()
            .filter(|job| job.done.is_none())
            .for_each(|job| seal_chunk::<1>(slice::from_mut(job)));
    }
    let jobs: &mut [SealJob<'_>; N] = chunk.try_into().expect("the chunk has N jobs");
    let mut crypto_jobs = jobs.each_mut().map(SealJob::as_crypto_job);
    message::seal_many(&mut crypto_jobs);
    let sealed = crypto_jobs.map(|job| job.result().expect("every job was done").expect(ALIGNED));
    for (job, sealed) in jobs.iter_mut().zip(&sealed) {
        job.done = Some(finish(job.buf, job.key, sealed));
    }
}

/// Puts the outer header in front of the ciphertext.
#[inline]
fn finish(buf: &mut FrameBuf, key: &AuthKey, sealed: &message::Sealed) -> QuickAckToken {
    buf.prepend(sealed.msg_key.as_bytes());
    buf.prepend(key.id().as_bytes());
    sealed.quick_ack
}

const ALIGNED: &str = "`prepare` made whole blocks of header, body and padding";
