//! The driver of a client without sockets, threads and clocks: one session, the connections beneath it, the calls above.
//!
//! Both drivers, blocking and tokio, move bytes between sockets and a [`Core`] and do what it says; so neither can do what
//! the other cannot. Its methods are of four kinds:
//!
//! - **getters**;
//! - **input**: `handle_dialled`, `handle_dial_failed`, `handle_incoming`, `handle_lost`, and time with each;
//!   `handle_driver_ended` at the end;
//! - **commands**: `invoke`, `cancel`, `refresh`, `close`;
//! - **output**: `poll_output` until it says to wait.
//!
//! A connection goes through three stages. It is *dialled*; if others are dialled too, or one is in use already, it is
//! *probed* with a question in the clear; then it is *in use*, on trial until its first answer.

mod close;
#[cfg(test)]
mod cuts;
mod input;
mod key_work;
mod output;
mod race;
mod reaction;
mod saving;
mod sink;
mod tally;

use std::collections::VecDeque;
use std::sync::Arc;

use chappe_crypto::rng::Drbg;
use chappe_framing::TransportTail;
use chappe_session::client::{
    CallId, ClientConfig, ClientSession, ForwardSecrecy, KeyMaterial, SendError, SendOptions,
};
use chappe_session::{MonoTime, Now};
use zeroize::Zeroizing;

use self::key_work::KeyWork;
use self::race::Race;
use self::sink::Sink;
use self::tally::Tally;
use super::pending::Slot;
use super::updates::UpdateQueue;
use super::{ConnectError, ConnectOptions, InvokeError, InvokeOptions, Status};
use crate::store::schedule::StoreSchedule;

pub(crate) use self::output::{Errand, Output, Prompted};
pub(crate) use self::sink::Wakers;

/// Numbers the connections of a client, those that were only tried included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(u64);

/// The driver of a client, sans I/O.
#[derive(Debug)]
pub(crate) struct Core {
    options: Arc<ConnectOptions>,
    rng: Drbg,
    session: Option<Box<ClientSession>>,
    /// A temporary key is to be made as soon as a connection allows it.
    wants_temporary_key: bool,
    /// Nothing goes out under the permanent key until a temporary one has shown whether it is still good.
    is_key_doubtful: bool,
    /// A temporary key was made and is not bound yet.
    is_binding: bool,
    keys: KeyWork,
    race: Race,
    links: Vec<Link>,
    last_link: u64,
    sink: Sink,
    errands: VecDeque<Errand>,
    life: Life,
    /// Told when the first connection stands or will not.
    ready: Arc<Slot>,
    /// Told when the driver has ended; `None` once it has.
    closers: Option<Vec<Arc<Slot>>>,
    /// Since when there is no connection that works.
    down_since: MonoTime,
    /// `None` if there is no store to keep the state.
    store: Option<StoreSchedule>,
    connections: u64,
    /// Whether the connection in use leaves padding behind frames.
    tail: TransportTail,
    /// Over HTTP: when the requests were made that were not answered yet.
    polls: Option<VecDeque<MonoTime>>,
    turn: Turn,
    tally: Tally,
}

/// What may be done outside the driver's turn.
#[derive(Debug)]
struct Turn {
    /// Until when the driver will not ask by itself; `None` for ever.
    asleep_until: Option<MonoTime>,
    /// Something came in since the session last sent something.
    has_heard: bool,
    /// Calls since then.
    gathered: usize,
}

/// Calls that are worth a frame of their own: while it travels and is answered, the next ones are made.
const ENOUGH: usize = 16;

/// A connection.
#[derive(Debug)]
struct Link {
    id: LinkId,
    candidate: usize,
    stage: Stage,
    /// It has not taken all yet that was written.
    is_clogged: bool,
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

impl Core {
    /// Makes a driver that begins to dial with its first output. Without a key it makes one.
    pub(crate) fn new(
        options: Arc<ConnectOptions>,
        key: Option<KeyMaterial>,
        store: Option<StoreSchedule>,
        updates: Arc<UpdateQueue>,
        now: Now,
        rng: Drbg,
    ) -> Self {
        let race = Race::new(options.candidates.len(), options.backoff.clone(), options.timing.stagger);
        let life = Life::Starting {
            deadline: now.mono + options.timing.connect,
            attempts_left: options.backoff.first_attempts.max(1),
        };
        let mut core = Self {
            options,
            rng,
            session: None,
            wants_temporary_key: false,
            is_key_doubtful: false,
            is_binding: false,
            keys: KeyWork::default(),
            race,
            links: Vec::new(),
            last_link: 0,
            sink: Sink::new(updates),
            errands: VecDeque::new(),
            life,
            ready: Arc::default(),
            closers: Some(Vec::new()),
            down_since: now.mono,
            store,
            connections: 0,
            tail: TransportTail::None,
            polls: None,
            turn: Turn { asleep_until: Some(MonoTime::ZERO), has_heard: true, gathered: 0 },
            tally: Tally::default(),
        };
        if let Some(key) = key {
            core.start_session(key, now);
            core.keep_first_key(now);
        }
        if core.options.candidates.is_empty() {
            core.die(Arc::new(ConnectError::NoCandidates));
        }
        core
    }

    /// Returns who is to be told of calls that ended, once the core is nobody's any more.
    pub(crate) fn take_wakers(&mut self) -> Wakers {
        self.sink.take_wakers()
    }

    /// Returns what is told when the first connection stands, or will not.
    pub(crate) fn ready(&self) -> Arc<Slot> {
        Arc::clone(&self.ready)
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
            connections: self.connections,
            last_error: self.sink.link_error.clone(),
            store_error: self.store.as_ref().and_then(StoreSchedule::error),
            counters: session.map(|session| session.counters().clone()).unwrap_or_default(),
        }
    }

    /// Returns the state to be kept, as the store gets it.
    pub(crate) fn export(&self, now: Now) -> Option<Zeroizing<Vec<u8>>> {
        self.session.as_ref()?.export(now, &[])
    }

    fn start_session(&mut self, key: KeyMaterial, now: Now) {
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

    fn in_use(&self) -> Option<&Link> {
        self.links.iter().find(|link| matches!(link.stage, Stage::InUse { .. }))
    }

    /// Says whether the connection in use has shown that the datacenter is there.
    fn is_proven(&self) -> bool {
        self.links.iter().any(|link| matches!(link.stage, Stage::InUse { deadline: None }))
    }
}

/// Commands.
impl Core {
    /// Counts a call that was just accepted, and says whether it should go out at once: the first word after something was
    /// heard, or one of many. What follows gathers until the driver's turn, and shares a frame.
    pub(crate) const fn count_call(&mut self) -> bool {
        self.turn.gathered += 1;
        let is_enough = self.turn.gathered >= ENOUGH;
        if is_enough {
            self.turn.gathered = 0;
        }
        self.turn.has_heard || is_enough
    }

    /// Accepts a call; `send` gives it to the session.
    pub(crate) fn invoke(
        &mut self,
        now: Now,
        options: &InvokeOptions,
        send: impl FnOnce(&mut ClientSession, Now, SendOptions) -> Result<CallId, SendError>,
    ) -> Result<(Arc<Slot>, CallId), InvokeError> {
        match &self.life {
            Life::Over(Some(error)) => return Err(InvokeError::Connection(Arc::clone(error))),
            Life::Over(None) | Life::Closing { .. } => return Err(InvokeError::Closed),
            Life::Starting { .. } | Life::Running => {}
        }
        let Some(session) = self.session.as_deref_mut() else {
            return Err(InvokeError::Send(SendError::Terminated));
        };
        let options = SendOptions::default()
            .with_repeat(options.repeat)
            .with_packing(options.packing)
            .with_quick_ack(options.quick_ack)
            .with_timeout(options.timeout.or(self.options.timing.call));
        let call = send(session, now, options)?;
        let slot = Arc::<Slot>::default();
        self.sink.calls.insert(call, Arc::clone(&slot));
        Ok((slot, call))
    }

    /// Gives a call up whose caller has gone; says whether anything is to be sent.
    pub(crate) fn cancel(&mut self, call: CallId) -> bool {
        let is_known = self.sink.calls.remove(&call).is_some();
        if is_known && let Some(session) = self.session.as_deref_mut() {
            session.cancel(call);
            self.drain_events();
        }
        is_known
    }

    /// Makes a new connection beside the one in use, which it replaces once it is proven. If there is none, the next
    /// attempt need not wait.
    pub(crate) fn refresh(&mut self, now: Now) {
        if self.links.is_empty() {
            self.race.end_pause();
        }
        if self.in_use().is_some() && !self.race.is_open() && matches!(self.life, Life::Running) {
            self.race.begin(now.mono);
        }
    }
}
