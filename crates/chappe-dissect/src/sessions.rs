//! From envelopes to messages: decryption, containers, gzip, answers and their queries, resends.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use chappe_crypto::{AuthKeyId, QuickAckToken, Side};
use chappe_framing::{
    AcceptedFormat, Container, FrameError, GZIP_PACKED, GzipPacked, Inflater, MSG_CONTAINER, MessageHeader,
    MsgId, PlainMessage, RPC_RESULT, RpcResult, TransportTail, UnixTime, auth_key_id, constructor_id, open,
};
use chappe_tl::Identifiable;
use chappe_tl_mtproto::types;

use crate::Source;
use crate::keys::Keys;
use crate::recent::Recent;
use crate::record::{Content, MessageEnvelope, MessageObject, MessageRecord, Method, Query, Record, Repeats};

/// Most sessions that are remembered; the one that was used longest ago is forgotten.
const MAX_SESSIONS: usize = 256;

/// Most queries of a session that wait for an answer.
const MAX_QUERIES: usize = 4096;

/// Most message ids of a direction by which repeats are recognised.
const MAX_SEEN: usize = 4096;

/// Most messages of which the quick acknowledgement is awaited.
const MAX_TOKENS: usize = 64;

/// Most unpacked bytes of one envelope.
const MAX_UNPACKED: usize = 32 << 20;

/// `Vector`, in front of the ids in `msgs_ack`.
const VECTOR: u32 = 0x1cb5_c415;

/// The sessions of all connections: a session outlives its connections.
#[derive(Debug)]
pub(crate) struct Sessions {
    known: Recent<(AuthKeyId, i64), Session>,
    /// Quick acknowledgements that clients requested.
    tokens: VecDeque<(QuickAckToken, MsgId)>,
    inflater: Inflater,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            known: Recent::new(),
            tokens: VecDeque::new(),
            // Some clients in use send zlib.
            inflater: Inflater::new(AcceptedFormat::GzipOrZlib),
        }
    }
}

/// What is remembered of a session.
#[derive(Debug, Default)]
struct Session {
    queries: BTreeMap<MsgId, Asked>,
    /// The last unanswered message with a body, by length and checksum.
    bodies: BTreeMap<(usize, u32), MsgId>,
    from_client: BTreeSet<MsgId>,
    from_server: BTreeSet<MsgId>,
}

/// A query.
#[derive(Clone, Copy, Debug)]
struct Asked {
    method: Method,
    at: UnixTime,
    body: (usize, u32),
    is_answered: bool,
}

/// A message on its way from envelope to record.
#[derive(Clone, Copy)]
struct Parcel<'a> {
    source: Source,
    envelope: MessageEnvelope,
    header: MessageHeader,
    container: Option<MsgId>,
    packed_len: Option<usize>,
    body: &'a [u8],
}

impl Sessions {
    /// Opens an envelope in place and appends records of what is in it.
    pub(crate) fn handle_envelope(
        &mut self,
        source: Source,
        frame: &mut [u8],
        keys: &Keys,
        out: &mut VecDeque<Record>,
    ) {
        let len = frame.len();
        let sealed = |auth_key_id, error| source.record(Content::Sealed { auth_key_id, len, error });
        let id = match auth_key_id(frame) {
            Ok(id) if id.is_zero() => {
                let record = match plain(source, frame) {
                    Ok(message) => source.record(Content::Message(Box::new(message))),
                    Err(error) => sealed(id, Some(error)),
                };
                return out.push_back(record);
            }
            Ok(id) => id,
            Err(error) => return out.push_back(sealed(AuthKeyId::ZERO, Some(error))),
        };
        let Some(key) = keys.get(id) else {
            return out.push_back(sealed(id, None));
        };
        // A tail that the transport left is cut in any case: the dissector accepts what a receiver might.
        let opened = match open(key, source.from, TransportTail::Padded, frame) {
            Ok(opened) => opened,
            Err(error) => return out.push_back(sealed(id, Some(error))),
        };
        if source.from == Side::Client {
            self.tokens.push_back((opened.quick_ack(), opened.msg_id()));
            if self.tokens.len() > MAX_TOKENS {
                self.tokens.pop_front();
            }
        }
        let violations = [opened.require_named_session().err(), opened.require_origin(source.from).err()]
            .into_iter()
            .flatten();
        let envelope = MessageEnvelope::Encrypted {
            auth_key_id: id,
            salt: opened.salt(),
            session_id: opened.session_id(),
        };
        let parcel = Parcel {
            source,
            envelope,
            header: opened.header(),
            container: None,
            packed_len: None,
            body: opened.body(),
        };
        if self.known.len() > MAX_SESSIONS {
            self.known.pop_oldest();
        }
        let mut reader = Reader {
            session: self.known.get_or_insert((id, opened.session_id().to_raw()), Session::default),
            inflater: &mut self.inflater,
            budget: MAX_UNPACKED,
            out,
        };
        reader.message(parcel, violations.collect());
        self.inflater.shrink_to(1 << 20);
    }

    /// Returns the message that a token acknowledges.
    pub(crate) fn acknowledged(&self, token: QuickAckToken) -> Option<MsgId> {
        self.tokens.iter().rev().find(|(known, _)| *known == token).map(|(_, msg_id)| *msg_id)
    }
}

fn plain(source: Source, frame: &[u8]) -> Result<MessageRecord, FrameError> {
    let message = PlainMessage::new_checked(frame, source.from)?;
    let body = message.body().to_vec();
    Ok(MessageRecord {
        envelope: MessageEnvelope::Plain,
        msg_id: message.msg_id(),
        seq_no: None,
        container: None,
        packed_len: None,
        repeats: None,
        object: MessageObject::Other {
            method: Method { constructor: message.constructor_id(), layer: None },
            body,
        },
        violations: Vec::new(),
    })
}

/// Reads the messages of one envelope.
struct Reader<'a> {
    session: &'a mut Session,
    inflater: &'a mut Inflater,
    /// Bytes that may still be unpacked.
    budget: usize,
    out: &'a mut VecDeque<Record>,
}

impl Reader<'_> {
    fn message(&mut self, parcel: Parcel<'_>, mut violations: Vec<FrameError>) {
        let (msg_id, from) = (parcel.header.msg_id, parcel.source.from);
        match constructor_id(parcel.body) {
            Ok(MSG_CONTAINER) if parcel.container.is_none() => {
                match Container::new_checked(parcel.body, msg_id, from) {
                    Ok(container) => {
                        let object = MessageObject::Container { count: container.len() };
                        self.push(parcel, object, violations);
                        for inner in &container {
                            let container = Some(msg_id);
                            let inner =
                                Parcel { header: inner.header, container, body: inner.body, ..parcel };
                            self.message(inner, Vec::new());
                        }
                        return;
                    }
                    Err(error) => violations.push(error),
                }
            }
            Ok(GZIP_PACKED) if parcel.packed_len.is_none() => match self.unpack(parcel.body) {
                Ok(unpacked) => {
                    let packed_len = Some(parcel.body.len());
                    return self.object(Parcel { packed_len, body: &unpacked, ..parcel }, violations);
                }
                Err(error) => violations.push(error),
            },
            _ => {}
        }
        self.object(parcel, violations);
    }

    fn object(&mut self, mut parcel: Parcel<'_>, mut violations: Vec<FrameError>) {
        let unpacked;
        let object = match constructor_id(parcel.body) {
            Ok(types::MsgsAck::CONSTRUCTOR_ID) => match acks(parcel.body) {
                Some(acks) => MessageObject::Acks(acks),
                None => other(parcel.body),
            },
            Ok(RPC_RESULT) => match RpcResult::new_checked(parcel.body) {
                Ok(result) => {
                    let mut body = result.result();
                    if constructor_id(body) == Ok(GZIP_PACKED) {
                        match self.unpack(body) {
                            Ok(bytes) => {
                                parcel.packed_len = Some(body.len());
                                unpacked = bytes;
                                body = &unpacked;
                            }
                            Err(error) => violations.push(error),
                        }
                    }
                    self.session.answer(result.req_msg_id(), parcel.source.at.time, body.to_vec(), true)
                }
                Err(error) => {
                    violations.push(error);
                    other(parcel.body)
                }
            },
            Ok(id) if parcel.source.from == Side::Server && names_a_message(id) => {
                match parcel.body.get(4..12).and_then(|bytes| bytes.first_chunk()) {
                    Some(bytes) => {
                        let (req_msg_id, body) = (MsgId::from_bytes(*bytes), parcel.body.to_vec());
                        self.session.answer(req_msg_id, parcel.source.at.time, body, false)
                    }
                    None => other(parcel.body),
                }
            }
            _ => other(parcel.body),
        };
        self.push(parcel, object, violations);
    }

    fn push(&mut self, parcel: Parcel<'_>, object: MessageObject, violations: Vec<FrameError>) {
        let Parcel { source, envelope, header, container, packed_len, body } = parcel;
        let repeats = self.session.note(source, header, body, &object);
        let (msg_id, seq_no) = (header.msg_id, Some(header.seq_no));
        let message =
            MessageRecord { envelope, msg_id, seq_no, container, packed_len, repeats, object, violations };
        self.out.push_back(source.record(Content::Message(Box::new(message))));
    }

    fn unpack(&mut self, object: &[u8]) -> Result<Vec<u8>, FrameError> {
        let packed = GzipPacked::new_checked(object)?;
        let unpacked = self.inflater.unpack(&packed, self.budget)?.to_vec();
        self.budget -= unpacked.len();
        Ok(unpacked)
    }
}

impl Session {
    /// Finds the query of an answer.
    fn answer(&mut self, req_msg_id: MsgId, now: UnixTime, body: Vec<u8>, is_result: bool) -> MessageObject {
        let asked = self.queries.get_mut(&req_msg_id);
        let query = asked.map(|asked| {
            if is_result {
                asked.is_answered = true;
                self.bodies.remove(&asked.body);
            }
            Query { method: asked.method, elapsed: now.saturating_since(asked.at) }
        });
        MessageObject::Answer { req_msg_id, query, body, is_result }
    }

    /// Remembers a message, and returns whether it was sent before.
    fn note(
        &mut self,
        source: Source,
        header: MessageHeader,
        body: &[u8],
        object: &MessageObject,
    ) -> Option<Repeats> {
        let msg_id = header.msg_id;
        let seen = match source.from {
            Side::Client => &mut self.from_client,
            Side::Server => &mut self.from_server,
        };
        let is_new = seen.insert(msg_id);
        if seen.len() > MAX_SEEN {
            seen.pop_first();
        }
        if !is_new {
            return Some(Repeats::Message);
        }
        let MessageObject::Other { method, .. } = object else { return None };
        if source.from == Side::Server {
            return None;
        }
        let body = (body.len(), crc32fast::hash(body));
        self.queries.insert(msg_id, Asked { method: *method, at: source.at.time, body, is_answered: false });
        if self.queries.len() > MAX_QUERIES
            && let Some((_, forgotten)) = self.queries.pop_first()
        {
            self.bodies.remove(&forgotten.body);
        }
        // Objects without an answer, such as `http_wait`, are alike without being repeats.
        if !header.seq_no.is_content_related() {
            return None;
        }
        let earlier = self.bodies.insert(body, msg_id)?;
        let is_open = self.queries.get(&earlier).is_some_and(|asked| !asked.is_answered);
        is_open.then_some(Repeats::Body { msg_id: earlier })
    }
}

fn other(body: &[u8]) -> MessageObject {
    MessageObject::Other { method: Method::of(body), body: body.to_vec() }
}

/// Returns whether an object of a server begins with the id of the message that it is about.
const fn names_a_message(id: u32) -> bool {
    matches!(
        id,
        types::Pong::CONSTRUCTOR_ID
            | types::FutureSalts::CONSTRUCTOR_ID
            | types::BadServerSalt::CONSTRUCTOR_ID
            | types::BadMsgNotification::CONSTRUCTOR_ID
            | types::MsgsStateInfo::CONSTRUCTOR_ID
    )
}

/// Reads `msgs_ack msg_ids:Vector<long>`.
fn acks(body: &[u8]) -> Option<Vec<MsgId>> {
    let (head, ids) = body.get(4..)?.split_first_chunk::<8>()?;
    let [a, b, c, d, e, f, g, h] = *head;
    let count = u32::from_le_bytes([e, f, g, h]) as usize;
    let (ids, rest) = ids.as_chunks::<8>();
    let is_whole = u32::from_le_bytes([a, b, c, d]) == VECTOR && ids.len() == count && rest.is_empty();
    is_whole.then(|| ids.iter().map(|id| MsgId::from_bytes(*id)).collect())
}
