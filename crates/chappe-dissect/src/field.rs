//! A record as named fields, for JSON and other formats.

use chappe_crypto::AuthKeyId;
use chappe_framing::{FrameError, MsgId, RpcOutcome, constructor_id};
use chappe_transport::Framing;

use crate::line::side;
use crate::names::{Names, name};
use crate::record::{
    Content, MessageEnvelope, MessageObject, MessageRecord, Method, Record, Repeats, SeenCarrier, Transport,
    Unreadable,
};

/// A named value of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordField<'a> {
    /// The name, in lower case with underscores, as the specification spells it where it has one.
    pub name: &'static str,
    /// The value.
    pub value: FieldValue<'a>,
}

/// The value of a [`RecordField`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FieldValue<'a> {
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
    /// itself and not repeated; bodies are in [`MessageObject::body`].
    pub fn fields<'a>(&'a self, names: &'a dyn Names, each: &mut dyn FnMut(RecordField<'a>)) {
        let mut put = |name, value| each(RecordField { name, value });
        put("from", FieldValue::Text(side(self.from)));
        put("kind", FieldValue::Text(self.content.kind()));
        match &self.content {
            Content::Transport(transport) => transport.fields(&mut put),
            Content::Message(message) => message.fields(names, &mut put),
            Content::Sealed { auth_key_id, len, error } => {
                put("auth_key_id", FieldValue::AuthKeyId(*auth_key_id));
                put("length", FieldValue::Number(*len as i64));
                if let Some(error) = error {
                    put("invalid", FieldValue::Error(error));
                }
            }
            Content::QuickAck { token, msg_id } => {
                put("token", FieldValue::Number(token.to_raw().into()));
                if let Some(msg_id) = msg_id {
                    put("msg_id", FieldValue::MsgId(*msg_id));
                }
            }
            Content::TransportError(code) => put("code", FieldValue::Number(code.to_raw().into())),
            Content::Lost { len } | Content::Resynchronised { skipped: len } => {
                put("length", FieldValue::Number(i64::try_from(*len).unwrap_or(i64::MAX)));
            }
            Content::Unreadable(reason) => put("reason", FieldValue::Unreadable(*reason)),
        }
    }
}

type Put<'p, 'a> = &'p mut dyn FnMut(&'static str, FieldValue<'a>);

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
            FieldValue::Text(match self.carrier {
                SeenCarrier::Tcp => "tcp",
                SeenCarrier::FakeTls => "fake_tls",
                SeenCarrier::WebSocket => "websocket",
                SeenCarrier::Http => "http",
            }),
        );
        if let Some(framing) = self.framing {
            put(
                "framing",
                FieldValue::Text(match framing {
                    Framing::Abridged => "abridged",
                    Framing::Intermediate => "intermediate",
                    Framing::PaddedIntermediate => "padded_intermediate",
                    Framing::Full => "full",
                }),
            );
        }
        if self.is_obfuscated {
            put("obfuscated", FieldValue::Flag);
        }
        if let Some(secret) = self.secret {
            put("secret", FieldValue::Number(secret as i64 + 1));
        }
        if let Some(dc) = self.dc {
            put("dc", FieldValue::Number(dc.to_raw().into()));
        }
    }
}

impl MessageRecord {
    fn fields<'a>(&'a self, names: &'a dyn Names, put: Put<'_, 'a>) {
        let constructor = |id| name(id, names).map_or(FieldValue::Constructor(id), FieldValue::Text);
        match self.envelope {
            MessageEnvelope::Plain => put("plain", FieldValue::Flag),
            MessageEnvelope::Encrypted { auth_key_id, salt, session_id } => {
                put("auth_key_id", FieldValue::AuthKeyId(auth_key_id));
                put("server_salt", FieldValue::Number(salt.to_raw()));
                put("session_id", FieldValue::Number(session_id.to_raw()));
            }
        }
        put("msg_id", FieldValue::MsgId(self.msg_id));
        if let Some(seq_no) = self.seq_no {
            put("seq_no", FieldValue::Number(seq_no.to_raw().into()));
        }
        if let Some(container) = self.container {
            put("container", FieldValue::MsgId(container));
        }
        if let Some(len) = self.packed_len {
            put("packed_length", FieldValue::Number(len as i64));
        }
        match self.repeats {
            Some(Repeats::Message) => put("repeated", FieldValue::Flag),
            Some(Repeats::Body { msg_id }) => put("sent_before_as", FieldValue::MsgId(msg_id)),
            None => {}
        }
        let method = |found: Method, is_query: bool, put: Put<'_, 'a>| {
            put(if is_query { "query" } else { "name" }, constructor(found.constructor));
            if let Some(layer) = found.layer {
                put("layer", FieldValue::Number(layer.into()));
            }
        };
        match &self.object {
            MessageObject::Container { count } => {
                put("name", FieldValue::Text("msg_container"));
                put("count", FieldValue::Number(*count as i64));
            }
            MessageObject::Acks(ids) => {
                put("name", FieldValue::Text("msgs_ack"));
                put("msg_ids", FieldValue::MsgIds(ids));
            }
            MessageObject::Answer { req_msg_id, query, body, is_result } => {
                let id = constructor_id(body).unwrap_or_default();
                if *is_result {
                    put("name", FieldValue::Text("rpc_result"));
                    put("result", constructor(id));
                } else {
                    put("name", constructor(id));
                }
                if let Ok(RpcOutcome::Error(error)) = RpcOutcome::read(body) {
                    put("error_code", FieldValue::Number(error.code.into()));
                    put("error_message", FieldValue::Wire(error.message));
                }
                put("req_msg_id", FieldValue::MsgId(*req_msg_id));
                if let Some(query) = query {
                    method(query.method, true, put);
                    put(
                        "elapsed_us",
                        FieldValue::Number(i64::try_from(query.elapsed.as_micros()).unwrap_or(i64::MAX)),
                    );
                }
            }
            MessageObject::Other { method: found, .. } => method(*found, false, put),
        }
        if !self.object.body().is_empty() {
            put("length", FieldValue::Number(self.object.body().len() as i64));
        }
        for error in &self.violations {
            put("invalid", FieldValue::Error(error));
        }
    }
}
