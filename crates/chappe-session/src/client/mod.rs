//! The session of a client: everything between calls and encrypted frames.
//!
//! [`ClientSession`] does no I/O. Its methods are of four kinds:
//!
//! - **getters**;
//! - **input**: [`handle_connected`](ClientSession::handle_connected),
//!   [`handle_frame`](ClientSession::handle_frame),
//!   [`handle_transport_error`](ClientSession::handle_transport_error),
//!   [`handle_quick_ack`](ClientSession::handle_quick_ack),
//!   [`handle_disconnected`](ClientSession::handle_disconnected),
//!   [`handle_timeout`](ClientSession::handle_timeout);
//! - **commands**: [`send`](ClientSession::send), [`cancel`](ClientSession::cancel),
//!   [`install_temporary_key`](ClientSession::install_temporary_key), …;
//! - **output**: [`poll_transmit`](ClientSession::poll_transmit) until it gives `None`,
//!   [`poll_timeout`](ClientSession::poll_timeout), [`events`](ClientSession::events).
//!
//! After each input or command the caller drains the output, in that order. A session belongs to a key
//! and a run of the application, not to a connection: connections come and go beneath it.

mod binding;
mod call;
mod commands;
mod complaints;
mod config;
mod driving;
mod epoch;
mod error;
mod event;
mod input;
mod keys;
mod load;
mod outbox;
mod receive;
mod recovery;
mod renewal;
mod results;
mod sent;
mod service_queue;
mod state;
mod states;
mod timers;
mod transmit;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::{
    AcceptedFormat, Deflater, Inflater, MsgId, MsgIdGenerator, ServerSalt, SessionId, TransportTail,
};

pub use crate::Transmit;
pub use call::{CallId, Packing, Repeat, SendOptions};
pub use config::{
    ClientConfig, ClientInfo, ClockTrust, ForwardSecrecy, InitConnection, KeyMaterial, TemporaryKey,
};
pub use error::{ReceiveError, SendError};
pub use event::{AuthorizationTrouble, CallFailure, DropOutcome, Event, Events, ReconnectReason};
pub use state::{SavedState, StateError};

use crate::clock::ServerClock;
use crate::counters::Counters;
use crate::liveness::{Liveness, LivenessPolicy};
use crate::rare::Rare;
use crate::salts::{SaltTable, TimedSalt};
use crate::service::HttpWait;
use crate::time::{MonoTime, Now};
use call::Stage;
use epoch::{Epoch, Role};
use event::EventLog;
use outbox::Outbox;
use sent::SentLog;
use service_queue::ServiceQueue;

/// Seconds before a salt ends at which the next ones are asked for.
const SALT_MARGIN: i64 = 60;

/// Least time between two requests for salts.
const SALT_PAUSE: Duration = Duration::from_secs(60);

/// A client's session, sans I/O. See the [module](self) for the order of calls.
///
/// ```
/// use chappe_crypto::rng::Drbg;
/// use chappe_session::client::{ClientConfig, ClientSession, KeyMaterial, SendOptions};
/// use chappe_session::{FrameBuf, MonoTime, Now, TransportTail, UnixTime};
///
/// let mut rng = Drbg::from_seed([1; 32]);
/// let now = Now::new(MonoTime::ZERO, UnixTime::from_secs(1_707_425_104));
/// let key = KeyMaterial::from_handshake([7; 256], 42, 0, 1_707_425_104);
/// let mut session = ClientSession::new(ClientConfig::default(), key, now);
///
/// session.handle_connected(now, TransportTail::None);
/// let get_config = 0xc4f9_186b_u32.to_le_bytes();
/// let call = session.send_bytes(now, &get_config, SendOptions::default())?;
/// let mut frame = FrameBuf::new();
/// while session.poll_transmit(now, &mut rng, &mut frame).is_some() {
///     // frame.as_slice() goes to the transport.
/// }
/// assert!(session.is_pending(call));
/// # Ok::<(), chappe_session::client::SendError>(())
/// ```
pub struct ClientSession {
    config: Arc<ClientConfig>,
    /// The permanent key, if it is not the one in use.
    permanent: Option<AuthKey>,
    permanent_created_at: i64,
    /// The key and session that packets are sent under.
    current: Option<Box<Epoch>>,
    /// The key before, whose answers are still taken.
    previous: Option<Box<Epoch>>,
    clock: ServerClock,
    live: Liveness,
    /// Takes the place of the policy in the configuration.
    policy: Option<Box<LivenessPolicy>>,
    link: Link,
    ids: MsgIdGenerator,
    sent: SentLog,
    outbox: Rare<Outbox>,
    service: Rare<ServiceQueue>,
    /// Calls accepted so far: the generation of the next.
    calls: u32,
    /// A call in the packet being made asks for a quick acknowledgement.
    wants_quick_ack: bool,
    events: Rare<EventLog>,
    inflater: Option<Box<Inflater>>,
    deflater: Option<Box<Deflater>>,
    counters: Counters,
    /// New sessions without an answer in between (SEC-86).
    resets: u8,
    /// `bad_msg_notification`s without an answer in between.
    complaints: u8,
    /// Signs of trouble with the key in a row.
    key_signs: u8,
    key_wanted_at: Option<MonoTime>,
    /// Counts the sessions, so that nothing is asked about messages of another one.
    era: u32,
    http: Option<HttpWait>,
    terminated: bool,
}

/// The connection beneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Up { tail: TransportTail },
}

/// Making a session, and getters.
impl ClientSession {
    /// Starts a session under a key. It waits for [`handle_connected`](Self::handle_connected).
    ///
    /// The configuration may be shared: sessions that are given clones of one `Arc` keep it once.
    pub fn new(config: impl Into<Arc<ClientConfig>>, key: KeyMaterial, now: Now) -> Self {
        let config = config.into();
        let clock = match key.clock {
            ClockTrust::Guess => ServerClock::unsynchronized(now, key.time_offset),
            ClockTrust::Measured => ServerClock::synchronized(now, key.time_offset),
        };
        let (permanent, current) = match config.forward_secrecy {
            ForwardSecrecy::On => (Some(key.auth_key), None),
            ForwardSecrecy::Off => {
                let salts = SaltTable::from_salts(key.salts, config.limits.salts);
                let epoch = Epoch::new(key.auth_key, salts, Role::Permanent, &config.limits);
                (None, Some(Box::new(epoch)))
            }
        };
        Self {
            live: Liveness::new(now.mono),
            policy: None,
            config,
            permanent,
            permanent_created_at: key.created_at,
            current,
            previous: None,
            clock,
            link: Link::Down,
            ids: MsgIdGenerator::new(),
            sent: SentLog::new(),
            outbox: Rare::new(),
            service: Rare::new(),
            calls: 0,
            wants_quick_ack: false,
            events: Rare::new(),
            inflater: None,
            deflater: None,
            counters: Counters::default(),
            resets: 0,
            complaints: 0,
            key_signs: 0,
            key_wanted_at: None,
            era: 0,
            http: None,
            terminated: false,
        }
    }

    /// Returns the id of the key that packets are sent under; `None` while a temporary key is missing.
    pub fn auth_key_id(&self) -> Option<AuthKeyId> {
        self.current.as_ref().map(|epoch| epoch.key.id())
    }

    /// Returns the `session_id`; `None` until the first packet draws one.
    pub fn session_id(&self) -> Option<SessionId> {
        self.current.as_ref().and_then(|epoch| epoch.session_id)
    }

    /// Returns the salt in use.
    pub fn server_salt(&mut self, now: Now) -> Option<ServerSalt> {
        let seconds = self.clock.seconds(now.mono);
        self.current.as_mut().map(|epoch| epoch.salts.current(seconds))
    }

    /// Returns the salts known, the one in use first.
    pub fn salts(&self) -> &[TimedSalt] {
        self.current.as_ref().map_or(&[], |epoch| epoch.salts.as_slice())
    }

    /// Returns what must be added to the local clock to get the server's time, in seconds.
    pub fn time_offset(&self, now: Now) -> i32 {
        self.clock.offset_seconds(now)
    }

    /// Returns the server's clock.
    pub const fn clock(&self) -> &ServerClock {
        &self.clock
    }

    /// Returns when to ping and when to give up.
    pub fn liveness(&self) -> &LivenessPolicy {
        self.policy.as_deref().unwrap_or(&self.config.liveness)
    }

    /// Returns the smoothed round trip of pings.
    pub fn rtt(&self) -> Option<Duration> {
        self.live.rtt()
    }

    /// Returns the counters.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the number of calls that have not ended.
    pub fn pending_calls(&self) -> usize {
        self.outbox.pending()
    }

    /// Tells whether a call has not ended.
    pub fn is_pending(&self, call: CallId) -> bool {
        self.outbox.get(call).is_some()
    }

    /// Returns the `msg_id` a call was last sent under; `None` if it has ended or was not sent yet.
    pub fn msg_id(&self, call: CallId) -> Option<MsgId> {
        self.outbox.get(call).map(|slot| slot.msg_id).filter(|msg_id| msg_id.to_raw() != 0)
    }

    /// Tells whether the session has ended for good.
    pub const fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// Tells whether a connection is up.
    pub const fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }
}

impl Drop for ClientSession {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        if let Some(events) = self.events.present_mut() {
            events.scratch.zeroize();
        }
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("auth_key_id", &self.auth_key_id())
            .field("link", &self.link)
            .field("pending", &self.outbox.pending())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "made when the first packed answer comes, and large")]
fn new_inflater() -> Box<Inflater> {
    Box::new(Inflater::new(AcceptedFormat::Gzip))
}

fn is_sent(stage: Stage) -> bool {
    matches!(stage, Stage::Sent | Stage::Acked | Stage::Uncertain)
}
