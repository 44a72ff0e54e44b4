//! Encrypted messages, step by step: pack one, unpack one.
//!
//! [`EncryptedSession`] is for callers who run their own loop. It numbers and seals what goes out, opens
//! and checks what comes in, follows the server's salt and time, and remembers what it has seen. It does
//! not wait, repeat or match answers: a whole session does that.
//!
//! Spec: <https://core.telegram.org/mtproto/description>.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use chappe_crypto::{AuthKey, Side};
use chappe_framing::{
    AcceptedFormat, Container, ContainerWriter, EncryptedHeader, EncryptedWriter, FrameBuf, GZIP_PACKED,
    GzipPacked, Inflater, MSG_CONTAINER, MessageHeader, MsgId, MsgIdGenerator, MsgOrigin, Opened, Padding,
    RPC_RESULT, RpcResult, SeqNo, SeqNoCounter, ServerSalt, SessionId, TransportTail, UnixTime,
    constructor_id, open,
};
use chappe_tl::{Identifiable, Serializable};
use chappe_tl_mtproto::types;
use rand_core::CryptoRng;

use crate::error::{PackError, UnpackError};
use crate::message::Message;
use crate::service::{Service, write_ids};
use crate::window::{Age, AgeLimits, DuplicateWindow, Seen};
use crate::{Limits, MAX_IDS_PER_LIST};

/// Ids of own messages remembered, so that a complaint about them is believed.
const SENT_IDS: usize = 512;

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
/// # Ok::<(), chappe_session::PackError>(())
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
    window: DuplicateWindow,
    age: AgeLimits,
    unpacked_bytes: usize,
    padding: Padding,
    tail: TransportTail,
    /// Ascending.
    sent: VecDeque<MsgId>,
    acks: VecDeque<MsgId>,
    inflater: Option<Inflater>,
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
        let limits = Limits::default();
        Self {
            salt: first_salt,
            time_offset,
            key: auth_key.into(),
            session_id: SessionId::random(rng),
            ids: MsgIdGenerator::new(),
            seq: SeqNoCounter::new(),
            window: DuplicateWindow::new(limits.received_ids),
            age: limits.age,
            unpacked_bytes: limits.unpacked_bytes,
            padding: Padding::Random,
            tail: TransportTail::None,
            sent: VecDeque::new(),
            acks: VecDeque::new(),
            inflater: None,
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

    /// Says whether the transport leaves padding of its own behind a frame (padded intermediate).
    pub const fn set_transport_tail(&mut self, tail: TransportTail) {
        self.tail = tail;
    }

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
    ) -> Result<MsgId, PackError> {
        let mut writer = EncryptedWriter::begin(out);
        object.serialize(writer.body())?;
        let body = writer.body().as_slice();
        let content_related = is_content_related(constructor_id(body)?);
        // Fails for a body that cannot be sent, before a number is used up for it.
        MessageHeader { msg_id: MsgId::from_raw(0), seq_no: SeqNo::from_raw(0) }.to_bytes(body.len())?;
        let message = self.number(now, content_related);
        let header = self.header(message);
        writer.seal(&self.key, Side::Client, header, self.padding, rng)?;
        Ok(message.msg_id)
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
    ) -> Result<Result<MsgId, E>, PackError> {
        let msg_id = self.next_id(now);
        let object = match build(msg_id, rng) {
            Ok(object) => object,
            Err(error) => return Ok(Err(error)),
        };
        let mut writer = EncryptedWriter::begin(out);
        object.serialize(writer.body())?;
        let content_related = is_content_related(constructor_id(writer.body().as_slice())?);
        let seq_no = self.next_seq_no(content_related);
        let header = self.header(MessageHeader { msg_id, seq_no });
        writer.seal(&self.key, Side::Client, header, self.padding, rng)?;
        Ok(Ok(msg_id))
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
    ) -> Result<MsgId, PackError> {
        let mut writer = EncryptedWriter::begin(out);
        let mut container = ContainerWriter::begin(writer.body());
        for body in bodies {
            let message = self.number(now, is_content_related(constructor_id(body)?));
            container.push(message, body)?;
            ids.push(message.msg_id);
        }
        container.finish();
        let message = self.number(now, false);
        let header = self.header(message);
        writer.seal(&self.key, Side::Client, header, self.padding, rng)?;
        Ok(message.msg_id)
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
    ) -> Result<Option<MsgId>, PackError> {
        if self.acks.is_empty() {
            return Ok(None);
        }
        let mut writer = EncryptedWriter::begin(out);
        let count = self.acks.len().min(MAX_IDS_PER_LIST);
        write_ids(writer.body(), types::MsgsAck::CONSTRUCTOR_ID, self.acks.drain(..count));
        let message = self.number(now, false);
        let header = self.header(message);
        writer.seal(&self.key, Side::Client, header, self.padding, rng)?;
        Ok(Some(message.msg_id))
    }

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
        if constructor_id(opened.body())? != MSG_CONTAINER {
            return self.show(opened.salt(), opened.header(), opened.body(), &mut show);
        }
        let container = Container::new_checked(opened.body(), opened.msg_id(), Side::Server)?;
        for message in &container {
            if self.is_new(message.header) {
                self.learn(now, message.header.msg_id, message.body);
                self.show(opened.salt(), message.header, message.body, &mut show)?;
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
        if constructor_id(opened.body())? == MSG_CONTAINER {
            for message in &Container::new_checked(opened.body(), opened.msg_id(), Side::Server)? {
                if self.is_new(message.header) {
                    self.learn(now, message.header.msg_id, message.body);
                }
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
        if self.window.check(msg_id) == Seen::Fresh {
            // What answers a recent message of ours is believed and repairs the clock (SEC-81), or a wrong
            // clock would refuse the very message that tells the right time.
            let answers_us = self.answers_us(&opened);
            if !answers_us {
                self.check_age(now, msg_id)?;
            }
        }
        let is_new = self.window.insert(msg_id, ());
        if opened.seq_no().is_content_related() {
            self.owe_ack(msg_id);
        }
        match is_new {
            Seen::Fresh => {}
            Seen::Duplicate => return Err(UnpackError::Duplicate { msg_id }),
            Seen::TooOld => return Err(UnpackError::TooOld { msg_id }),
        }
        if constructor_id(opened.body())? != MSG_CONTAINER {
            self.learn(now, msg_id, opened.body());
        }
        Ok(opened)
    }

    fn check_age(&self, now: UnixTime, msg_id: MsgId) -> Result<(), UnpackError> {
        match self.age.check(msg_id, self.server_time(now)) {
            Age::Plausible => Ok(()),
            Age::TooOld => Err(UnpackError::TooOld { msg_id }),
            Age::TooNew => Err(UnpackError::TooNew { msg_id }),
        }
    }

    fn is_new(&mut self, header: MessageHeader) -> bool {
        if header.seq_no.is_content_related() {
            self.owe_ack(header.msg_id);
        }
        self.window.insert(header.msg_id, ()) == Seen::Fresh
    }

    fn owe_ack(&mut self, msg_id: MsgId) {
        if self.acks.len() == MAX_IDS_PER_LIST {
            self.acks.pop_front();
        }
        self.acks.push_back(msg_id);
    }

    fn answers_us(&self, opened: &Opened<'_>) -> bool {
        let Ok(container) = Container::new_checked(opened.body(), opened.msg_id(), Side::Server) else {
            return self.question_of(opened.body()).is_some();
        };
        container.iter().any(|message| self.question_of(message.body).is_some())
    }

    /// Returns the recent message of ours that an object answers or speaks about.
    fn question_of(&self, body: &[u8]) -> Option<MsgId> {
        let mut found = None;
        let mut look = |msg_id: MsgId| {
            if self.was_sent(msg_id) {
                found = Some(msg_id);
            }
            found.is_some()
        };
        if let Ok(result) = RpcResult::new_checked(body) {
            look(result.req_msg_id());
        } else if let Ok(Some(service)) = Service::read(body) {
            service.refers_to(look);
        }
        found
    }

    fn was_sent(&self, msg_id: MsgId) -> bool {
        self.sent.binary_search(&msg_id).is_ok()
    }

    /// Takes over salt and time from an answer to a recent message of ours (SEC-81, SEC-82, SEC-89).
    fn learn(&mut self, now: UnixTime, msg_id: MsgId, body: &[u8]) {
        let Some(question) = self.question_of(body) else {
            return;
        };
        let stamp = msg_id.time();
        match Service::read(body) {
            Ok(Some(Service::BadMsg(bad))) => {
                if let Some(salt) = bad.new_salt {
                    self.salt = salt.to_raw();
                }
                if matches!(bad.code, 16 | 17) {
                    self.set_time(now, stamp);
                }
            }
            Ok(Some(Service::NewSession { salt, .. })) => self.salt = salt.to_raw(),
            _ => {}
        }
        let proves_fast_clock = stamp.saturating_add(core::time::Duration::from_secs(15)) < question.time();
        if proves_fast_clock || stamp.as_secs() > self.server_time(now).as_secs() {
            self.set_time(now, stamp);
        }
    }

    fn set_time(&mut self, now: UnixTime, server_time: UnixTime) {
        let seconds = server_time.as_secs() as i64 - now.as_secs() as i64;
        self.time_offset = i32::try_from(seconds).unwrap_or(self.time_offset);
    }

    fn server_time(&self, now: UnixTime) -> UnixTime {
        now.saturating_offset(i64::from(self.time_offset) * 1_000_000_000)
    }

    fn number(&mut self, now: UnixTime, content_related: bool) -> MessageHeader {
        MessageHeader { msg_id: self.next_id(now), seq_no: self.next_seq_no(content_related) }
    }

    fn next_id(&mut self, now: UnixTime) -> MsgId {
        let msg_id = self.ids.next(self.server_time(now), MsgOrigin::Client);
        if self.sent.len() == SENT_IDS {
            self.sent.pop_front();
        }
        self.sent.push_back(msg_id);
        msg_id
    }

    const fn next_seq_no(&mut self, content_related: bool) -> SeqNo {
        if content_related { self.seq.next_content_related() } else { self.seq.next_unrelated() }
    }

    fn header(&self, message: MessageHeader) -> EncryptedHeader {
        EncryptedHeader { salt: ServerSalt::from_raw(self.salt), session_id: self.session_id, message }
    }

    /// Shows one message, unpacked.
    fn show(
        &mut self,
        salt: ServerSalt,
        header: MessageHeader,
        body: &[u8],
        show: &mut impl FnMut(MessageView<'_>),
    ) -> Result<(), UnpackError> {
        let MessageHeader { msg_id, seq_no } = header;
        let limit = self.unpacked_bytes;
        match constructor_id(body)? {
            GZIP_PACKED => {
                let body = self.inflater().unpack(&GzipPacked::new_checked(body)?, limit)?;
                show(MessageView { salt, msg_id, seq_no, body });
            }
            RPC_RESULT => {
                let result = RpcResult::new_checked(body)?;
                if constructor_id(result.result())? == GZIP_PACKED {
                    let mut plain = body[..12].to_vec();
                    let packed = GzipPacked::new_checked(result.result())?;
                    plain.extend_from_slice(self.inflater().unpack(&packed, limit)?);
                    show(MessageView { salt, msg_id, seq_no, body: &plain });
                } else {
                    show(MessageView { salt, msg_id, seq_no, body });
                }
            }
            _ => show(MessageView { salt, msg_id, seq_no, body }),
        }
        Ok(())
    }

    fn inflater(&mut self) -> &mut Inflater {
        self.inflater.get_or_insert_with(|| Inflater::new(AcceptedFormat::Gzip))
    }
}

/// What needs the operating system: its clock and its randomness.
#[cfg(all(feature = "std", feature = "getrandom"))]
impl EncryptedSession {
    /// Starts a session under an `auth_key` with what the handshake gave: salt, and time offset in seconds.
    ///
    /// # Panics
    ///
    /// If the operating system has no randomness to give: going on would be unsafe (SEC-01).
    pub fn new(auth_key: impl Into<AuthKey>, first_salt: i64, time_offset: i32) -> Self {
        let mut rng = os_rng();
        let mut session = Self::with_rng(auth_key, first_salt, time_offset, &mut rng);
        session.rng = Some(rng);
        session
    }

    /// Seals a call; returns the frame for the transport.
    ///
    /// A call that cannot be encoded or is too long for a frame gives no bytes;
    /// [`EncryptedSession::pack_into`] says why.
    pub fn pack<R: chappe_tl::RemoteCall>(&mut self, call: &R) -> Vec<u8> {
        self.pack_with_msg_id(call).0
    }

    /// Seals any object; as [`EncryptedSession::pack`].
    pub fn pack_serializable<S: Serializable + ?Sized>(&mut self, object: &S) -> Vec<u8> {
        self.pack_by_system(|session, now, rng, out| session.pack_into(object, now, rng, out)).0
    }

    /// Seals a call; returns the frame and the id to recognise the answer by.
    pub fn pack_with_msg_id<R: chappe_tl::RemoteCall>(&mut self, call: &R) -> (Vec<u8>, i64) {
        self.pack_by_system(|session, now, rng, out| session.pack_into(call, now, rng, out))
    }

    /// Seals several objects into one container; returns the frame and the ids of the messages in it.
    ///
    /// # Errors
    ///
    /// As for [`EncryptedSession::pack_container_into`].
    pub fn pack_container<B: AsRef<[u8]>>(&mut self, bodies: &[B]) -> Result<(Vec<u8>, Vec<i64>), PackError> {
        let mut ids = Vec::with_capacity(bodies.len());
        let mut failed = None;
        let bodies = bodies.iter().map(AsRef::as_ref);
        let (frame, _) = self.pack_by_system(|session, now, rng, out| {
            session
                .pack_container_into(bodies, now, rng, out, &mut ids)
                .inspect_err(|error| failed = Some(error.clone()))
        });
        match failed {
            Some(error) => Err(error),
            None => Ok((frame, ids.into_iter().map(MsgId::to_raw).collect())),
        }
    }

    /// Seals acknowledgements for what was unpacked since the last time; `None` if nothing waits.
    pub fn pack_acks(&mut self) -> Option<Vec<u8>> {
        if self.acks.is_empty() {
            return None;
        }
        let (frame, _) = self.pack_by_system(|session, now, rng, out| {
            Ok(session.pack_acks_into(now, rng, out)?.unwrap_or(MsgId::from_raw(0)))
        });
        Some(frame)
    }

    /// Opens and checks a frame from the transport, and returns its message.
    ///
    /// A container is returned whole ([`Message::messages`] opens it), a `gzip_packed` object unpacked.
    /// The salt of `bad_server_salt` and the server's time are recorded.
    ///
    /// # Errors
    ///
    /// As for [`EncryptedSession::unpack_each`].
    pub fn unpack(&mut self, frame: &mut [u8]) -> Result<Message, UnpackError> {
        let mut message = self.unpack_with(UnixTime::now(), frame)?.to_message();
        if constructor_id(&message.body)? == GZIP_PACKED {
            let limit = self.unpacked_bytes;
            message.body = self.inflater().unpack(&GzipPacked::new_checked(&message.body)?, limit)?.to_vec();
        }
        Ok(message)
    }

    /// Opens and checks a frame from the transport, and returns all messages in it, unpacked.
    ///
    /// # Errors
    ///
    /// As for [`EncryptedSession::unpack_each`].
    pub fn unpack_all(&mut self, frame: &mut [u8]) -> Result<Vec<Message>, UnpackError> {
        let mut messages = Vec::new();
        self.unpack_each(UnixTime::now(), frame, |message| messages.push(message.to_message()))?;
        Ok(messages)
    }

    fn pack_by_system(
        &mut self,
        pack: impl FnOnce(
            &mut Self,
            UnixTime,
            &mut chappe_crypto::rng::Drbg,
            &mut FrameBuf,
        ) -> Result<MsgId, PackError>,
    ) -> (Vec<u8>, i64) {
        let mut rng = self.rng.take().unwrap_or_else(os_rng);
        let mut out = FrameBuf::new();
        let packed = pack(self, UnixTime::now(), &mut rng, &mut out);
        self.rng = Some(rng);
        packed.map_or_else(|_| (Vec::new(), 0), |msg_id| (out.as_slice().to_vec(), msg_id.to_raw()))
    }
}

#[cfg(all(feature = "std", feature = "getrandom"))]
fn os_rng() -> chappe_crypto::rng::Drbg {
    chappe_crypto::rng::Drbg::from_os().expect("the operating system gives randomness, or nothing is safe")
}

/// Tells whether an object needs an acknowledgement, by its constructor (messages, section 5).
fn is_content_related(constructor: u32) -> bool {
    !matches!(
        constructor,
        types::MsgsAck::CONSTRUCTOR_ID
            | MSG_CONTAINER
            | types::HttpWait::CONSTRUCTOR_ID
            | types::MsgsStateInfo::CONSTRUCTOR_ID
            | types::MsgsAllInfo::CONSTRUCTOR_ID
    )
}
