//! The server side: keys, sessions, queries that take their time.

use std::collections::{BTreeMap, BTreeSet};

use chappe_crypto::message::{Layout, open_v1};
use chappe_crypto::{AuthKey, AuthKeyId, MsgKey, Side};
use chappe_framing::{FrameBuf, MsgId, SessionId, TransportTail, auth_key_id, open};
use chappe_session::Now;
use chappe_session::server::{
    KeyEntry, KeyKind, KeyTable, Policy, SaltSchedule, ServerConfig, ServerError, ServerEvent, ServerSession,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::app::{QUERY, RESULT, UPDATE};
use super::link::{below, chance};

const BIND_TEMP_AUTH_KEY: u32 = 0xcdd4_2a05;
const BOOL_TRUE: u32 = 0x9972_75b5;

/// A query that runs.
#[derive(Debug)]
struct Running {
    done_at: u64,
    key: (AuthKeyId, SessionId),
    msg_id: MsgId,
    number: u64,
    kind: u32,
}

/// All of the server.
#[derive(Debug)]
pub struct Datacenter {
    pub keys: KeyTable,
    pub sessions: BTreeMap<(AuthKeyId, SessionId), ServerSession>,
    /// The session of the connection that is up.
    pub attached: Option<(AuthKeyId, SessionId)>,
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
    Error(i32),
}

impl Datacenter {
    pub fn new(policy: Policy) -> Self {
        Self {
            keys: KeyTable::new(64),
            sessions: BTreeMap::new(),
            attached: None,
            salts: SaltSchedule::new([9; 32]),
            running: Vec::new(),
            executed: BTreeMap::new(),
            updates: 0,
            slowness: 1500,
            policy,
            trace: false,
        }
    }

    pub fn add_key(&mut self, key: AuthKey, kind: KeyKind, now: Now) {
        self.keys.expire(now.unix);
        let id = key.id();
        let first_salt = Some((self.salts.current(id, now.unix), now.unix));
        assert!(self.keys.insert(KeyEntry { key, kind, first_salt }, now.unix));
    }

    pub fn salts(&self) -> &SaltSchedule {
        &self.salts
    }

    /// Everything but keys is forgotten.
    pub fn restart(&mut self) {
        self.sessions.clear();
        self.running.clear();
        self.attached = None;
    }

    pub fn disconnect(&mut self) {
        if let Some(session) = self.attached.take().and_then(|key| self.sessions.get_mut(&key)) {
            session.handle_disconnected();
        }
    }

    pub fn on_frame(&mut self, now: Now, time: u64, frame: &mut [u8], rng: &mut ChaCha8Rng) -> Reaction {
        let Ok(id) = auth_key_id(frame) else { return Reaction::Close };
        let Some(entry) = self.keys.get(id, now.unix).cloned() else { return Reaction::Error(-404) };
        let Ok(opened) = open(&entry.key, Side::Client, TransportTail::None, frame) else {
            return Reaction::Close;
        };
        let name = (id, opened.session_id());
        self.sessions.retain(|_, session| session.is_connected() || session.unacked() < 5000);
        let is_new = !self.sessions.contains_key(&name);
        let session = self.sessions.entry(name).or_insert_with(|| {
            let config = ServerConfig { policy: self.policy, ..ServerConfig::default() };
            ServerSession::new(config, entry.key, name.1, self.salts.clone(), rng.next_u64() as i64)
        });
        // A late frame of a session that the client has given up does not bring it back.
        if self.attached.is_none() || (is_new && self.attached != Some(name)) {
            session.handle_connected(now);
            if let Some(before) = self.attached.replace(name).and_then(|name| self.sessions.get_mut(&name)) {
                before.handle_disconnected();
            }
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
            let done_at = time + 1_000_000 * below(rng, self.slowness);
            self.running.push(Running { done_at, key: name, msg_id, number, kind });
        }
        for (msg_id, body) in bindings {
            self.bind(now, name, msg_id, &body);
        }
        Reaction::Fine
    }

    fn bind(&mut self, now: Now, name: (AuthKeyId, SessionId), msg_id: MsgId, body: &[u8]) {
        let permanent = AuthKeyId::from_bytes(body[4..12].try_into().unwrap());
        let entry = self.keys.get(permanent, now.unix).expect("the permanent key is known").clone();
        let mut sealed = body[25..129].to_vec();
        let msg_key = MsgKey::from_bytes(sealed[8..24].try_into().unwrap());
        open_v1(&entry.key, Side::Client, Layout::Envelope, &msg_key, &mut sealed[24..]).expect("SEC-119");
        assert_eq!(sealed[24..][16..24], msg_id.to_bytes(), "the inner message repeats the outer id");
        assert_eq!(sealed[24..][60..68], name.1.to_raw().to_le_bytes(), "and the session");
        self.keys.bind(name.0, permanent, now.unix).expect("both keys are known");
        let session = self.sessions.get_mut(&name).expect("the query came from it");
        session.respond_bytes(now, msg_id, &BOOL_TRUE.to_le_bytes()).unwrap();
    }

    /// Answers what is done.
    pub fn work(&mut self, now: Now, time: u64, rng: &mut ChaCha8Rng) {
        let (done, running) =
            core::mem::take(&mut self.running).into_iter().partition(|query| query.done_at <= time);
        self.running = running;
        let done: Vec<Running> = done;
        for query in done {
            let Some(session) = self.sessions.get_mut(&query.key) else { continue };
            let mut result = RESULT.to_le_bytes().to_vec();
            result.extend_from_slice(&query.number.to_le_bytes());
            result.resize(12 + 4 * (query.kind as usize % 3) * 700, 0x33);
            let times = if chance(rng, 20) { 2 } else { 1 };
            for _ in 0..times {
                let answered = match query.kind {
                    7 => session.respond_error(now, query.msg_id, 400, "BAD_REQUEST"),
                    _ => session.respond_bytes(now, query.msg_id, &result),
                };
                answered.expect("the client acknowledges in time");
            }
        }
    }

    pub fn push_update(&mut self, now: Now) {
        let Some(session) = self.attached.and_then(|name| self.sessions.get_mut(&name)) else { return };
        self.updates += 1;
        let mut update = UPDATE.to_le_bytes().to_vec();
        update.extend_from_slice(&self.updates.to_le_bytes());
        session.push_bytes(now, &update).expect("the client acknowledges in time");
    }

    pub fn next_at(&self) -> Option<u64> {
        self.running.iter().map(|query| query.done_at).min()
    }

    pub fn transmit(&mut self, now: Now, rng: &mut ChaCha8Rng, out: &mut FrameBuf) -> bool {
        let session = self.attached.and_then(|name| self.sessions.get_mut(&name));
        session.is_some_and(|session| session.poll_transmit(now, rng, out))
    }

    pub fn session(&mut self) -> Option<&mut ServerSession> {
        self.attached.and_then(|name| self.sessions.get_mut(&name))
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
