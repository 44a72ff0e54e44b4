//! The server side: keys, sessions, queries that take their time.

use chappe_types::TransportErrorCode;
use std::collections::{BTreeMap, BTreeSet};

use chappe_crypto::message::{Layout, open_v1};
use chappe_crypto::{AuthKey, AuthKeyId, MsgKey, Side};
use chappe_framing::{FrameBuf, MsgId, SessionId, TransportTail, auth_key_id, open};
use chappe_session::server::{Policy, SaltSchedule, ServerConfig, ServerError, ServerEvent, ServerSession};
use chappe_session::{MonoTime, Now};

use super::app::{QUERY, RESULT, UPDATE};
use super::dice::Dice;
use super::keys::{KeyStatus, KeyTable};

const BIND_TEMP_AUTH_KEY: u32 = 0xcdd4_2a05;
const BOOL_TRUE: u32 = 0x9972_75b5;

/// A query that runs.
#[derive(Debug)]
struct Running {
    done_at: u64,
    key: Name,
    msg_id: MsgId,
    number: u64,
    kind: u32,
}

/// What a server knows a session by.
pub type Name = (AuthKeyId, SessionId);

/// All of the server.
#[derive(Debug)]
pub struct Datacenter {
    pub keys: KeyTable,
    pub sessions: BTreeMap<Name, ServerSession>,
    /// The sessions that spoke over the connection that is up, the last new one at the end.
    pub attached: Vec<Name>,
    salts: SaltSchedule,
    running: Vec<Running>,
    /// The messages as which each query was executed.
    pub executed: BTreeMap<u64, BTreeSet<MsgId>>,
    pub updates: u64,
    /// How long queries take at most, in milliseconds.
    pub slowness: u64,
    pub policy: Policy,
    pub trace: bool,
}

/// What a frame of the client leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Reaction {
    Fine,
    Close,
    Error(TransportErrorCode),
}

impl Datacenter {
    pub fn new(policy: Policy) -> Self {
        Self {
            keys: KeyTable::default(),
            sessions: BTreeMap::new(),
            attached: Vec::new(),
            salts: SaltSchedule::new([9; 32]),
            running: Vec::new(),
            executed: BTreeMap::new(),
            updates: 0,
            slowness: 1500,
            policy,
            trace: false,
        }
    }

    pub fn add_key(&mut self, key: AuthKey, kind: KeyStatus, now: Now) {
        self.keys.insert(key, kind, now.unix);
    }

    pub fn salts(&self) -> &SaltSchedule {
        &self.salts
    }

    /// Everything but keys is forgotten.
    pub fn restart(&mut self) {
        self.sessions.clear();
        self.running.clear();
        self.attached.clear();
    }

    pub fn disconnect(&mut self, now: Now) {
        for name in core::mem::take(&mut self.attached) {
            if let Some(session) = self.sessions.get_mut(&name) {
                session.handle_disconnected(now);
            }
        }
    }

    pub fn on_frame(&mut self, now: Now, time: u64, frame: &mut [u8], rng: &mut Dice) -> Reaction {
        let Ok(id) = auth_key_id(frame) else { return Reaction::Close };
        let Some(key) = self.keys.get(id, now.unix).cloned() else {
            return Reaction::Error(TransportErrorCode::UnknownAuthKey);
        };
        let Ok(opened) = open(&key, Side::Client, TransportTail::None, frame) else {
            return Reaction::Close;
        };
        let name = (id, opened.session_id());
        let session = self.sessions.entry(name).or_insert_with(|| {
            let config = ServerConfig::default().with(|config| config.policy = self.policy);
            ServerSession::new(config, key, name.1, self.salts.clone(), rng.next() as i64)
        });
        if !self.attached.contains(&name) {
            session.handle_connected(now, TransportTail::None);
            self.attached.push(name);
        }
        let session = self.sessions.get_mut(&name).expect("it was put there above");
        let mut bindings = Vec::new();
        let events = match session.handle_opened(now, &opened) {
            Ok(events) => events,
            Err(ServerError::Transport(code)) => return Reaction::Error(code),
            Err(_) => return Reaction::Close,
        };
        for event in events {
            let ServerEvent::Query { msg_id, body, .. } = event else { continue };
            if body[..4] == BIND_TEMP_AUTH_KEY.to_le_bytes() {
                bindings.push((msg_id, body.to_vec()));
                continue;
            }
            let body = unwrap_after(body);
            assert_eq!(body[..4], QUERY.to_le_bytes(), "a query arrived whole");
            let number = u64::from_le_bytes(body[4..12].try_into().unwrap());
            let kind = u32::from_le_bytes(body[12..16].try_into().unwrap());
            let is_bound = self.keys.permanent_of(id, now.unix).is_some();
            assert!(is_bound, "SEC-120: a call under an unbound key");
            // A server that has forgotten a session would execute a repeated frame again; that is its fault alone.
            self.executed.entry(number).or_default().insert(msg_id);
            if self.trace {
                println!("               query {number} runs, sent as {msg_id}");
            }
            let done_at = time + 1_000_000 * rng.below(self.slowness);
            self.running.push(Running { done_at, key: name, msg_id, number, kind });
        }
        for (msg_id, body) in bindings {
            self.bind(now, name, msg_id, &body);
        }
        Reaction::Fine
    }

    fn bind(&mut self, now: Now, name: (AuthKeyId, SessionId), msg_id: MsgId, body: &[u8]) {
        let permanent = AuthKeyId::from_bytes(body[4..12].try_into().unwrap());
        let key = self.keys.get(permanent, now.unix).expect("the permanent key is known").clone();
        let mut sealed = body[25..129].to_vec();
        let msg_key = MsgKey::from_bytes(sealed[8..24].try_into().unwrap());
        open_v1(&key, Side::Client, Layout::Envelope, &msg_key, &mut sealed[24..]).expect("SEC-119");
        assert_eq!(sealed[24..][16..24], msg_id.to_bytes(), "the inner message repeats the outer id");
        assert_eq!(sealed[24..][60..68], name.1.to_raw().to_le_bytes(), "and the session");
        self.keys.bind(name.0, permanent);
        let session = self.sessions.get_mut(&name).expect("the query came from it");
        session.respond_bytes(msg_id, &BOOL_TRUE.to_le_bytes()).unwrap();
    }

    /// Answers what is done.
    pub fn work(&mut self, time: u64, rng: &mut Dice) {
        let (done, running) =
            core::mem::take(&mut self.running).into_iter().partition(|query| query.done_at <= time);
        self.running = running;
        let done: Vec<Running> = done;
        for query in done {
            let Some(session) = self.sessions.get_mut(&query.key) else { continue };
            let mut result = RESULT.to_le_bytes().to_vec();
            result.extend_from_slice(&query.number.to_le_bytes());
            result.resize(12 + 4 * (query.kind as usize % 3) * 700, 0x33);
            let times = if rng.chance(20) { 2 } else { 1 };
            for _ in 0..times {
                let answered = match query.kind {
                    7 => session.respond_error(query.msg_id, 400, "BAD_REQUEST"),
                    _ => session.respond_bytes(query.msg_id, &result),
                };
                answered.expect("the client acknowledges in time");
            }
        }
    }

    pub fn push_update(&mut self) {
        let Some((key, _)) = self.attached.last().copied() else { return };
        self.updates += 1;
        let mut update = UPDATE.to_le_bytes().to_vec();
        update.extend_from_slice(&self.updates.to_le_bytes());
        // A late frame may have brought a session back that the client has left: both get it, as with a real server.
        for name in self.attached.iter().filter(|name| name.0 == key) {
            if let Some(session) = self.sessions.get_mut(name) {
                session.push_bytes(&update).expect("the client acknowledges in time");
            }
        }
    }

    pub fn next_at(&self) -> Option<u64> {
        self.running.iter().map(|query| query.done_at).min()
    }

    pub fn transmit(&mut self, now: Now, rng: &mut Dice, out: &mut FrameBuf) -> bool {
        let sessions = &mut self.sessions;
        self.attached.iter().any(|name| {
            sessions.get_mut(name).is_some_and(|session| session.poll_transmit(now, rng, out).is_some())
        })
    }

    /// Returns whether a session has sent everything, and all of it was acknowledged.
    pub fn is_done(&self, session_id: Option<SessionId>) -> bool {
        let name = self.attached.iter().find(|name| Some(name.1) == session_id);
        name.and_then(|name| self.sessions.get(name)).is_some_and(|session| session.unacked() == 0)
    }

    /// When the next timer of a session runs out.
    pub fn timer(&self) -> Option<u64> {
        let sessions = self.attached.iter().filter_map(|name| self.sessions.get(name));
        sessions.filter_map(ServerSession::poll_timeout).min().map(MonoTime::as_nanos)
    }

    /// Time has passed; tells whether the connection is to be closed.
    pub fn handle_timeout(&mut self, now: Now) -> bool {
        for name in &self.attached {
            if let Some(session) = self.sessions.get_mut(name) {
                session.handle_timeout(now);
            }
        }
        let mut sessions = self.attached.iter().filter_map(|name| self.sessions.get(name));
        sessions.any(|session| session.should_close(now))
    }
}

/// Takes `invokeAfterMsg` or `invokeAfterMsgs` off a query.
fn unwrap_after(body: &[u8]) -> &[u8] {
    match u32::from_le_bytes(body[..4].try_into().unwrap()) {
        0xcb9f_372d => &body[12..],
        0x3dc4_b4f0 => {
            let count = u32::from_le_bytes(body[8..12].try_into().unwrap()) as usize;
            &body[12 + 8 * count..]
        }
        _ => body,
    }
}
