//! The engine of a client: one session, the connections beneath it down to the bytes of their sockets, the calls above.
//!
//! An [`Engine`] does no I/O. It knows sockets by their [`SocketId`] and asks its driver for one [`Action`] at a time;
//! the two drivers of this crate do nothing else, and so can a [`Driver`](crate::Driver) in a user's code. Its methods are of
//! four kinds:
//!
//! - **getters**;
//! - **input**: `handle_connected`, `handle_connect_failed`, `end_read`, `end_write`, `handle_loaded`, and time with each;
//!   `handle_driver_ended` at the end;
//! - **commands**: `invoke`, `cancel`, `refresh`, `close`;
//! - **output**: `poll_action` until it returns `WaitUntil`; again after each input and command.
//!
//! Buffers leave the engine for a system call (`begin_read`, `begin_write`) and come back with what came of it, so no system
//! call happens under the lock around it.
//!
//! A connection goes through three stages. It is *dialled*; if others are dialled too, or one is in use already, it is
//! *probed* with a question in the clear; then it is *in use*, on trial until its first answer.

mod action;
#[cfg(test)]
mod any_options;
mod close;
#[cfg(test)]
mod cuts;
mod destruction;
mod input;
mod key_share;
mod keys;
mod link;
mod links;
mod machine;
mod observing;
mod opening;
mod output;
mod race;
mod reaction;
mod saving;
#[cfg(test)]
mod scripted;
mod sink;
mod tally;
mod telling;
mod waking;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chappe_carrier::Address;
use chappe_crypto::rng::Drbg;
use chappe_framing::TransportTail;
use chappe_session::client::{
    CallId, ClientConfig, ClientSession, ForwardSecrecy, KeyMaterial, SendError, SendOptions,
};
use chappe_session::{MonoTime, Now};
use zeroize::Zeroizing;

use self::key_share::Membership;
use self::keys::KeyWork;
use self::race::Race;
use self::saving::Loading;
use self::sink::Sink;
use self::tally::Tally;
use self::waking::Clocks;
use crate::client::pending::Slot;
use crate::client::updates::UpdateQueue;
use crate::client::{
    CallReference, Candidate, ClientId, ClientMetrics, ConnectError, ConnectOptions, InvokeError,
    InvokeOptions, Status,
};
use crate::options::DialOptions;
use crate::store::schedule::StoreSchedule;
use crate::validate::check_candidates;

pub(crate) use self::action::Task;
pub(crate) use self::action::WriteBuffer;
pub use self::action::{Action, ReadBuffer, SocketId, StoreTask};
pub(crate) use self::key_share::KeyShare;
pub(crate) use self::links::{ConnectionId, Input, Links};
pub(crate) use self::machine::{Machine, Moved, Prompted};
pub(crate) use self::observing::Logs;
pub use self::opening::Opening;
pub(crate) use self::sink::Wakers;

/// The engine of a client, sans I/O.
#[derive(Debug)]
pub(crate) struct Engine {
    id: ClientId,
    /// Without the candidates, which are below.
    options: Box<ConnectOptions>,
    candidates: Vec<(Address, Arc<DialOptions>)>,
    rng: Drbg,
    session: Option<Box<ClientSession>>,
    /// A temporary key is to be made as soon as a connection allows it.
    wants_temporary_key: bool,
    /// Nothing goes out under the permanent key until a temporary one has shown whether it is still good.
    is_key_doubtful: bool,
    /// A temporary key was made and is not bound yet.
    is_binding: bool,
    keys: KeyWork,
    /// The part in the temporary key of the datacenter, if clients share one.
    membership: Option<Membership>,
    race: Race,
    links: Links,
    connections: Vec<Connection>,
    sink: Sink,
    /// The state has not been loaded yet.
    loading: Option<Loading>,
    /// `None` if there is no store to keep the state.
    store: Option<StoreSchedule>,
    life: Life,
    /// Told when the first connection stands or will not.
    waiting: Vec<Arc<Slot>>,
    /// Told when the driver has ended; `None` once it has.
    closers: Option<Vec<Arc<Slot>>>,
    /// Since when there is no connection that works.
    down_since: MonoTime,
    /// Whether the connection in use leaves padding behind frames.
    tail: TransportTail,
    /// Over HTTP: when the requests were made that were not answered yet.
    polls: Option<VecDeque<MonoTime>>,
    turn: Turn,
    clocks: Clocks,
    tally: Tally,
    /// `None` if there is no log, as usual.
    logs: Option<Arc<Logs>>,
}

/// What callers may do while the driver waits.
#[derive(Debug)]
struct Turn {
    /// When the driver asks by itself; `None` for never.
    asleep_until: Option<MonoTime>,
    /// Something came in since the session last sent something.
    has_heard: bool,
    /// Calls since then.
    gathered: usize,
    /// Calls that ended since then: as many are likely to follow them.
    ended: usize,
    /// Quick acknowledgements since an authenticated frame came.
    tokens: u32,
    /// When the last call was made.
    called_at: MonoTime,
}

impl Turn {
    /// Counts a quick acknowledgement; returns whether there may be so many.
    const fn count_token(&mut self) -> bool {
        self.tokens += 1;
        self.tokens <= MOST_TOKENS
    }
}

/// Quick acknowledgements that may come between two authenticated frames: one for each frame that asks for it, of which
/// fewer travel in a round trip.
const MOST_TOKENS: u32 = 4096;

/// Longest pause between attempts while a call waits that was made just now: a person notices no more.
const HASTE: Duration = Duration::from_secs(1);

/// Calls that are worth a frame of their own: while it travels and is answered, the next ones are made.
const ENOUGH: usize = 16;

/// A connection and what it is to the client.
#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    /// `None` if the candidates were replaced meanwhile.
    candidate: Option<usize>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Dialling,
    /// It stands, and a question in the clear went out over it.
    Probing {
        nonce: [u8; 16],
        is_asked: bool,
        tail: TransportTail,
        deadline: MonoTime,
    },
    /// It carries the session. Until something comes in that the datacenter must have sent, it has a deadline.
    InUse {
        deadline: Option<MonoTime>,
        /// The deadline moves with the bytes, but not beyond this: anybody on the path can make bytes move.
        latest: MonoTime,
    },
}

/// Where a client is between its beginning and its end.
#[derive(Debug)]
enum Life {
    /// No connection has ever worked.
    Starting {
        deadline: MonoTime,
        attempts_left: u32,
    },
    Running,
    /// Calls under way may end; new ones are refused.
    Closing {
        deadline: MonoTime,
    },
    /// All is over. `None`: the caller wanted it.
    Over(Option<Arc<ConnectError>>),
}

impl Engine {
    /// Makes an engine. It begins to dial with its first output, and makes a key if it has none.
    pub(crate) fn new(
        id: ClientId,
        mut options: ConnectOptions,
        has_store: bool,
        updates: Arc<UpdateQueue>,
        now: Now,
        mut rng: Drbg,
    ) -> Self {
        let race = Race::new(options.candidates.len(), options.backoff.clone(), options.timing.stagger);
        let life = Life::Starting {
            deadline: now.mono + options.timing.connect,
            attempts_left: options.backoff.first_attempts.max(1),
        };
        let candidates = dialled(std::mem::take(&mut options.candidates));
        let links = Links::new(rng.fork());
        let mut engine = Self {
            id,
            candidates,
            rng,
            session: None,
            wants_temporary_key: false,
            is_key_doubtful: false,
            is_binding: false,
            keys: KeyWork::default(),
            membership: None,
            race,
            links,
            connections: Vec::new(),
            sink: Sink::new(updates),
            loading: has_store.then_some(Loading::Wanted),
            store: None,
            life,
            waiting: Vec::new(),
            closers: Some(Vec::new()),
            down_since: now.mono,
            tail: TransportTail::None,
            polls: None,
            turn: Turn {
                asleep_until: Some(MonoTime::ZERO),
                has_heard: true,
                gathered: 0,
                ended: 0,
                tokens: 0,
                called_at: now.mono,
            },
            clocks: Clocks::new(now),
            tally: Tally::default(),
            logs: Logs::of(id, &mut options),
            options: Box::new(options),
        };
        if engine.candidates.is_empty() {
            engine.die(Arc::new(ConnectError::NoCandidates));
        } else if !has_store {
            engine.begin(now, None);
        }
        engine
    }

    /// Begins with the key of the store, or else with the one of the options; without either one is made.
    fn begin(&mut self, now: Now, key: Option<KeyMaterial>) {
        if let Some(key) = key.or_else(|| self.options.key.clone()) {
            self.start_session(key, now);
            self.keep_first_key(now);
        }
    }

    /// Returns what is told when the first connection stands, or will not.
    pub(crate) fn ready(&mut self) -> Arc<Slot> {
        let slot = Arc::<Slot>::default();
        let outcome = match &self.life {
            Life::Starting { .. } => {
                self.waiting.push(Arc::clone(&slot));
                return slot;
            }
            Life::Running => Ok(Vec::new()),
            Life::Closing { .. } | Life::Over(None) => Err(InvokeError::Closed),
            Life::Over(Some(error)) => Err(InvokeError::Connection(Arc::clone(error))),
        };
        self.sink.wakers.extend(slot.settle(outcome));
        slot
    }

    /// Wakes those who wait for the first connection.
    fn tell_ready(&mut self, outcome: &Result<Vec<u8>, InvokeError>) {
        for slot in self.waiting.drain(..) {
            self.sink.wakers.extend(slot.settle(outcome.clone()));
        }
    }

    /// Returns what was counted.
    pub(crate) fn metrics(&self) -> ClientMetrics {
        let (bytes_read, bytes_written) = self.links.bytes();
        ClientMetrics { bytes_read, bytes_written, ..self.sink.metrics.clone() }
    }

    /// Returns what is to be seen from outside.
    pub(crate) fn status(&self, now: Now) -> Status {
        let session = self.session.as_deref();
        Status {
            is_connected: self.is_proven() && session.is_some_and(ClientSession::is_usable),
            is_over: matches!(self.life, Life::Over(_)),
            round_trip: session.and_then(ClientSession::rtt),
            time_offset: session.map_or(0, |session| session.time_offset(now)),
            pending_calls: self.sink.calls.len(),
            connections: self.sink.metrics.connections,
            last_error: self.sink.link_error.clone(),
            store_error: self.store.as_ref().and_then(StoreSchedule::error),
            counters: session.map(|session| session.counters().clone()).unwrap_or_default(),
        }
    }

    /// Returns the state to be kept, as the store gets it.
    pub(crate) fn export(&self, now: Now) -> Option<Zeroizing<Vec<u8>>> {
        Some(self.session.as_ref()?.export(now, &[]))
    }

    fn start_session(&mut self, key: KeyMaterial, now: Now) {
        self.observe_key(&key.auth_key);
        let forward_secrecy = match self.options.temporary_keys {
            Some(_) => ForwardSecrecy::On,
            None => ForwardSecrecy::Off,
        };
        let config = ClientConfig::default()
            .with_limits(self.options.limits.clone())
            .with_liveness(self.options.liveness.clone())
            .with_padding(self.options.padding)
            .with_init(self.options.init.clone())
            .with_forward_secrecy(forward_secrecy);
        self.session = Some(Box::new(ClientSession::new(config, key, now)));
    }

    fn in_use(&self) -> Option<ConnectionId> {
        let in_use = |known: &&Connection| matches!(known.stage, Stage::InUse { .. });
        self.connections.iter().find(in_use).map(|known| known.id)
    }

    fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|known| known.id == id)
    }

    /// Returns how long the pause between two attempts may be. While calls wait it grows with the time since the last was
    /// made: an outage of half a minute is over for them at most four seconds after the network is back.
    fn pause_limit(&self, now: Now) -> Duration {
        if self.sink.calls.is_empty() {
            return Duration::MAX;
        }
        HASTE.max(now.mono.since(self.turn.called_at) / 8)
    }

    /// Returns whether the connection in use has shown that the datacenter is there.
    fn is_proven(&self) -> bool {
        self.connections.iter().any(|known| matches!(known.stage, Stage::InUse { deadline: None, .. }))
    }
}

/// Commands.
impl Engine {
    /// Counts a call that was just accepted. Returns whether it should be sent at once: one of many, or, after something
    /// arrived, the first call, or as many as have ended by it. Calls collect until then or until the driver runs, and share
    /// a frame.
    pub(crate) fn count_call(&mut self) -> bool {
        self.turn.gathered += 1;
        let expected = if self.turn.has_heard { self.turn.ended.clamp(1, ENOUGH) } else { ENOUGH };
        let is_enough = self.turn.gathered >= expected;
        if is_enough {
            self.turn.gathered = 0;
        }
        is_enough
    }

    /// Accepts a call; `send` gives it to the session.
    pub(crate) fn invoke(
        &mut self,
        now: Now,
        options: &InvokeOptions,
        send: impl FnOnce(&mut ClientSession, Now, SendOptions) -> Result<CallId, SendError>,
    ) -> Result<(Arc<Slot>, CallReference), InvokeError> {
        match &self.life {
            Life::Over(Some(error)) => return Err(InvokeError::Connection(Arc::clone(error))),
            Life::Over(None) | Life::Closing { .. } => return Err(InvokeError::Closed),
            Life::Starting { .. } | Life::Running => {}
        }
        let Some(session) = self.session.as_deref_mut() else {
            return Err(InvokeError::Send(SendError::Terminated));
        };
        if options.after.iter().any(|after| after.client != self.id) {
            return Err(InvokeError::NotPossible("it is to follow a call of another client"));
        }
        let options = SendOptions::default()
            .with_after(options.after.iter().map(|after| after.call).collect())
            .with_repeat(options.repeat)
            .with_packing(options.packing)
            .with_quick_ack(options.quick_ack)
            .with_timeout(options.timeout.or(self.options.timing.call));
        let call = send(session, now, options)?;
        self.turn.called_at = now.mono;
        if self.connections.is_empty() {
            // The network may be back, and somebody would notice now.
            self.race.shorten_pause(now.mono, HASTE, &mut self.rng);
        }
        let slot = Arc::<Slot>::default();
        self.sink.begin(now.mono, call, &slot);
        Ok((slot, CallReference { client: self.id, call }))
    }

    /// Cancels a call whose caller is gone. Returns whether anything is to be sent.
    pub(crate) fn cancel(&mut self, now: Now, call: CallId) -> bool {
        let is_known = self.sink.cancel(call);
        if is_known && let Some(session) = self.session.as_deref_mut() {
            session.cancel(call);
            self.drain_events(now);
        }
        is_known
    }

    /// Dials these candidates from now on. The connection in use stays until it is lost.
    ///
    /// # Errors
    ///
    /// There are none, or one of them cannot work.
    pub(crate) fn replace_candidates(&mut self, candidates: &[Candidate]) -> Result<(), ConnectError> {
        if candidates.is_empty() {
            return Err(ConnectError::NoCandidates);
        }
        check_candidates(candidates).map_err(ConnectError::InvalidOption)?;
        self.candidates = dialled(candidates.to_vec());
        self.race.replace(candidates.len());
        let is_candidate = |known: &&Connection| !matches!(known.stage, Stage::InUse { .. });
        while let Some(id) = self.connections.iter().find(is_candidate).map(|known| known.id) {
            self.close_connection(id);
        }
        self.connections.iter_mut().for_each(|known| known.candidate = None);
        Ok(())
    }

    /// Makes a new connection beside the one in use, which it replaces once it is proven. If there is none, the next
    /// attempt need not wait.
    pub(crate) fn refresh(&mut self, now: Now) {
        if self.connections.is_empty() {
            self.race.end_pause();
        }
        if self.in_use().is_some() && !self.race.is_open() && matches!(self.life, Life::Running) {
            self.race.begin(now.mono);
        }
    }
}

/// Returns what is dialled for candidates. Options are shared, since each socket refers to them.
fn dialled(candidates: Vec<Candidate>) -> Vec<(Address, Arc<DialOptions>)> {
    candidates.into_iter().map(|candidate| (candidate.address, Arc::new(candidate.dialling))).collect()
}
