//! What a dissector found, one record for each thing.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use chappe_crypto::{AuthKeyId, QuickAckToken, Side};
use chappe_framing::{FrameError, MsgId, SeqNo, ServerSalt, SessionId, UnixTime};
use chappe_transport::{DcId, Framing, TransportError, TransportErrorCode};

/// Number of a connection, chosen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// When bytes were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub time: UnixTime,
    /// Number of the packet in the capture, from 1. Zero if there are no packets.
    pub packet: u64,
}

/// One thing that was found on the wire.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// When the last byte of it was seen.
    pub at: Moment,
    /// The connection.
    pub connection: ConnectionId,
    /// Who sent it.
    pub from: Side,
    /// What was found.
    pub content: Content,
}

/// What was found on the wire.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// The transport of the connection was recognised.
    Transport(Transport),
    /// A message, plain or decrypted. A container and each message in it are records of their own.
    Message(Box<MessageRecord>),
    /// An envelope that was not opened.
    Sealed {
        /// The key that it names; zero for a plain envelope.
        auth_key_id: AuthKeyId,
        /// Length in bytes.
        len: usize,
        /// Why it was not opened; `None` if the key is not known.
        error: Option<FrameError>,
    },
    /// A quick acknowledgement.
    QuickAck {
        /// Its token.
        token: QuickAckToken,
        /// The message that it acknowledges, if that was decrypted.
        msg_id: Option<MsgId>,
    },
    /// A transport error.
    TransportError(TransportErrorCode),
    /// Bytes are missing, because the capture does not have them, or the reader of a log was slower than the traffic.
    Lost {
        /// Number of bytes.
        len: u64,
    },
    /// The bytes of this direction cannot be read, from here on or until [`Resynchronised`](Self::Resynchronised).
    Unreadable(Unreadable),
    /// The beginning of a frame was found again.
    Resynchronised {
        /// Number of bytes that were skipped.
        skipped: u64,
    },
}

/// How a connection carries envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transport {
    /// What is between the transport and TCP.
    pub carrier: SeenCarrier,
    /// The borders of frames; HTTP has none.
    pub framing: Option<Framing>,
    /// Whether the stream is obfuscated.
    pub is_obfuscated: bool,
    /// Index of the proxy secret, if the client used one.
    pub secret: Option<usize>,
    /// The datacenter in the obfuscation header. Without a secret it may be random.
    pub dc: Option<DcId>,
}

/// What is between a transport and TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SeenCarrier {
    /// Nothing.
    Tcp,
    /// Records that imitate TLS.
    FakeTls,
    /// Messages of WebSocket.
    WebSocket,
    /// Bodies of HTTP.
    Http,
}

/// Why bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// The first bytes belong to no transport of MTProto, or to an obfuscation header of a secret that is not known.
    Unrecognised,
    /// A TLS hello that was made with none of the secrets: TLS, or fake TLS of another secret.
    Tls,
    /// HTTP that carries no MTProto.
    OtherHttp,
    /// A proxy of fake TLS did not answer as one.
    FakeTlsAnswer,
    /// The beginning of the connection was not seen.
    NoBeginning,
    /// Too much was lost to find records or frames again.
    TooMuchLost,
    /// The records, frames or heads are malformed.
    Malformed(TransportError),
    /// The frames of WebSocket are malformed, or compressed.
    WebSocket,
    /// The dissector reached its bound of memory.
    OutOfMemory,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MessageRecord {
    /// The envelope that carried it.
    pub envelope: MessageEnvelope,
    /// Its identifier.
    pub msg_id: MsgId,
    /// Its number; plain messages have none.
    pub seq_no: Option<SeqNo>,
    /// The container that it was in.
    pub container: Option<MsgId>,
    /// Length of the `gzip_packed` object that it, or its result, was in.
    pub packed_len: Option<usize>,
    /// Whether it was sent before.
    pub repeats: Option<Repeats>,
    /// The content.
    pub object: MessageObject,
    /// Rules that it breaks.
    pub violations: Vec<FrameError>,
}

/// The envelope of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageEnvelope {
    /// Not encrypted: the handshake.
    Plain,
    /// Encrypted with an `auth_key`.
    Encrypted {
        /// The key.
        auth_key_id: AuthKeyId,
        /// The salt.
        salt: ServerSalt,
        /// The session.
        session_id: SessionId,
    },
}

/// How a message repeats an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeats {
    /// The same message was seen before.
    Message,
    /// A client sent the same body before, in a message without an answer.
    Body {
        /// The earlier message.
        msg_id: MsgId,
    },
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MessageObject {
    /// A container; records of its messages follow.
    Container {
        /// Number of messages.
        count: usize,
    },
    /// Acknowledgements.
    Acks(Vec<MsgId>),
    /// An answer that names the message it answers: `rpc_result`, `pong`, `future_salts`, `bad_server_salt`,
    /// `bad_msg_notification`, `msgs_state_info`.
    Answer {
        /// The answered message.
        req_msg_id: MsgId,
        /// The query, if it was seen.
        query: Option<Query>,
        /// For `rpc_result` the result, otherwise the whole object, unpacked, from its constructor id on.
        body: Vec<u8>,
        /// Whether it is an `rpc_result`.
        is_result: bool,
    },
    /// Any other object.
    Other {
        /// The method in it: wrappers such as `invokeWithLayer` are looked through.
        method: Method,
        /// The object, unpacked, from its constructor id on.
        body: Vec<u8>,
    },
}

/// A query that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// What it called.
    pub method: Method,
    /// Time between query and answer.
    pub elapsed: Duration,
}

/// The constructor of an object, behind wrappers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its constructor id.
    pub constructor: u32,
    /// The layer that `invokeWithLayer` named.
    pub layer: Option<i32>,
}

impl MessageObject {
    /// Returns the bytes of the object, from its constructor id on. Containers and acknowledgements have none.
    pub fn body(&self) -> &[u8] {
        match self {
            Self::Container { .. } | Self::Acks(_) => &[],
            Self::Answer { body, .. } | Self::Other { body, .. } => body,
        }
    }
}
