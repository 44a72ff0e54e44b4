//! Service messages: read as views that borrow the frame, written without allocating.
//!
//! [`Service::read`] knows every object of the service table but the three that wrap others
//! (`msg_container`, `gzip_packed`, `rpc_result`), which the framing layer reads.
//!
//! Not here: what to do about them.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages>,
//! <https://core.telegram.org/mtproto/service_messages_about_messages>.

use alloc::vec::Vec;

use chappe_framing::{MsgId, RpcResult, SeqNo, ServerSalt, SessionId};
use chappe_tl::deserialize::{Cursor, Result};
use chappe_tl::{Identifiable, Serializable, Sink, VECTOR_ID};
use chappe_tl_mtproto::{functions, types};
use chappe_types::BadMsgCode;

use crate::salts::TimedSalt;

/// Constructor id of `msg_copy`.
pub(crate) const MSG_COPY: u32 = 0xe060_46b2;

/// `rpc_answer_dropped_running`: the query was running.
pub(crate) const RPC_ANSWER_DROPPED_RUNNING: u32 = types::RpcAnswerDroppedRunning::CONSTRUCTOR_ID;
/// `rpc_answer_dropped`: the answer waited.
pub(crate) const RPC_ANSWER_DROPPED: u32 = types::RpcAnswerDropped::CONSTRUCTOR_ID;

/// A service message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service<'a> {
    MsgsAck(Ids<'a>),
    BadMsg(BadMsg),
    StateReq(Ids<'a>),
    StateInfo {
        req_msg_id: MsgId,
        info: &'a [u8],
    },
    AllInfo {
        ids: Ids<'a>,
        info: &'a [u8],
    },
    DetailedInfo {
        msg_id: Option<MsgId>,
        answer: MsgId,
    },
    ResendReq(Ids<'a>),
    FutureSalts {
        req_msg_id: MsgId,
        salts: Salts<'a>,
    },
    Pong {
        msg_id: MsgId,
        ping_id: i64,
    },
    SessionDestroyed {
        session_id: SessionId,
        existed: bool,
    },
    NewSession {
        first_msg_id: MsgId,
        unique_id: i64,
        salt: ServerSalt,
    },
    KeyDestroyed(KeyDestruction),
    /// `msg_copy`: a message repeated under the id of its container; carries the original.
    Copy {
        original: MsgId,
        seq_no: SeqNo,
        body: &'a [u8],
    },
    Ping {
        ping_id: i64,
        disconnect_delay: Option<i32>,
    },
    GetFutureSalts {
        count: i32,
    },
    DropAnswer {
        req_msg_id: MsgId,
    },
    DestroySession {
        session_id: SessionId,
    },
    DestroyAuthKey,
    HttpWait(HttpWait),
}

/// `bad_msg_notification`, or `bad_server_salt` if it names a salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the name of the field in the schema")]
pub(crate) struct BadMsg {
    pub(crate) bad_msg_id: MsgId,
    pub(crate) code: BadMsgCode,
    pub(crate) new_salt: Option<ServerSalt>,
}

/// What became of a request to destroy the `auth_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyDestruction {
    /// `destroy_auth_key_ok`: the key is gone.
    Destroyed,
    /// `destroy_auth_key_none`: there was no such key.
    Unknown,
    /// `destroy_auth_key_fail`: try again.
    Failed,
}

/// How long the server may hold back an answer over HTTP, in milliseconds.
///
/// <https://core.telegram.org/mtproto/service_messages#http-wait-long-poll>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpWait {
    /// Most time between the first message that waits and the answer.
    pub max_delay: i32,
    /// Time waited for further messages after each one.
    pub wait_after: i32,
    /// Most time without any message until an empty answer.
    pub max_wait: i32,
}

impl HttpWait {
    /// Cuts the times to what a server puts up with: not negative, at most a minute (SEC-109).
    pub(crate) fn clamped(self) -> Self {
        const MOST: i32 = 60_000;
        Self {
            max_delay: self.max_delay.clamp(0, MOST),
            wait_after: self.wait_after.clamp(0, MOST),
            max_wait: self.max_wait.clamp(0, MOST),
        }
    }
}

impl Default for HttpWait {
    /// 0, 0 and 25 000: the defaults of the specification.
    fn default() -> Self {
        Self { max_delay: 0, wait_after: 0, max_wait: 25_000 }
    }
}

/// A list of message ids, as it stands in the frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids<'a>(&'a [u8]);

impl<'a> Ids<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self> {
        cursor.expect_id("Vector", VECTOR_ID)?;
        let count = cursor.read_count(size_of::<i64>())?;
        cursor.take(count * size_of::<i64>()).map(Self)
    }

    pub(crate) const fn len(self) -> usize {
        self.0.len() / size_of::<i64>()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = MsgId> + 'a {
        self.0.as_chunks().0.iter().map(|bytes| MsgId::from_bytes(*bytes))
    }
}

/// Length of a bare `future_salt`.
const SALT_LEN: usize = 16;

/// A bare vector of bare `future_salt`s, as it stands in the frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salts<'a>(&'a [u8]);

impl<'a> Salts<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self> {
        let count = cursor.read_count(SALT_LEN)?;
        cursor.take(count * SALT_LEN).map(Self)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = TimedSalt> + 'a {
        self.0.as_chunks::<SALT_LEN>().0.iter().map(|entry| {
            let [a, b, c, d, e, f, g, h, salt @ ..] = *entry;
            TimedSalt {
                valid_since: i64::from(u32::from_le_bytes([a, b, c, d])),
                valid_until: i64::from(u32::from_le_bytes([e, f, g, h])),
                salt: ServerSalt::from_raw(i64::from_le_bytes(salt)),
            }
        })
    }
}

impl<'a> Service<'a> {
    /// Reads a service message; `None` if the object is something else.
    ///
    /// # Errors
    ///
    /// Fails if the object is a service message but malformed, or if bytes follow it (SEC-115).
    pub(crate) fn read(body: &'a [u8]) -> Result<Option<Self>> {
        let mut cursor = Cursor::from_slice(body);
        let id = cursor.read_u32()?;
        let Some(service) = Self::read_fields(id, &mut cursor)? else {
            return Ok(None);
        };
        cursor.finish()?;
        Ok(Some(service))
    }

    fn read_fields(id: u32, c: &mut Cursor<'a>) -> Result<Option<Self>> {
        Ok(Some(match id {
            types::MsgsAck::CONSTRUCTOR_ID => Self::MsgsAck(Ids::read(c)?),
            types::BadMsgNotification::CONSTRUCTOR_ID => Self::BadMsg(BadMsg::read(c)?),
            types::BadServerSalt::CONSTRUCTOR_ID => {
                let bad = BadMsg::read(c)?;
                Self::BadMsg(BadMsg { new_salt: Some(ServerSalt::from_raw(c.read_i64()?)), ..bad })
            }
            types::MsgsStateReq::CONSTRUCTOR_ID => Self::StateReq(Ids::read(c)?),
            types::MsgsStateInfo::CONSTRUCTOR_ID => {
                Self::StateInfo { req_msg_id: msg_id(c)?, info: c.read_bytes()? }
            }
            types::MsgsAllInfo::CONSTRUCTOR_ID => Self::AllInfo { ids: Ids::read(c)?, info: c.read_bytes()? },
            types::MsgDetailedInfo::CONSTRUCTOR_ID => {
                let (msg_id, answer) = (Some(msg_id(c)?), msg_id(c)?);
                skip_length_and_status(c)?;
                Self::DetailedInfo { msg_id, answer }
            }
            types::MsgNewDetailedInfo::CONSTRUCTOR_ID => {
                let answer = msg_id(c)?;
                skip_length_and_status(c)?;
                Self::DetailedInfo { msg_id: None, answer }
            }
            types::MsgResendReq::CONSTRUCTOR_ID | types::MsgResendAnsReq::CONSTRUCTOR_ID => {
                Self::ResendReq(Ids::read(c)?)
            }
            types::FutureSalts::CONSTRUCTOR_ID => {
                let req_msg_id = msg_id(c)?;
                let _now = c.read_i32()?;
                Self::FutureSalts { req_msg_id, salts: Salts::read(c)? }
            }
            types::Pong::CONSTRUCTOR_ID => Self::Pong { msg_id: msg_id(c)?, ping_id: c.read_i64()? },
            types::DestroySessionOk::CONSTRUCTOR_ID => {
                Self::SessionDestroyed { session_id: session_id(c)?, existed: true }
            }
            types::DestroySessionNone::CONSTRUCTOR_ID => {
                Self::SessionDestroyed { session_id: session_id(c)?, existed: false }
            }
            types::NewSessionCreated::CONSTRUCTOR_ID => Self::NewSession {
                first_msg_id: msg_id(c)?,
                unique_id: c.read_i64()?,
                salt: ServerSalt::from_raw(c.read_i64()?),
            },
            types::DestroyAuthKeyOk::CONSTRUCTOR_ID => Self::KeyDestroyed(KeyDestruction::Destroyed),
            types::DestroyAuthKeyNone::CONSTRUCTOR_ID => Self::KeyDestroyed(KeyDestruction::Unknown),
            types::DestroyAuthKeyFail::CONSTRUCTOR_ID => Self::KeyDestroyed(KeyDestruction::Failed),
            MSG_COPY => {
                let original = msg_id(c)?;
                let seq_no = SeqNo::from_raw(c.read_i32()?);
                let len = c.read_count(1)?;
                Self::Copy { original, seq_no, body: c.take(len)? }
            }
            functions::Ping::CONSTRUCTOR_ID => Self::Ping { ping_id: c.read_i64()?, disconnect_delay: None },
            functions::PingDelayDisconnect::CONSTRUCTOR_ID => {
                Self::Ping { ping_id: c.read_i64()?, disconnect_delay: Some(c.read_i32()?) }
            }
            functions::GetFutureSalts::CONSTRUCTOR_ID => Self::GetFutureSalts { count: c.read_i32()? },
            functions::RpcDropAnswer::CONSTRUCTOR_ID => Self::DropAnswer { req_msg_id: msg_id(c)? },
            functions::DestroySession::CONSTRUCTOR_ID => Self::DestroySession { session_id: session_id(c)? },
            functions::DestroyAuthKey::CONSTRUCTOR_ID => Self::DestroyAuthKey,
            types::HttpWait::CONSTRUCTOR_ID => Self::HttpWait(HttpWait {
                max_delay: c.read_i32()?,
                wait_after: c.read_i32()?,
                max_wait: c.read_i32()?,
            }),
            _ => return Ok(None),
        }))
    }

    /// Returns whether the message is answered, which acknowledges it.
    pub(crate) const fn is_answered(&self) -> bool {
        matches!(
            self,
            Self::Ping { .. }
                | Self::GetFutureSalts { .. }
                | Self::StateReq(_)
                | Self::DropAnswer { .. }
                | Self::DestroySession { .. }
                | Self::DestroyAuthKey
        )
    }

    /// Calls `look` with each message of the other side that this one answers or speaks about, until
    /// it says yes.
    pub(crate) fn refers_to(&self, mut look: impl FnMut(MsgId) -> bool) -> bool {
        match *self {
            Self::BadMsg(bad) => look(bad.bad_msg_id),
            Self::StateInfo { req_msg_id, .. } | Self::FutureSalts { req_msg_id, .. } => look(req_msg_id),
            Self::Pong { msg_id, .. } | Self::DetailedInfo { msg_id: Some(msg_id), .. } => look(msg_id),
            Self::NewSession { first_msg_id, .. } => look(first_msg_id),
            Self::MsgsAck(ids) | Self::AllInfo { ids, .. } => ids.iter().any(look),
            _ => false,
        }
    }
}

/// Returns the message of the other side that an object answers or speaks about, if `was_sent` knows it.
pub(crate) fn question_of(body: &[u8], was_sent: impl Fn(MsgId) -> bool) -> Option<MsgId> {
    if let Ok(result) = RpcResult::new_checked(body) {
        return Some(result.req_msg_id()).filter(|msg_id| was_sent(*msg_id));
    }
    let mut question = None;
    if let Ok(Some(service)) = Service::read(body) {
        service.refers_to(|msg_id| {
            question = Some(msg_id).filter(|msg_id| was_sent(*msg_id));
            question.is_some()
        });
    }
    question
}

impl BadMsg {
    fn read(c: &mut Cursor<'_>) -> Result<Self> {
        let bad_msg_id = msg_id(c)?;
        let _seq_no = c.read_i32()?;
        Ok(Self { bad_msg_id, code: BadMsgCode::from_raw(c.read_i32()?), new_salt: None })
    }
}

fn msg_id(c: &mut Cursor<'_>) -> Result<MsgId> {
    c.read_i64().map(MsgId::from_raw)
}

/// Skips the length of an answer and its status: whether to fetch it depends on what came, not on these.
fn skip_length_and_status(c: &mut Cursor<'_>) -> Result<()> {
    c.take(8).map(|_| ())
}

fn session_id(c: &mut Cursor<'_>) -> Result<SessionId> {
    c.read_i64().map(SessionId::from_raw)
}

/// Writes an object with its constructor id.
pub(crate) fn write_object<T: Identifiable + Serializable>(out: &mut (impl Sink + ?Sized), object: &T) {
    out.put_u32(T::CONSTRUCTOR_ID);
    // Only a string of 16 MiB or more has no encoding; no service message has one.
    let _ = object.serialize(out);
}

/// Encodes an object with its constructor id.
pub(crate) fn encode<T: Identifiable + Serializable>(object: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(size_of::<u32>() + object.serialized_len());
    write_object(&mut out, object);
    out
}

/// Writes `msgs_ack`, `msgs_state_req` or `msg_resend_req`, whose only field is a list of ids.
///
/// By hand, from an iterator: the generated types own their list, which would be an allocation for each packet.
pub(crate) fn write_ids(
    out: &mut (impl Sink + ?Sized),
    constructor: u32,
    ids: impl ExactSizeIterator<Item = MsgId>,
) {
    out.put_u32(constructor);
    out.put_u32(VECTOR_ID);
    out.put_u32(ids.len() as u32);
    for id in ids {
        out.put(&id.to_bytes());
    }
}

/// What a status byte of `msgs_state_info` or `msg_detailed_info` says.
///
/// <https://core.telegram.org/mtproto/service_messages_about_messages#informational-message-regarding-status-of-messages>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Status(pub(crate) u8);

impl Status {
    /// Nothing is known of the message: its id is too low.
    pub(crate) const UNKNOWN: u8 = 1;
    /// Not received; the id is within the stored range.
    pub(crate) const NOT_RECEIVED: u8 = 2;
    /// Not received; the id is higher than any stored.
    pub(crate) const NOT_RECEIVED_HIGH: u8 = 3;
    /// Received.
    pub(crate) const RECEIVED: u8 = 4;
    /// Needs no acknowledgement.
    pub(crate) const NEEDS_NO_ACK: u8 = 16;
    /// A query that is being worked on, or was.
    pub(crate) const PROCESSING: u8 = 32;
    /// The answer was generated.
    pub(crate) const ANSWERED: u8 = 64;

    /// Returns whether the message arrived.
    pub(crate) const fn is_received(self) -> bool {
        self.0 & 7 == Self::RECEIVED
    }

    /// Returns whether the message certainly did not arrive, or nothing is known of it any more.
    pub(crate) const fn is_missing(self) -> bool {
        matches!(self.0 & 7, Self::UNKNOWN | Self::NOT_RECEIVED | Self::NOT_RECEIVED_HIGH)
    }
}
