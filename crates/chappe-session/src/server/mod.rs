//! The session of a server: the other half of what a client does.
//!
//! [`ServerSession`] checks what a client sends, answers its service messages, shows its queries to the
//! owner and sends answers and updates until they are acknowledged. It does no I/O. Its methods are of four kinds:
//!
//! - **getters**;
//! - **input**: [`handle_connected`](ServerSession::handle_connected),
//!   [`handle_frame`](ServerSession::handle_frame) or [`handle_opened`](ServerSession::handle_opened),
//!   [`handle_disconnected`](ServerSession::handle_disconnected),
//!   [`handle_timeout`](ServerSession::handle_timeout);
//! - **commands**: [`respond`](ServerSession::respond), [`push`](ServerSession::push), …;
//! - **output**: [`poll_transmit`](ServerSession::poll_transmit) until it returns `None`,
//!   [`poll_timeout`](ServerSession::poll_timeout), [`should_close`](ServerSession::should_close).
//!
//! The owner keeps the keys ([`KeyTable`]) and finds the session of a frame by key and `session_id`:
//! [`chappe_framing::open`] tells both.

mod checks;
mod config;
mod error;
mod event;
mod hold;
mod keys;
mod outgoing;
mod quota;
mod receive;
mod respond;
mod rest;
mod salts;
mod service;
#[cfg(test)]
mod tests;
mod transmit;

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::AuthKey;
use chappe_framing::{
    Deflater, Inflater, MsgId, MsgIdGenerator, SeqNo, SeqNoCounter, ServerSalt, SessionId, TransportTail,
    UnixTime,
};

pub use config::{Policy, ServerConfig};
pub use error::{RespondError, ServerError};
pub use event::{ServerEvent, ServerEvents};
pub use keys::{KeyEntry, KeyStatus, KeyTable};
pub use quota::{OverQuota, Quota};
pub use salts::SaltSchedule;

use crate::acks::AckQueue;
use crate::counters::Counters;
use crate::service::Status;
use crate::time::{MonoTime, Now};
use crate::window::DuplicateWindow;
use event::Log;
use hold::Hold;
use outgoing::OutgoingQueue;

/// What is kept of a received message.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    seq_no: SeqNo,
    status: Status,
}

/// The connection beneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down { since: MonoTime },
    Up { tail: TransportTail },
}

/// A server's session, sans I/O. See the [module](self) for the order of calls.
///
/// ```
/// use chappe_crypto::AuthKey;
/// use chappe_session::server::{SaltSchedule, ServerConfig, ServerEvent, ServerSession};
/// use chappe_session::{Now, SessionId, TransportTail};
///
/// # fn serve(now: Now, frame: &mut [u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let key = AuthKey::from_bytes([7; 256]);
/// let salts = SaltSchedule::new([1; 32]);
/// let mut session = ServerSession::new(ServerConfig::default(), key, SessionId::from_raw(5), salts, 77);
/// session.handle_connected(now, TransportTail::None);
/// let mut queries = Vec::new();
/// for event in session.handle_frame(now, frame)? {
///     if let ServerEvent::Query { msg_id, body, .. } = event {
///         queries.push((msg_id, body.to_vec()));
///     }
/// }
/// for (msg_id, _) in queries {
///     session.respond_error(now, msg_id, 400, "METHOD_NOT_FOUND")?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct ServerSession {
    config: Arc<ServerConfig>,
    key: AuthKey,
    session_id: SessionId,
    unique_id: i64,
    salts: SaltSchedule,
    /// The salt that follows from the handshake, and until when it is taken.
    first_salt: Option<(ServerSalt, UnixTime)>,
    ids: MsgIdGenerator,
    seq: SeqNoCounter,
    received: DuplicateWindow<Received>,
    acks: AckQueue,
    outgoing: OutgoingQueue,
    /// Answers that are not acknowledged: `pong`, `bad_msg_notification`, …
    replies: VecDeque<Vec<u8>>,
    /// Queries that were shown and not answered. The window may have forgotten them.
    running: BTreeSet<MsgId>,
    was_announced: bool,
    link: Link,
    disconnect_at: Option<MonoTime>,
    is_http: bool,
    /// Over HTTP: the request whose answer is held back.
    hold: Option<Hold>,
    /// Complaints in the current ten seconds, and when these began.
    complained: (u16, MonoTime),
    log: Log,
    last_frame: MonoTime,
    inflater: Option<Box<Inflater>>,
    deflater: Option<Box<Deflater>>,
    counters: Counters,
}

/// Making a session, and getters.
impl ServerSession {
    /// Makes the session that a client has begun.
    ///
    /// `unique_id` should be random; the client recognises the session by it (SEC-91).
    /// The configuration may be shared: sessions that are given clones of one `Arc` keep it once.
    pub fn new(
        config: impl Into<Arc<ServerConfig>>,
        key: AuthKey,
        session_id: SessionId,
        salts: SaltSchedule,
        unique_id: i64,
    ) -> Self {
        let config = config.into();
        Self {
            received: DuplicateWindow::new(config.received_ids),
            config,
            key,
            session_id,
            unique_id,
            salts,
            first_salt: None,
            ids: MsgIdGenerator::new(),
            seq: SeqNoCounter::new(),
            acks: AckQueue::new(),
            outgoing: OutgoingQueue::default(),
            replies: VecDeque::new(),
            running: BTreeSet::new(),
            was_announced: false,
            link: Link::Down { since: MonoTime::ZERO },
            disconnect_at: None,
            is_http: false,
            hold: None,
            complained: (0, MonoTime::ZERO),
            log: Log::default(),
            last_frame: MonoTime::ZERO,
            inflater: None,
            deflater: None,
            counters: Counters::default(),
        }
    }

    /// Also takes the salt that follows from the handshake, until `until`.
    #[must_use]
    pub const fn with_first_salt(mut self, salt: ServerSalt, until: UnixTime) -> Self {
        self.first_salt = Some((salt, until));
        self
    }

    /// Returns the key.
    pub const fn auth_key(&self) -> &AuthKey {
        &self.key
    }

    /// Returns the `session_id`.
    pub const fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Returns the counters.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Tells whether the answer to an HTTP request is held back, as `http_wait` in it asked: the driver keeps the request
    /// open and polls again when something comes up or [`poll_timeout`](Self::poll_timeout) says so. An answer that is
    /// due although there is nothing to say is an empty container.
    pub const fn holds_request(&self) -> bool {
        self.hold.is_some()
    }

    /// Returns how many messages wait to be sent or acknowledged.
    pub fn unacked(&self) -> usize {
        self.outgoing.len()
    }

    /// Returns how many queries were shown and not answered.
    pub fn running_queries(&self) -> usize {
        self.running.len()
    }

    /// Returns whether a connection is up.
    pub const fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// Returns since when no connection is up; `None` while one is.
    pub const fn disconnected_since(&self) -> Option<MonoTime> {
        match self.link {
            Link::Down { since } => Some(since),
            Link::Up { .. } => None,
        }
    }
}

/// Input: connections and time. Frames are in `receive`.
impl ServerSession {
    /// A connection is up. `tail` tells whether its transport leaves padding behind frames.
    ///
    /// Schedules everything for sending again that the client has not acknowledged.
    pub fn handle_connected(&mut self, now: Now, tail: TransportTail) {
        self.link = Link::Up { tail };
        self.last_frame = now.mono;
        self.disconnect_at = None;
        self.outgoing.repeat_all();
    }

    /// The connection is gone. Queries keep running, and their answers wait for the next connection.
    pub fn handle_disconnected(&mut self, now: Now) {
        self.link = Link::Down { since: now.mono };
        self.disconnect_at = None;
        self.hold = None;
        self.replies.clear();
        self.release_memory();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        let since = now.mono.as_duration().checked_sub(self.config.resend_after);
        if let Some(since) = since.filter(|_| self.is_connected()) {
            self.outgoing.repeat_since(MonoTime::from_duration(since));
        }
        self.rest(now.mono);
    }
}

impl fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession")
            .field("auth_key_id", &self.key.id())
            .field("session_id", &self.session_id)
            .field("unacked", &self.outgoing.len())
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}
