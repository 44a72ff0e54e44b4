//! A record as named fields, for JSON and other formats.

use chappe_crypto::AuthKeyId;
use chappe_framing::{FrameError, MsgId, RpcOutcome, constructor_id};
use chappe_transport::Framing;

use crate::line::side;
use crate::names::{Names, name};
use crate::record::{
    Carrier, Content, Envelope, Message, Method, Object, Record, Repeats, Transport, Unreadable,
};

/// A named value of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field<'a> {
    /// The name, in lower case with underscores, as the specification spells it where it has one.
    pub name: &'static str,
    /// The value.
    pub value: Value<'a>,
}

/// The value of a [`Field`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A word or a name.
    Text(&'a str),
    /// A text that came from the wire.
    Wire(alloc::string::String),
    /// A number.
    Number(i64),
    /// A message id.
    MsgId(MsgId),
    /// Several message ids.
    MsgIds(&'a [MsgId]),
    /// A constructor id whose name is not known.
    Constructor(u32),
    /// The id of a key.
    AuthKeyId(AuthKeyId),
    /// Why something is unreadable.
    Unreadable(Unreadable),
    /// A rule that was broken.
    Error(&'a FrameError),
    /// It is so.
    Flag,
}

impl Record {
    /// Passes each field to `each`, in the order of reading. Time, packet, connection and sender are fields of the record
    /// itself and not repeated; bodies are in [`Object::body`].
    pub fn fields<'a>(&'a self, names: &'a dyn Names, each: &mut dyn FnMut(Field<'a>)) {
        let mut put = |name, value| each(Field { name, value });
        put("from", Value::Text(side(self.from)));
        put("kind", Value::Text(self.content.kind()));
        match &self.content {
            Content::Transport(transport) => transport.fields(&mut put),
            Content::Message(message) => message.fields(names, &mut put),
            Content::Sealed { auth_key_id, len, error } => {
                put("auth_key_id", Value::AuthKeyId(*auth_key_id));
                put("length", Value::Number(*len as i64));
                if let Some(error) = error {
                    put("invalid", Value::Error(error));
                }
            }
            Content::QuickAck { token, msg_id } => {
                put("token", Value::Number(token.to_raw().into()));
                if let Some(msg_id) = msg_id {
                    put("msg_id", Value::MsgId(*msg_id));
                }
            }
            Content::TransportError(code) => put("code", Value::Number(code.to_raw().into())),
            Content::Lost { len } | Content::Resynchronised { skipped: len } => {
                put("length", Value::Number(i64::try_from(*len).unwrap_or(i64::MAX)));
            }
            Content::Unreadable(reason) => put("reason", Value::Unreadable(*reason)),
        }
    }
}

type Put<'p, 'a> = &'p mut dyn FnMut(&'static str, Value<'a>);

impl Content {
    /// Returns a word for the kind of content.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Transport(_) => "transport",
            Self::Message(_) => "message",
            Self::Sealed { .. } => "sealed",
            Self::QuickAck { .. } => "quick_ack",
            Self::TransportError(_) => "transport_error",
            Self::Lost { .. } => "lost",
            Self::Unreadable(_) => "unreadable",
            Self::Resynchronised { .. } => "resynchronised",
        }
    }
}

impl Transport {
    fn fields(&self, put: Put<'_, '_>) {
        put(
            "carrier",
            Value::Text(match self.carrier {
                Carrier::Tcp => "tcp",
                Carrier::FakeTls => "fake_tls",
                Carrier::WebSocket => "websocket",
                Carrier::Http => "http",
            }),
        );
        if let Some(framing) = self.framing {
            put(
                "framing",
                Value::Text(match framing {
                    Framing::Abridged => "abridged",
                    Framing::Intermediate => "intermediate",
                    Framing::PaddedIntermediate => "padded_intermediate",
                    Framing::Full => "full",
                }),
            );
        }
        if self.is_obfuscated {
            put("obfuscated", Value::Flag);
        }
        if let Some(secret) = self.secret {
            put("secret", Value::Number(secret as i64 + 1));
        }
        if let Some(dc) = self.dc {
            put("dc", Value::Number(dc.to_raw().into()));
        }
    }
}

impl Message {
    fn fields<'a>(&'a self, names: &'a dyn Names, put: Put<'_, 'a>) {
        let constructor = |id| name(id, names).map_or(Value::Constructor(id), Value::Text);
        match self.envelope {
            Envelope::Plain => put("plain", Value::Flag),
            Envelope::Encrypted { auth_key_id, salt, session_id } => {
                put("auth_key_id", Value::AuthKeyId(auth_key_id));
                put("server_salt", Value::Number(salt.to_raw()));
                put("session_id", Value::Number(session_id.to_raw()));
            }
        }
        put("msg_id", Value::MsgId(self.msg_id));
        if let Some(seq_no) = self.seq_no {
            put("seq_no", Value::Number(seq_no.to_raw().into()));
        }
        if let Some(container) = self.container {
            put("container", Value::MsgId(container));
        }
        if let Some(len) = self.packed_len {
            put("packed_length", Value::Number(len as i64));
        }
        match self.repeats {
            Some(Repeats::Message) => put("repeated", Value::Flag),
            Some(Repeats::Body { msg_id }) => put("sent_before_as", Value::MsgId(msg_id)),
            None => {}
        }
        let method = |found: Method, is_query: bool, put: Put<'_, 'a>| {
            put(if is_query { "query" } else { "name" }, constructor(found.constructor));
            if let Some(layer) = found.layer {
                put("layer", Value::Number(layer.into()));
            }
        };
        match &self.object {
            Object::Container { count } => {
                put("name", Value::Text("msg_container"));
                put("count", Value::Number(*count as i64));
            }
            Object::Acks(ids) => {
                put("name", Value::Text("msgs_ack"));
                put("msg_ids", Value::MsgIds(ids));
            }
            Object::Answer { req_msg_id, query, body, is_result } => {
                let id = constructor_id(body).unwrap_or_default();
                if *is_result {
                    put("name", Value::Text("rpc_result"));
                    put("result", constructor(id));
                } else {
                    put("name", constructor(id));
                }
                if let Ok(RpcOutcome::Error(error)) = RpcOutcome::read(body) {
                    put("error_code", Value::Number(error.code.into()));
                    put("error_message", Value::Wire(error.message));
                }
                put("req_msg_id", Value::MsgId(*req_msg_id));
                if let Some(query) = query {
                    method(query.method, true, put);
                    put(
                        "elapsed_us",
                        Value::Number(i64::try_from(query.elapsed.as_micros()).unwrap_or(i64::MAX)),
                    );
                }
            }
            Object::Other { method: found, .. } => method(*found, false, put),
        }
        if !self.object.body().is_empty() {
            put("length", Value::Number(self.object.body().len() as i64));
        }
        for error in &self.violations {
            put("invalid", Value::Error(error));
        }
    }
}
