//! What the application of the simulated datacenter executed, and what it still has to answer.

use std::collections::BTreeMap;
use std::sync::Mutex;

use chappe_framing::{MsgId, constructor_id};
use chappe_handshake::bind::BindTempAuthKey;
use chappe_server::{Attached, Context, Handler, QueryResponse};
use chappe_tl::Deserializable as _;
use chappe_tl::{Identifiable as _, Serializable as _};

use super::pipe::lock;

/// Constructor id of a query; it names nothing else.
const QUERY: u32 = 0x9e5d_0c11;
/// Constructor id of an answer.
const ANSWER: u32 = 0x51a4_77d3;
/// Constructor id of an update.
const UPDATE: u32 = 0x3bc6_f045;

/// Bytes of a query in front of its filling.
pub(super) const QUERY_HEAD: usize = 20;
/// Bytes of an answer in front of its filling.
pub(super) const ANSWER_HEAD: usize = 12;

/// What a query asks of the datacenter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    /// Tells calls apart, whatever carries them.
    pub(super) number: u64,
    /// How long it is executed, in milliseconds.
    pub(super) takes: u32,
    /// Bytes of the answer's filling.
    pub(super) answer: u32,
}

/// One execution of a query.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "printed when something does not hold")]
pub(super) struct Execution {
    pub(super) msg_id: MsgId,
    /// How often the datacenter had lost its memory by then.
    pub(super) epoch: u32,
    pub(super) time: u64,
}

/// What the application did.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    time: u64,
    epoch: u32,
    executed: BTreeMap<u64, Vec<Execution>>,
    /// Answers that are due, by time and order.
    due: BTreeMap<(u64, u64), Due>,
    order: u64,
    running: usize,
    most_running: usize,
    bindings: u64,
}

#[derive(Debug)]
struct Due {
    session: Attached,
    msg_id: MsgId,
    query: Query,
}

impl Query {
    /// Returns the body of the query, filled up to a length.
    pub(super) fn to_body(self, len: usize) -> Vec<u8> {
        let mut body = Vec::with_capacity(len.max(QUERY_HEAD));
        body.extend_from_slice(&QUERY.to_le_bytes());
        body.extend_from_slice(&self.number.to_le_bytes());
        body.extend_from_slice(&self.takes.to_le_bytes());
        body.extend_from_slice(&self.answer.to_le_bytes());
        fill(&mut body, len, self.number);
        body
    }

    fn from_body(body: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(body.get(at..at + 4)?.try_into().ok()?));
        if word(0)? != QUERY {
            return None;
        }
        let number = u64::from(word(4)?) | u64::from(word(8)?) << 32;
        Some(Self { number, takes: word(12)?, answer: word(16)? })
    }

    fn to_answer(self) -> Vec<u8> {
        let len = ANSWER_HEAD + self.answer as usize;
        let mut body = Vec::with_capacity(len);
        body.extend_from_slice(&ANSWER.to_le_bytes());
        body.extend_from_slice(&self.number.to_le_bytes());
        fill(&mut body, len, self.number);
        body
    }
}

/// Bytes that do not become smaller when they are packed, up to a whole number of words.
fn fill(body: &mut Vec<u8>, len: usize, seed: u64) {
    let mut word = seed | 1;
    while body.len() < len {
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        body.extend_from_slice(&((word >> 32) as u32).to_le_bytes());
    }
}

/// Returns the number and the length of an answer.
pub(super) fn read_answer(body: &[u8]) -> Option<(u64, usize)> {
    read(body, ANSWER).map(|number| (number, body.len()))
}

/// Returns the number of an update.
pub(super) fn read_update(body: &[u8]) -> Option<u64> {
    read(body, UPDATE)
}

/// Returns the body of an update.
pub(super) fn update(number: u64) -> [u8; 12] {
    let mut body = [0; 12];
    body[..4].copy_from_slice(&UPDATE.to_le_bytes());
    body[4..].copy_from_slice(&number.to_le_bytes());
    body
}

fn read(body: &[u8], id: u32) -> Option<u64> {
    if constructor_id(body).ok()? != id {
        return None;
    }
    Some(u64::from_le_bytes(body.get(4..12)?.try_into().ok()?))
}

impl Ledger {
    pub(super) fn set_time(&self, time: u64) {
        lock(&self.0).time = time;
    }

    /// The datacenter forgets its sessions, and with them what it had to answer.
    pub(super) fn begin_epoch(&self) {
        let mut inner = lock(&self.0);
        inner.epoch += 1;
        inner.due.clear();
        inner.running = 0;
    }

    /// Returns when the next answer is due.
    pub(super) fn next_at(&self) -> Option<u64> {
        lock(&self.0).due.keys().next().map(|(at, _)| *at)
    }

    /// Gives the answers that are due; returns whether there were some.
    pub(super) fn answer_due(&self, time: u64) -> bool {
        let mut has_answered = false;
        loop {
            let mut inner = lock(&self.0);
            let Some(entry) = inner.due.first_entry().filter(|entry| entry.key().0 <= time) else {
                return has_answered;
            };
            let Due { session, msg_id, query } = entry.remove();
            inner.running -= 1;
            drop(inner);
            has_answered = true;
            // The client may have gone, and its session with it.
            let _ = session.respond(msg_id, QueryResponse::Answer(query.to_answer()));
        }
    }

    /// Returns the executions of a call.
    pub(super) fn executions(&self, number: u64) -> Vec<Execution> {
        lock(&self.0).executed.get(&number).cloned().unwrap_or_default()
    }

    /// Returns how many executions there were in all.
    pub(super) fn executed(&self) -> usize {
        lock(&self.0).executed.values().map(Vec::len).sum()
    }

    /// Returns how many temporary keys were bound.
    pub(super) fn bindings(&self) -> u64 {
        lock(&self.0).bindings
    }

    fn bind(&self, context: &Context<'_>, body: &[u8]) -> QueryResponse {
        let refused = |message: &str| QueryResponse::Error { code: 400, message: message.to_owned() };
        let Ok(request) = BindTempAuthKey::from_bytes(body) else {
            return refused("ENCRYPTED_MESSAGE_INVALID");
        };
        match context.bind(&request) {
            Ok(()) => {
                lock(&self.0).bindings += 1;
                QueryResponse::AnswerAlone(true.to_bytes())
            }
            Err(error) => refused(error.rpc_message()),
        }
    }
}

/// The application, as the engine sees it.
#[derive(Debug)]
pub(super) struct Application(pub(super) std::sync::Arc<Ledger>);

impl Handler for Application {
    fn query(&self, context: &Context<'_>, body: &[u8]) -> QueryResponse {
        if constructor_id(body) == Ok(BindTempAuthKey::CONSTRUCTOR_ID) {
            return self.0.bind(context, body);
        }
        let Some(query) = Query::from_body(body) else {
            return QueryResponse::Error { code: 400, message: "METHOD_INVALID".into() };
        };
        if context.permanent_key_id().is_none() {
            return QueryResponse::Error { code: 401, message: "AUTH_KEY_PERM_EMPTY".into() };
        }
        let mut inner = lock(&self.0.0);
        let execution = Execution { msg_id: context.msg_id, epoch: inner.epoch, time: inner.time };
        inner.executed.entry(query.number).or_default().push(execution);
        if query.takes == 0 {
            return QueryResponse::Answer(query.to_answer());
        }
        inner.order += 1;
        let place = (inner.time + u64::from(query.takes) * super::MILLISECOND, inner.order);
        inner.due.insert(place, Due { session: context.session.clone(), msg_id: context.msg_id, query });
        inner.running += 1;
        inner.most_running = inner.most_running.max(inner.running);
        QueryResponse::Later
    }
}
