//! Encrypted messages, step by step: pack one, unpack one.
//!
//! [`EncryptedSession`] is for callers who run their own loop. It numbers and seals what goes out, opens
//! and checks what comes in, follows the server's salt and time, and remembers what it has seen. It does
//! not wait, repeat or match answers: [`ClientSession`](crate::client::ClientSession) does that.
//!
//! Spec: <https://core.telegram.org/mtproto/description>.

mod sent_ids;
#[cfg(all(feature = "std", feature = "getrandom"))]
mod system;

use alloc::vec::Vec;
use core::time::Duration;

use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    AcceptedFormat, Container, ContainerWriter, EncryptedHeader, EncryptedWriter, FrameBuf, FrameError,
    GZIP_PACKED, GzipPacked, MSG_CONTAINER, MessageHeader, MsgId, MsgIdGenerator, MsgOrigin, Opened, Padding,
    RPC_RESULT, RPC_RESULT_HEADER_LEN, RpcResult, SeqNo, SeqNoCounter, ServerSalt, SessionId, TransportTail,
    UnixTime, WriteError, constructor_id, open,
};
use chappe_tl::{Identifiable, Serializable};
use chappe_tl_mtproto::types;
use chappe_types::BadMsgCode;
use rand_core::CryptoRng;

use crate::acks::AckQueue;
use crate::clock::ServerClock;
use crate::counters::Counters;
use crate::error::UnpackError;
use crate::gzip::Gzip;
use crate::message::Message;
use crate::service::{Service, question_of, write_ids};
use crate::time::{MonoTime, Now};
use crate::window::{Age, AgeLimits, DuplicateWindow, Seen};
use crate::{MAX_IDS_PER_LIST, SessionLimits};
use sent_ids::SentIds;

/// An encrypted session whose caller packs and unpacks each message himself.
///
/// ```
/// use chappe_crypto::rng::Drbg;
/// use chappe_framing::FrameBuf;
/// use chappe_session::{EncryptedSession, UnixTime};
/// use chappe_tl_mtproto::functions::Ping;
///
/// let mut rng = Drbg::from_seed([1; 32]);
/// let mut session = EncryptedSession::with_rng([7; 256], 42, 0, &mut rng);
/// let mut frame = FrameBuf::new();
/// let now = UnixTime::from_secs(1_707_425_104);
/// let msg_id = session.pack_into(&Ping { ping_id: 1 }, now, &mut rng, &mut frame)?;
/// assert_eq!(msg_id.unix_seconds(), 1_707_425_104);
/// // frame.as_slice() goes to the transport.
/// # Ok::<(), chappe_session::WriteError>(())
/// ```
#[derive(Debug)]
pub struct EncryptedSession {
    /// Server salt that messages are sent with. Follows `bad_server_salt` and `new_session_created`.
    pub salt: i64,
    /// What is added to the local clock to get the server's time, in seconds. Follows the server.
    pub time_offset: i32,
    key: AuthKey,
    session_id: SessionId,
    ids: MsgIdGenerator,
    seq: SeqNoCounter,
    sent: SentIds,
    window: DuplicateWindow,
    age: AgeLimits,
    acks: AckQueue,
    gzip: Gzip,
    /// What packed objects of the last frame were unpacked to.
    scratch: Vec<u8>,
    unpacked_bytes: usize,
    padding: Padding,
    tail: TransportTail,
    #[cfg(all(feature = "std", feature = "getrandom"))]
    rng: Option<chappe_crypto::rng::Drbg>,
}

/// A message as a view of the frame it came in, or of the memory it was unpacked to.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    /// Salt that the server used.
    pub salt: ServerSalt,
    /// Identifier of the message.
    pub msg_id: MsgId,
    /// Its sequence number.
    pub seq_no: SeqNo,
    /// The TL object, constructor id first.
    pub body: &'a [u8],
}

impl MessageView<'_> {
    /// Copies the message out of the frame.
    pub fn to_message(self) -> Message {
        Message {
            salt: self.salt.to_raw(),
            msg_id: self.msg_id.to_raw(),
            seq_no: self.seq_no.to_raw(),
            body: self.body.to_vec(),
        }
    }
}

/// Creation, getters and settings.
impl EncryptedSession {
    /// Starts a session under an `auth_key`; its `session_id` is drawn from `rng`.
    ///
    /// `first_salt` and `time_offset` (seconds) are what the handshake gave.
    pub fn with_rng(
        auth_key: impl Into<AuthKey>,
        first_salt: i64,
        time_offset: i32,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let limits = SessionLimits::default();
        Self {
            salt: first_salt,
            time_offset,
            key: auth_key.into(),
            session_id: SessionId::random(rng),
            ids: MsgIdGenerator::new(),
            seq: SeqNoCounter::new(),
            sent: SentIds::default(),
            window: DuplicateWindow::new(limits.received_ids),
            age: limits.age,
            acks: AckQueue::new(),
            gzip: Gzip::new(AcceptedFormat::Gzip),
            scratch: Vec::new(),
            unpacked_bytes: limits.unpacked_bytes,
            padding: Padding::Random,
            tail: TransportTail::None,
            #[cfg(all(feature = "std", feature = "getrandom"))]
            rng: None,
        }
    }

    /// Returns the `auth_key`.
    pub const fn auth_key(&self) -> &AuthKey {
        &self.key
    }

    /// Returns the `session_id`.
    pub const fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Sets how much random padding goes behind a message. [`Padding::Random`] unless set.
    pub const fn set_padding(&mut self, padding: Padding) {
        self.padding = padding;
    }

    /// Sets whether the transport leaves padding of its own behind a frame (padded intermediate).
    pub const fn set_transport_tail(&mut self, tail: TransportTail) {
        self.tail = tail;
    }

    /// Returns the server's clock at a moment of the local one.
    ///
    /// Callers have no monotonic clock here, so the offset is what lasts, and a clock lives for one call.
    fn clock(&self, now: UnixTime) -> ServerClock {
        ServerClock::synchronized(Now::new(MonoTime::ZERO, now), self.time_offset)
    }
}

/// Packing: number, seal, remember.
impl EncryptedSession {
    /// Seals a call, or any other object, into the caller's buffer. Allocates nothing once the buffer has grown.
    ///
    /// `msgs_ack` and the other objects that need no acknowledgement get an even sequence number, all
    /// others an odd one.
    ///
    /// # Errors
    ///
    /// Fails if the object cannot be encoded or is longer than a frame can be; the session is unchanged then.
    pub fn pack_into<S: Serializable + ?Sized>(
        &mut self,
        object: &S,
        now: UnixTime,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> Result<MsgId, WriteError> {
        let mut writer = EncryptedWriter::begin(out);
        object.serialize(writer.body())?;
        let body = writer.body().as_slice();
        let content_related = needs_ack(body)?;
        // Fails for a body that cannot be sent, before a number is used up for it.
        MessageHeader { msg_id: MsgId::from_raw(0), seq_no: SeqNo::from_raw(0) }.to_bytes(body.len())?;
        let message = self.number(now, content_related);
        self.seal(writer, message, rng)
    }

    /// Seals an object that has to know the id of its own message, as `auth.bindTempAuthKey` has to.
    ///
    /// # Errors
    ///
    /// The outer error is that of [`EncryptedSession::pack_into`], the inner one that of `build`. An id that was
    /// given out for nothing stays unused.
    pub fn pack_built_into<S: Serializable, R: CryptoRng + ?Sized, E>(
        &mut self,
        now: UnixTime,
        rng: &mut R,
        out: &mut FrameBuf,
        build: impl FnOnce(MsgId, &mut R) -> Result<S, E>,
    ) -> Result<Result<MsgId, E>, WriteError> {
        let msg_id = self.next_id(now);
        let object = match build(msg_id, rng) {
            Ok(object) => object,
            Err(error) => return Ok(Err(error)),
        };
        let mut writer = EncryptedWriter::begin(out);
        object.serialize(writer.body())?;
        let content_related = needs_ack(writer.body().as_slice())?;
        let seq_no = self.next_seq_no(content_related);
        self.seal(writer, MessageHeader { msg_id, seq_no }, rng).map(Ok)
    }

    /// Seals several objects into one container; the ids of the messages are appended to `ids`.
    ///
    /// # Errors
    ///
    /// Fails if there are more than 1020 bodies, or if one is empty, not a multiple of four bytes, or itself a
    /// container. Numbers that were given out then stay unused.
    pub fn pack_container_into<'b>(
        &mut self,
        bodies: impl IntoIterator<Item = &'b [u8]>,
        now: UnixTime,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
        ids: &mut Vec<MsgId>,
    ) -> Result<MsgId, WriteError> {
        let mut writer = EncryptedWriter::begin(out);
        let mut container = ContainerWriter::begin(writer.body());
        for body in bodies {
            let message = self.number(now, needs_ack(body)?);
            container.push(message, body)?;
            ids.push(message.msg_id);
        }
        container.finish();
        let message = self.number(now, false);
        self.seal(writer, message, rng)
    }

    /// Seals acknowledgements for what was unpacked since the last time; `None` if nothing waits.
    ///
    /// # Errors
    ///
    /// Cannot fail for a list of this length; the result is that of sealing.
    pub fn pack_acks_into(
        &mut self,
        now: UnixTime,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut FrameBuf,
    ) -> Result<Option<MsgId>, WriteError> {
        if self.acks.is_empty() {
            return Ok(None);
        }
        let mut writer = EncryptedWriter::begin(out);
        write_ids(writer.body(), types::MsgsAck::CONSTRUCTOR_ID, self.acks.drain(MAX_IDS_PER_LIST));
        let message = self.number(now, false);
        self.seal(writer, message, rng).map(Some)
    }

    fn number(&mut self, now: UnixTime, content_related: bool) -> MessageHeader {
        MessageHeader { msg_id: self.next_id(now), seq_no: self.next_seq_no(content_related) }
    }

    fn next_id(&mut self, now: UnixTime) -> MsgId {
        let msg_id = self.ids.next(self.clock(now).at(MonoTime::ZERO), MsgOrigin::Client);
        self.sent.push(msg_id);
        msg_id
    }

    const fn next_seq_no(&mut self, content_related: bool) -> SeqNo {
        if content_related { self.seq.next_content_related() } else { self.seq.next_unrelated() }
    }

    fn seal(
        &self,
        writer: EncryptedWriter<'_>,
        message: MessageHeader,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<MsgId, WriteError> {
        let salt = ServerSalt::from_raw(self.salt);
        let header = EncryptedHeader { salt, session_id: self.session_id, message };
        writer.seal(&self.key, Side::Client, header, self.padding, rng)?;
        Ok(message.msg_id)
    }
}

/// Unpacking: open, check, learn, show.
impl EncryptedSession {
    /// Opens a frame in place, checks it, and shows each message in it: one, or all of a container.
    ///
    /// Duplicates inside a container are left out. A `gzip_packed` object is shown unpacked, and so is
    /// one inside an `rpc_result` ([`MessageView::body`] is then an `rpc_result` with the plain object).
    /// Allocates nothing unless something is packed.
    ///
    /// # Errors
    ///
    /// Fails if the frame does not open, belongs to another session, was seen before, is too old or too
    /// new, or if a container or packed object in it is not in order. On [`UnpackError::Frame`] the connection should be
    /// closed; after any other error the session goes on.
    pub fn unpack_each(
        &mut self,
        now: UnixTime,
        frame: &mut [u8],
        mut show: impl FnMut(MessageView<'_>),
    ) -> Result<(), UnpackError> {
        let opened = self.open(now, frame)?;
        let salt = opened.salt();
        let mut show_one = |session: &mut Self, MessageHeader { msg_id, seq_no }, body| {
            let body = session.unpacked(body)?;
            show(MessageView { salt, msg_id, seq_no, body });
            Ok(())
        };
        let Some(container) = container_in(&opened)? else {
            return show_one(self, opened.header(), opened.body());
        };
        for message in &container {
            if self.is_new(message.header) {
                self.learn(now, message.header.msg_id, message.body);
                show_one(self, message.header, message.body)?;
            }
        }
        Ok(())
    }

    /// Opens a frame in place and returns its message as a view; a container is returned whole.
    ///
    /// Salt and time are taken from a container's messages as well. Nothing is unpacked and nothing allocated.
    ///
    /// # Errors
    ///
    /// As for [`EncryptedSession::unpack_each`].
    pub fn unpack_with<'a>(
        &mut self,
        now: UnixTime,
        frame: &'a mut [u8],
    ) -> Result<MessageView<'a>, UnpackError> {
        let opened = self.open(now, frame)?;
        for message in container_in(&opened)?.iter().flatten() {
            if self.is_new(message.header) {
                self.learn(now, message.header.msg_id, message.body);
            }
        }
        let MessageHeader { msg_id, seq_no } = opened.header();
        Ok(MessageView { salt: opened.salt(), msg_id, seq_no, body: opened.body() })
    }

    /// Opens a frame, checks everything about its outer message, and learns from it.
    fn open<'a>(&mut self, now: UnixTime, frame: &'a mut [u8]) -> Result<Opened<'a>, UnpackError> {
        let opened = open(&self.key, Side::Server, self.tail, frame)?;
        opened.require_session(self.session_id)?;
        opened.require_origin(Side::Server)?;
        let msg_id = opened.msg_id();
        // What answers a recent message of ours is believed and repairs the clock (SEC-81): a wrong clock would
        // refuse the very message that carries the right time.
        if self.window.check(msg_id) == Seen::Fresh && !self.answers_us(&opened) {
            match self.age.check(msg_id, self.clock(now).at(MonoTime::ZERO)) {
                Age::Plausible => {}
                Age::TooOld => return Err(UnpackError::TooOld { msg_id }),
                Age::TooNew => return Err(UnpackError::TooNew { msg_id }),
            }
        }
        match self.receive(opened.header()) {
            Seen::Fresh => {}
            Seen::Duplicate => return Err(UnpackError::Duplicate { msg_id }),
            Seen::TooOld => return Err(UnpackError::TooOld { msg_id }),
        }
        if constructor_id(opened.body())? != MSG_CONTAINER {
            self.learn(now, msg_id, opened.body());
        }
        Ok(opened)
    }

    fn is_new(&mut self, header: MessageHeader) -> bool {
        self.receive(header) == Seen::Fresh
    }

    /// Remembers a message, and that it has to be acknowledged: a duplicate again, since its acknowledgement may be
    /// lost (SEC-76).
    fn receive(&mut self, MessageHeader { msg_id, seq_no }: MessageHeader) -> Seen {
        if seq_no.is_content_related() {
            // The caller decides when acknowledgements go out.
            self.acks.push(msg_id, MonoTime::ZERO, Duration::ZERO, MAX_IDS_PER_LIST);
        }
        self.window.insert(msg_id, ())
    }

    fn answers_us(&self, opened: &Opened<'_>) -> bool {
        let is_answer = |body: &[u8]| self.question_of(body).is_some();
        match container_in(opened) {
            Ok(Some(container)) => container.iter().any(|message| is_answer(message.body)),
            Ok(None) => is_answer(opened.body()),
            Err(_) => false,
        }
    }

    /// Returns the recent message of ours that an object answers or speaks about.
    fn question_of(&self, body: &[u8]) -> Option<MsgId> {
        question_of(body, |msg_id| self.sent.contains(msg_id))
    }

    /// Takes over salt and time from an answer to a recent message of ours (SEC-81, SEC-82, SEC-89).
    fn learn(&mut self, now: UnixTime, msg_id: MsgId, body: &[u8]) {
        let Some(question) = self.question_of(body) else {
            return;
        };
        let mut clock = self.clock(now);
        match Service::read(body) {
            Ok(Some(Service::BadMsg(bad))) => {
                if let Some(salt) = bad.new_salt {
                    self.salt = salt.to_raw();
                }
                // The id of such a notification carries the right time.
                if matches!(bad.code, BadMsgCode::MsgIdTooLow | BadMsgCode::MsgIdTooHigh) {
                    clock.reset(MonoTime::ZERO, msg_id);
                }
            }
            Ok(Some(Service::NewSession { salt, .. })) => self.salt = salt.to_raw(),
            _ => {}
        }
        clock.observe_answer(MonoTime::ZERO, msg_id, question);
        self.time_offset = clock.offset_seconds(Now::new(MonoTime::ZERO, now));
    }

    /// Returns an object, or what is packed in it. Of an `rpc_result` the packed result is replaced.
    fn unpacked<'b>(&'b mut self, body: &'b [u8]) -> Result<&'b [u8], FrameError> {
        let header = match constructor_id(body)? {
            GZIP_PACKED => 0,
            RPC_RESULT if constructor_id(RpcResult::new_checked(body)?.result())? == GZIP_PACKED => {
                RPC_RESULT_HEADER_LEN
            }
            _ => return Ok(body),
        };
        let (header, packed) = body.split_at(header);
        let packed = GzipPacked::new_checked(packed)?;
        self.scratch.clear();
        self.scratch.extend_from_slice(header);
        let most = header.len() + self.unpacked_bytes;
        self.gzip.unpack(&packed, &mut self.scratch, most, &mut Counters::default())?;
        Ok(&self.scratch)
    }
}

/// A container is checked whole, before any of its messages counts (SEC-93 to SEC-95).
fn container_in<'a>(opened: &Opened<'a>) -> Result<Option<Container<'a>>, FrameError> {
    if constructor_id(opened.body())? != MSG_CONTAINER {
        return Ok(None);
    }
    Container::new_checked(opened.body(), opened.msg_id(), Side::Server).map(Some)
}

/// Returns whether an object needs an acknowledgement, by its constructor.
///
/// Spec: <https://core.telegram.org/mtproto/description#content-related-message>.
fn needs_ack(body: &[u8]) -> Result<bool, WriteError> {
    let id = constructor_id(body).map_err(|_| WriteError::UnsendableBody { len: body.len() })?;
    Ok(!matches!(
        id,
        types::MsgsAck::CONSTRUCTOR_ID
            | MSG_CONTAINER
            | types::HttpWait::CONSTRUCTOR_ID
            | types::MsgsStateInfo::CONSTRUCTOR_ID
            | types::MsgsAllInfo::CONSTRUCTOR_ID
    ))
}
