//! A record as one line of text.

use core::fmt;
use core::time::Duration;

use chappe_crypto::Side;
use chappe_framing::{MsgId, RpcOutcome, UnixTime, constructor_id};
use chappe_transport::{Framing, TransportErrorCode};

use crate::names::{Names, name};
use crate::record::{
    Content, MessageEnvelope, MessageObject, MessageRecord, Method, Query, Record, Repeats, SeenCarrier,
    Transport, Unreadable,
};

/// Most ids of a list that are written.
const MAX_IDS: usize = 4;

/// A record with the names of constructors, to be displayed as one line of text.
///
/// The line has the time of day in UTC, the number of the connection, the sender, and what was found.
#[derive(Clone, Copy)]
pub struct RecordLine<'a> {
    record: &'a Record,
    names: &'a dyn Names,
}

impl Record {
    /// Returns the record as a line of text. `names` returns the names of the API's constructors and methods; the names of
    /// service messages are known.
    pub const fn line<'a>(&'a self, names: &'a dyn Names) -> RecordLine<'a> {
        RecordLine { record: self, names }
    }
}

impl fmt::Debug for RecordLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordLine").field("record", self.record).finish_non_exhaustive()
    }
}

impl fmt::Display for RecordLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { at, connection, from, content } = self.record;
        let from = side(*from);
        write!(f, "{} #{} {from}  ", TimeOfDay(at.time), connection.0)?;
        match content {
            Content::Transport(transport) => write!(f, "transport {transport}"),
            Content::Message(message) => self.message(f, message),
            Content::Sealed { auth_key_id, len, error } => match error {
                None => write!(f, "sealed envelope of {len} bytes for key {auth_key_id}, which is not known"),
                Some(error) => {
                    write!(f, "envelope of {len} bytes for key {auth_key_id} does not open: {error}")
                }
            },
            Content::QuickAck { token, msg_id } => {
                write!(f, "quick ack {:08x}", token.to_raw())?;
                msg_id.map_or(Ok(()), |msg_id| write!(f, " for {msg_id}"))
            }
            Content::TransportError(code) => write!(f, "transport error {}", ErrorCode(*code)),
            Content::Lost { len } => write!(f, "{len} bytes are missing"),
            Content::Unreadable(reason) => write!(f, "unreadable: {reason}"),
            Content::Resynchronised { skipped } => write!(f, "readable again after {skipped} bytes"),
        }
    }
}

impl RecordLine<'_> {
    fn message(&self, f: &mut fmt::Formatter<'_>, message: &MessageRecord) -> fmt::Result {
        if message.container.is_some() {
            f.write_str("  ")?;
        }
        self.object(f, &message.object)?;
        write!(f, ", msg_id {}", message.msg_id)?;
        if let Some(seq_no) = message.seq_no {
            write!(f, ", seq_no {}", seq_no.to_raw())?;
        }
        let len = message.object.body().len();
        match message.packed_len {
            Some(packed) => write!(f, ", {len} bytes in gzip of {packed}")?,
            None if len > 0 => write!(f, ", {len} bytes")?,
            None => {}
        }
        if message.envelope == MessageEnvelope::Plain {
            f.write_str(", plain")?;
        }
        match message.repeats {
            Some(Repeats::Message) => f.write_str(", repeated")?,
            Some(Repeats::Body { msg_id }) => write!(f, ", sent before as {msg_id}")?,
            None => {}
        }
        message.violations.iter().try_for_each(|error| write!(f, "; invalid: {error}"))
    }

    fn object(&self, f: &mut fmt::Formatter<'_>, object: &MessageObject) -> fmt::Result {
        match object {
            MessageObject::Container { count } => write!(f, "msg_container of {count}"),
            MessageObject::Acks(ids) => {
                f.write_str("msgs_ack")?;
                ids.iter().take(MAX_IDS).try_for_each(|id| write!(f, " {id}"))?;
                if ids.len() > MAX_IDS { write!(f, " and {} more", ids.len() - MAX_IDS) } else { Ok(()) }
            }
            MessageObject::Answer { req_msg_id, query, body, is_result } => {
                if *is_result {
                    f.write_str("rpc_result ")?;
                }
                match RpcOutcome::read(body) {
                    Ok(RpcOutcome::Error(error)) => {
                        write!(f, "rpc_error {} {}", error.code, Printable(&error.message))?;
                    }
                    _ => write!(f, "{}", self.name(constructor_id(body).unwrap_or_default()))?,
                }
                self.query(f, *req_msg_id, *query)
            }
            MessageObject::Other { method, .. } => self.method(f, *method),
        }
    }

    fn query(&self, f: &mut fmt::Formatter<'_>, req_msg_id: MsgId, query: Option<Query>) -> fmt::Result {
        match query {
            None => write!(f, " to {req_msg_id}"),
            Some(Query { method, elapsed }) => {
                write!(f, " to ")?;
                self.method(f, method)?;
                write!(f, " {req_msg_id} after {}", Milliseconds(elapsed))
            }
        }
    }

    fn method(&self, f: &mut fmt::Formatter<'_>, method: Method) -> fmt::Result {
        write!(f, "{}", self.name(method.constructor))?;
        method.layer.map_or(Ok(()), |layer| write!(f, " (layer {layer})"))
    }

    fn name(&self, constructor: u32) -> Name<'_> {
        Name { constructor, known: name(constructor, self.names) }
    }
}

/// Returns the name of a side.
pub(crate) const fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

/// A name, or the number in hexadecimal digits.
struct Name<'a> {
    constructor: u32,
    known: Option<&'a str>,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known {
            Some(name) => f.write_str(name),
            None => write!(f, "#{:08x}", self.constructor),
        }
    }
}

/// A text from the wire, without characters that a terminal would interpret.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().flat_map(char::escape_debug).try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

/// Hours, minutes, seconds and microseconds in UTC.
struct TimeOfDay(UnixTime);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs() % 86_400;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}.{:06}", self.0.subsec_nanos() / 1000)
    }
}

struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03} ms", micros / 1000, micros % 1000)
    }
}

/// The number of an error and what it means.
struct ErrorCode(TransportErrorCode);

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TransportErrorCode::Other(code) => write!(f, "{code}"),
            known => write!(f, "{}: {known}", known.to_raw()),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.framing {
            Some(Framing::Abridged) => "abridged",
            Some(Framing::Intermediate) => "intermediate",
            Some(Framing::PaddedIntermediate) => "padded intermediate",
            Some(Framing::Full) => "full",
            None => "HTTP",
        })?;
        if self.is_obfuscated {
            f.write_str(", obfuscated")?;
        }
        match self.carrier {
            SeenCarrier::Tcp | SeenCarrier::Http => {}
            SeenCarrier::FakeTls => f.write_str(", in fake TLS")?,
            SeenCarrier::WebSocket => f.write_str(", in WebSocket")?,
        }
        if let Some(secret) = self.secret {
            write!(f, ", with secret {}", secret + 1)?;
        }
        // Without a secret the number may be random, but a known datacenter is hardly one by chance.
        match self.dc.map(chappe_transport::DcId::to_raw) {
            Some(dc @ (-10_005..=10_005)) if dc != 0 => write!(f, ", datacenter {dc}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unrecognised => {
                "first bytes belong to no transport, or to a proxy secret that was not given"
            }
            Self::Tls => "tls, or fake tls with a secret that was not given",
            Self::OtherHttp => "http that carries no mtproto",
            Self::FakeTlsAnswer => "the answer to the hello is not that of a proxy with this secret",
            Self::NoBeginning => "the beginning of the connection is missing",
            Self::TooMuchLost => "too much is missing to find the next frame",
            Self::Malformed(error) => return error.fmt(f),
            Self::WebSocket => "frames of websocket are malformed or compressed",
            Self::OutOfMemory => "too many bytes wait for the rest of their frames",
        })
    }
}
