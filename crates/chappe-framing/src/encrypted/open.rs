//! Reading encrypted messages.

use core::fmt;
use core::ops::Range;
use core::slice;

use chappe_crypto::{AuthKey, MsgKey, QuickAckToken, Side, message};

use super::padding::ACCEPTED;
use super::{BLOCK, INNER_HEADER_LEN, MIN_FRAME_LEN, OUTER_HEADER_LEN, auth_key_id, inner, outer};
use crate::message::{array, checked_body_len};
use crate::{FrameError, MessageHeader, MsgId, MsgOrigin, SeqNo, ServerSalt, SessionId};

/// Whether the transport may have left bytes of its own behind a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportTail {
    /// The frame ends where the message ends: abridged, intermediate, full, HTTP, WebSocket.
    None,
    /// Up to 15 random bytes follow: padded intermediate. The encrypted part is cut to whole blocks.
    Padded,
}

/// Decrypts, in place, a frame that `from` wrote.
///
/// Checks, in this order (SEC-61 to SEC-67): length of the frame, `auth_key_id`, whole blocks,
/// `msg_key`, length of the body, length of the padding. When `msg_key` does not match, what was
/// decrypted is wiped. Who may write what `session_id` and `msg_id` is asked of [`Opened`].
///
/// # Errors
///
/// Any error means: discard the frame, use nothing of it, close the connection. For
/// [`FrameError::UnknownAuthKey`] a server answers with the transport error -404 instead.
pub fn open<'a>(
    key: &AuthKey,
    from: Side,
    tail: TransportTail,
    frame: &'a mut [u8],
) -> Result<Opened<'a>, FrameError> {
    let len = checked_len(key, tail, frame)?;
    let (msg_key, ciphertext) = split_frame(frame, len);
    match message::open(key, from, &msg_key, ciphertext) {
        Ok(opened) => Opened::new_checked(ciphertext, opened.quick_ack),
        Err(_) => Err(FrameError::MsgKeyMismatch),
    }
}

/// Checks what can be checked without the key's bytes; returns the length without the tail.
fn checked_len(key: &AuthKey, tail: TransportTail, frame: &[u8]) -> Result<usize, FrameError> {
    if frame.len() < MIN_FRAME_LEN {
        return Err(FrameError::TooShort { len: frame.len(), min: MIN_FRAME_LEN });
    }
    let got = auth_key_id(frame)?;
    if got.is_zero() {
        return Err(FrameError::PlainNotAllowed);
    }
    if got != key.id() {
        return Err(FrameError::UnknownAuthKey { got });
    }
    let len = frame.len() - OUTER_HEADER_LEN;
    match (len % BLOCK, tail) {
        (0, _) => Ok(frame.len()),
        (over, TransportTail::Padded) => Ok(frame.len() - over),
        (_, TransportTail::None) => Err(FrameError::UnalignedCiphertext { len }),
    }
}

/// Splits a frame whose length was checked.
fn split_frame(frame: &mut [u8], len: usize) -> (MsgKey, &mut [u8]) {
    let (header, ciphertext) = frame[..len].split_at_mut(OUTER_HEADER_LEN);
    (MsgKey::from_bytes(array(&header[outer::MSG_KEY])), ciphertext)
}

/// A message that was decrypted and found in order, as a view of the frame's own bytes.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    salt: ServerSalt,
    session_id: SessionId,
    message: MessageHeader,
    body: &'a [u8],
    quick_ack: QuickAckToken,
}

impl<'a> Opened<'a> {
    /// Checks lengths; called only with bytes whose `msg_key` was right.
    fn new_checked(plaintext: &'a [u8], quick_ack: QuickAckToken) -> Result<Self, FrameError> {
        let (header, rest) = plaintext
            .split_first_chunk::<INNER_HEADER_LEN>()
            .ok_or(FrameError::TooShort { len: plaintext.len(), min: INNER_HEADER_LEN })?;
        let (message, claimed) = MessageHeader::from_bytes(&array(&header[inner::MESSAGE]));
        let (body, padding) = rest.split_at(checked_body_len(claimed, rest.len())?);
        if !ACCEPTED.contains(&padding.len()) {
            return Err(FrameError::BadPadding { len: padding.len() });
        }
        Ok(Self {
            salt: ServerSalt::from_raw(i64::from_le_bytes(array(&header[inner::SALT]))),
            session_id: SessionId::from_raw(i64::from_le_bytes(array(&header[inner::SESSION_ID]))),
            message,
            body,
            quick_ack,
        })
    }

    /// Returns the salt the peer used.
    pub const fn salt(&self) -> ServerSalt {
        self.salt
    }

    /// Returns the session the message names.
    pub const fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Returns identifier and number of the message.
    pub const fn header(&self) -> MessageHeader {
        self.message
    }

    /// Returns the identifier of the message.
    pub const fn msg_id(&self) -> MsgId {
        self.message.msg_id
    }

    /// Returns the number of the message.
    pub const fn seq_no(&self) -> SeqNo {
        self.message.seq_no
    }

    /// Returns the object, which lives as long as the frame.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Returns where in the frame the object stands.
    pub const fn body_range(&self) -> Range<usize> {
        const START: usize = OUTER_HEADER_LEN + INNER_HEADER_LEN;
        START..START + self.body.len()
    }

    /// Returns the token with which the frame may be acknowledged quickly.
    pub const fn quick_ack(&self) -> QuickAckToken {
        self.quick_ack
    }

    /// Checks that the message belongs to the session `expected` (SEC-68).
    ///
    /// # Errors
    ///
    /// [`FrameError::ForeignSession`] if it names another one.
    pub fn require_session(&self, expected: SessionId) -> Result<(), FrameError> {
        if self.session_id == expected {
            return Ok(());
        }
        Err(FrameError::ForeignSession { got: self.session_id })
    }

    /// Checks that the message names a session at all (SEC-69); a server answers zero with -404.
    ///
    /// # Errors
    ///
    /// [`FrameError::ZeroSession`] if it names session zero.
    pub fn require_named_session(&self) -> Result<(), FrameError> {
        if self.session_id.is_zero() { Err(FrameError::ZeroSession) } else { Ok(()) }
    }

    /// Checks that the low bits of `msg_id` are those of the side that wrote it.
    ///
    /// A client discards the frame (SEC-70); a server answers with `bad_msg_notification` 18
    /// (SEC-71).
    ///
    /// # Errors
    ///
    /// [`FrameError::BadOrigin`] if they are not.
    pub fn require_origin(&self, from: Side) -> Result<(), FrameError> {
        let msg_id = self.msg_id();
        let fits = match from {
            Side::Client => msg_id.origin() == Some(MsgOrigin::Client),
            Side::Server => msg_id.origin().is_some_and(MsgOrigin::is_server),
        };
        if fits { Ok(()) } else { Err(FrameError::BadOrigin { msg_id }) }
    }
}

/// One frame of several that are opened together by [`open_many`]. `Debug` shows nothing of what was decrypted.
#[must_use = "pass it to `open_many`, then ask for the message"]
pub struct OpenJob<'a> {
    key: &'a AuthKey,
    from: Side,
    frame: &'a mut [u8],
    /// Length of the frame without the tail, or why it is not even worth decrypting.
    len: Result<usize, FrameError>,
    done: Option<Result<QuickAckToken, FrameError>>,
}

impl<'a> OpenJob<'a> {
    /// Describes a frame: the arguments of [`open`].
    pub fn new(key: &'a AuthKey, from: Side, tail: TransportTail, frame: &'a mut [u8]) -> Self {
        let len = checked_len(key, tail, frame);
        Self { key, from, frame, len, done: None }
    }

    /// Returns what [`open`] would have returned; opens the frame now if [`open_many`] has not.
    ///
    /// # Errors
    ///
    /// Those of [`open`].
    pub fn finish(mut self) -> Result<Opened<'a>, FrameError> {
        if self.done.is_none() {
            open_chunk::<1>(slice::from_mut(&mut self));
        }
        let quick_ack = self.done.expect("the job was done")?;
        let len = self.len?;
        Opened::new_checked(&self.frame[OUTER_HEADER_LEN..len], quick_ack)
    }

    fn as_crypto_job(&mut self) -> message::OpenJob<'_> {
        // A frame that was refused takes part with no bytes, so that the others keep their places.
        let (msg_key, ciphertext) = match self.len {
            Ok(len) => split_frame(self.frame, len),
            Err(_) => (MsgKey::from_bytes([0; 16]), &mut [][..]),
        };
        message::OpenJob::new(self.key, self.from, msg_key, ciphertext)
    }
}

impl fmt::Debug for OpenJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenJob")
            .field("from", &self.from)
            .field("len", &self.len)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

/// Opens several frames, whose ciphers run side by side: faster than one after the other.
///
/// Each job holds its own result; one that fails does not touch the others.
pub fn open_many(jobs: &mut [OpenJob<'_>]) {
    // Wide vectors pay from twelve on; see `chappe_crypto::message`.
    let mut sixteens = jobs.chunks_exact_mut(16);
    for chunk in &mut sixteens {
        open_chunk::<16>(chunk);
    }
    let mut twelves = sixteens.into_remainder().chunks_exact_mut(12);
    for chunk in &mut twelves {
        open_chunk::<12>(chunk);
    }
    let mut eights = twelves.into_remainder().chunks_exact_mut(8);
    for chunk in &mut eights {
        open_chunk::<8>(chunk);
    }
    let mut fours = eights.into_remainder().chunks_exact_mut(4);
    for chunk in &mut fours {
        open_chunk::<4>(chunk);
    }
    let mut twos = fours.into_remainder().chunks_exact_mut(2);
    for chunk in &mut twos {
        open_chunk::<2>(chunk);
    }
    for chunk in twos.into_remainder().chunks_mut(1) {
        open_chunk::<1>(chunk);
    }
}

/// Opens exactly `N` frames, with the list of jobs on the stack.
fn open_chunk<const N: usize>(chunk: &mut [OpenJob<'_>]) {
    if chunk.iter().any(|job| job.done.is_some()) {
        // Opened before: decrypting again would destroy the message.
        return chunk
            .iter_mut()
            .filter(|job| job.done.is_none())
            .for_each(|job| open_chunk::<1>(slice::from_mut(job)));
    }
    let jobs: &mut [OpenJob<'_>; N] = chunk.try_into().expect("the chunk has N jobs");
    let mut crypto_jobs = jobs.each_mut().map(OpenJob::as_crypto_job);
    message::open_many(&mut crypto_jobs);
    let results = crypto_jobs.map(|job| job.result().expect("every job was done"));
    for (job, result) in jobs.iter_mut().zip(results) {
        job.done = Some(match (&job.len, result) {
            (Err(refused), _) => Err(refused.clone()),
            (Ok(_), Ok(opened)) => Ok(opened.quick_ack),
            (Ok(_), Err(_)) => Err(FrameError::MsgKeyMismatch),
        });
    }
}
