//! The part of a server that all of its connections share.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chappe_carrier::lock;
use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKeyId, hash};
use chappe_framing::{
    FrameBuf, MsgId, MsgIdGenerator, MsgOrigin, Opened, SessionId, TransportTail, UnixTime,
};
use chappe_handshake::bind::{BindContext, BindError, BindTempAuthKey};
use chappe_handshake::{
    FrameStep, PeerId, QueryRefusal, QueryReply, ServerHandshakes, ServerOptionsError, Work,
};
use chappe_session::server::{MessageCheck, SaltSchedule, ServerSession};
use chappe_session::{BadMsgCode, MonoTime, Now};
use rand_core::Rng as _;
use zeroize::Zeroizing;

use crate::Budgets;
use crate::connection::{ServerConnection, caught};
use crate::counters::add;
use crate::detached::{Detached, DetachedSessions};
use crate::directory::EngineDirectory;
use crate::engine_counters::{EngineCounters, Refusals};
use crate::engine_options::EngineOptions;
use crate::event::ServerEvent;
use crate::fleet::EngineFleet;
use crate::handler::{Context, Handler};
use crate::handshake_queue::{HandshakeQueue, Task};
use crate::inflation::Inflation;
use crate::key_table::Keys;
use crate::keys::{KeyState, KeyStatus};
use crate::metrics::{Activity, ServerMetrics};
use crate::observed::Observed;
use crate::replies::Replies;
use crate::session::{Attached, Waker};
use crate::unacked::{Total, Unacked};

/// How long the salt of the handshake is accepted: as long as any other salt.
const FIRST_SALT_LIFETIME: Duration = Duration::from_secs(3600);

/// How far ids run ahead of the clock at most while it is not set back: they grow by nanoseconds.
const AHEAD: Duration = Duration::from_secs(1);

/// Bytes that one packed byte can unpack to at most, by the format of deflate.
const MAX_RATIO: usize = 1032;

/// Why a frame has no session.
pub(crate) enum NoSession {
    /// The frame cannot begin one. The session writes the complaint about the frame, and is not kept.
    Refused(Box<ServerSession>, BadMsgCode),
    /// All sessions that the key may have are in use.
    TooMany,
    /// Another process of the fleet owns it since.
    Lost,
}

/// What became of a plain frame.
pub(crate) enum Handled {
    /// The answer is in the buffer.
    Answered,
    /// The answer comes later, through the connection's [`Replies`].
    Queued,
    Refused(QueryRefusal),
}

/// The keys, handshakes and sessions of a server, and the handler of its queries.
pub struct Engine {
    options: EngineOptions,
    handshakes: Mutex<ServerHandshakes>,
    handshake_queue: HandshakeQueue,
    keys: Mutex<Keys>,
    directory: Option<EngineDirectory>,
    fleet: Option<EngineFleet>,
    /// Those of the options: every session has them.
    budgets: Arc<Budgets>,
    detached: Mutex<DetachedSessions>,
    unacked: Total,
    inflation: Inflation,
    refusals: Refusals,
    observed: Arc<Observed>,
    salts: SaltSchedule,
    /// Each session begins above the last of these, and so does each complaint about a frame without a session: it is all that is
    /// kept of it.
    first_ids: Mutex<MsgIdGenerator>,
    handler: Box<dyn Handler>,
    /// Secret of the hash that networks are counted by.
    network_secret: Zeroizing<[u8; 32]>,
    connections: AtomicU64,
    rng: Mutex<Drbg>,
}

impl Engine {
    /// Makes an engine whose queries `handler` answers.
    ///
    /// # Errors
    ///
    /// The options of the handshake are contradictory.
    pub fn new(
        options: EngineOptions,
        handler: impl Handler,
        rng: &mut Drbg,
    ) -> Result<Arc<Self>, ServerOptionsError> {
        let secret = options.salt_secret.unwrap_or_else(|| {
            let mut secret = [0; 32];
            rng.fill_bytes(&mut secret);
            secret
        });
        let derived = |label: &[u8]| hash::hmac_sha256(&secret, &[label]);
        let handshakes = ServerHandshakes::new(options.handshake.clone())?;
        let handshakes = handshakes.with_first_step_secret(derived(b"first step of handshakes"));
        Ok(Arc::new(Self {
            handshakes: Mutex::new(handshakes),
            handshake_queue: HandshakeQueue::default(),
            network_secret: Zeroizing::new(derived(b"networks")),
            budgets: Arc::new(options.budgets),
            directory: options.directory.clone().map(EngineDirectory::new),
            fleet: options.fleet.clone().map(|fleet| EngineFleet::new(fleet, rng.fork())),
            options,
            keys: Mutex::default(),
            detached: Mutex::default(),
            unacked: Total::default(),
            inflation: Inflation::default(),
            refusals: Refusals::default(),
            observed: Arc::default(),
            salts: SaltSchedule::new(secret),
            first_ids: Mutex::default(),
            handler: Box::new(handler),
            connections: AtomicU64::new(0),
            rng: Mutex::new(rng.fork()),
        }))
    }

    /// Returns the options.
    pub const fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Returns what was refused since the start.
    pub fn counters(&self) -> EngineCounters {
        self.refusals.read()
    }

    /// Reads the clock, where no driver passes the time.
    pub(crate) fn clock_time(&self) -> MonoTime {
        self.options.clock.now().mono
    }

    /// Makes a secret that clients cannot guess.
    pub(crate) fn random_secret(&self) -> Zeroizing<[u8; 32]> {
        let mut secret = Zeroizing::new([0; 32]);
        lock(&self.rng).fill_bytes(&mut secret[..]);
        secret
    }

    pub(crate) const fn directory(&self) -> Option<&EngineDirectory> {
        self.directory.as_ref()
    }

    pub(crate) const fn fleet(&self) -> Option<&EngineFleet> {
        self.fleet.as_ref()
    }

    pub(crate) const fn key_table(&self) -> &Mutex<Keys> {
        &self.keys
    }

    pub(crate) const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Returns what the server has done since the start, and what it holds now.
    pub fn metrics(&self) -> ServerMetrics {
        let keys = lock(&self.keys).len();
        self.observed.activity.read(self.counters(), keys)
    }

    pub(crate) fn activity(&self) -> &Activity {
        &self.observed.activity
    }

    /// Reports an event to the application. Call it while no lock is held.
    pub(crate) fn note_event(&self, event: ServerEvent) {
        let activity = &self.observed.activity;
        match &event {
            ServerEvent::KeyMade { expires_at: None, .. } => add(&activity.permanent_keys_made, 1),
            ServerEvent::KeyMade { .. } => add(&activity.temporary_keys_made, 1),
            ServerEvent::KeyBound { .. } => add(&activity.keys_bound, 1),
            ServerEvent::LoginMoved { .. } => add(&activity.logins_moved, 1),
            ServerEvent::SessionBegan { .. } | ServerEvent::SessionEnded { .. } => {}
        }
        self.observed.events.push(event);
        self.deliver_events();
    }

    /// Reports the events since the last call to the application. Call it while no lock is held.
    pub(crate) fn deliver_events(&self) {
        while let Some(event) = self.observed.events.pop() {
            if caught(|| self.handler.event(&event)).is_none() {
                add(&self.refusals.panics, 1);
            }
        }
    }

    /// Ends sessions that had no connection for too long. The listeners call it a few times a minute; so does each end of
    /// a connection.
    pub fn handle_timeout(&self, now: Now) {
        loop {
            let ended = lock(&self.detached).pop(now.mono, self.options.budgets.detached_session);
            let Some(Detached { key, session, .. }) = ended else { return self.deliver_events() };
            if let Some(key) = self.key(key, now.unix) {
                key.end_session_detached_for(session, now.mono, self.options.budgets.detached_session);
            }
        }
    }

    /// Notes that a session lost its last connection.
    pub(crate) fn note_detached(&self, key: AuthKeyId, session: SessionId, now: Now) {
        let first = lock(&self.detached).push(key, session, now.mono);
        if let Some(Detached { key, session, .. }) = first
            && let Some(key) = self.key(key, now.unix)
        {
            key.end_session_detached_for(session, now.mono, Duration::ZERO);
        }
        self.handle_timeout(now);
    }

    /// Starts a connection. `waker` is called, from any thread, when there is output that no input of this connection caused.
    pub fn connect(
        self: &Arc<Self>,
        peer: SocketAddr,
        tail: TransportTail,
        waker: impl Fn() + Send + Sync + 'static,
    ) -> ServerConnection {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let peer = self.network_of(peer.ip());
        let waker: Waker = Arc::new(waker);
        ServerConnection::new(Arc::clone(self), number, peer, tail, waker)
    }

    /// Returns a key that this process holds. Its [directory](crate::directory) may have others.
    pub fn key(&self, id: AuthKeyId, now: UnixTime) -> Option<Arc<KeyState>> {
        lock(&self.keys).get(id, now)
    }

    /// Returns all keys that this process holds.
    pub fn keys(&self) -> Vec<Arc<KeyState>> {
        lock(&self.keys).all()
    }

    /// Adds a key that was made elsewhere. If there are too many, the one not used for longest makes room. The key is not
    /// added to the directory.
    pub fn add_key(&self, key: KeyState) {
        lock(&self.keys).insert(Arc::new(key), &self.options.budgets);
    }

    /// Keeps a key until it is forgotten or ends, however many others are used. Returns whether there is one of this id.
    ///
    /// Pin the permanent keys that users have logged in with: keys that are not pinned make room for others.
    pub fn pin_key(&self, id: AuthKeyId) -> bool {
        lock(&self.keys).pin(id)
    }

    /// Lets a pinned key make room again. Returns whether there is a pinned key of this id.
    pub fn unpin_key(&self, id: AuthKeyId) -> bool {
        lock(&self.keys).unpin(id, &self.options.budgets)
    }

    /// Removes a key and its sessions, and schedules its removal from the directory. Returns whether this process held
    /// it.
    pub fn forget_key(self: &Arc<Self>, id: AuthKeyId) -> bool {
        self.forget_stored(id, |_| ());
        self.drop_key(id)
    }

    /// Removes a key from this process.
    pub(crate) fn drop_key(&self, id: AuthKeyId) -> bool {
        let existed = lock(&self.keys).forget(id);
        self.deliver_events();
        existed
    }

    /// Removes the temporary keys that are bound to a permanent one, except some, and their sessions. Schedules the removal of
    /// those that other processes know. Returns how many this process held.
    pub fn drop_temporary_keys(
        self: &Arc<Self>,
        permanent: AuthKeyId,
        except: &[AuthKeyId],
        now: UnixTime,
    ) -> usize {
        self.forget_stored_temporary(permanent, except.to_vec());
        let Some(permanent) = self.key(permanent, now) else { return 0 };
        let bound = permanent.take_bound(|id| !except.contains(&id));
        bound.into_iter().filter(|id| self.forget_key(*id)).count()
    }

    /// Removes a session whose client leaves too much unacknowledged, and wakes its connection.
    pub(crate) fn end_session(&self, key: &KeyState, session: &Attached, query: MsgId) {
        add(&self.refusals.unacked, 1);
        let last = session.lock().session.last_received().unwrap_or(query);
        key.end_session(session.session_id(), last);
        session.wake();
        self.deliver_events();
    }

    /// Makes every temporary key expire.
    pub fn expire_temporary_keys(&self) {
        lock(&self.keys).forget_temporary();
        self.deliver_events();
    }

    /// Networks are only counted, so a keyed hash is kept instead of them.
    fn network_of(&self, address: IpAddr) -> PeerId {
        let mac = match self.options.networks.of(address) {
            IpAddr::V4(v4) => hash::hmac_sha256(&self.network_secret[..], &[&v4.octets()]),
            IpAddr::V6(v6) => hash::hmac_sha256(&self.network_secret[..], &[&v6.octets()]),
        };
        let [a, b, c, d, e, f, g, h, ..] = mac;
        PeerId(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Answers a plain frame into `out`, or queues the work that its answer needs. `replies` returns where the answer goes
    /// then.
    pub(crate) fn handshake(
        self: &Arc<Self>,
        now: Now,
        peer: PeerId,
        frame: &[u8],
        out: &mut FrameBuf,
        rng: &mut Drbg,
        replies: impl FnOnce() -> Arc<Replies>,
    ) -> Handled {
        // The lock is held for microseconds: RSA and Diffie-Hellman come after it.
        let step = lock(&self.handshakes).begin_frame(now, peer, frame, out, rng);
        let work = match step {
            FrameStep::Answer => return Handled::Answered,
            FrameStep::Refuse(refusal) => return Handled::Refused(refusal),
            FrameStep::Work(work) => work,
        };
        if self.handshake_queue.has_workers() {
            let replies = replies();
            replies.expect();
            if !self.handshake_queue.push(Task { work, replies }, &self.options.budgets) {
                add(&self.refusals.handshakes_queued, 1);
            }
            return Handled::Queued;
        }
        match self.do_work(now, work, out, rng) {
            Ok(None) => Handled::Answered,
            Ok(Some(state)) => {
                let replies = replies();
                replies.expect();
                self.store_made(state, core::mem::take(out), replies);
                Handled::Queued
            }
            Err(refusal) => Handled::Refused(refusal),
        }
    }

    pub(crate) const fn handshake_queue(&self) -> &HandshakeQueue {
        &self.handshake_queue
    }

    /// Does queued work. Returns whether there was some.
    pub(crate) fn work(self: &Arc<Self>, now: Now, rng: &mut Drbg) -> bool {
        let Some(Task { work, replies }) = self.handshake_queue.pop() else {
            return false;
        };
        let mut out = FrameBuf::new();
        match self.do_work(now, work, &mut out, rng) {
            Ok(None) => replies.answer(out),
            Ok(Some(state)) => self.store_made(state, out, replies),
            Err(refusal) => {
                tracing::debug!(%refusal, "handshake refused");
                add(&self.refusals.handshakes, 1);
                replies.end(refusal.code);
            }
        }
        true
    }

    /// Does the work of a handshake and writes the answer into `out`. Returns a key that must be stored before the answer
    /// is sent.
    fn do_work(
        &self,
        now: Now,
        work: Work,
        out: &mut FrameBuf,
        rng: &mut Drbg,
    ) -> Result<Option<KeyState>, QueryRefusal> {
        let peer = work.peer();
        let begun = self.clock_time();
        let done = work.run(rng);
        let took = self.clock_time().since(begun);
        self.observed.activity.handshake_seconds.record(took.as_secs_f64());
        match lock(&self.handshakes).finish(now, done, out) {
            QueryReply::Answer => Ok(None),
            QueryReply::Refuse(refusal) => Err(refusal),
            QueryReply::Key(candidate) => {
                let mut keys = lock(&self.keys);
                if keys.contains(candidate.auth_key().id()) {
                    candidate.retry();
                    return Ok(None);
                }
                let created = candidate.accept();
                let salt_until = now.unix.saturating_add(FIRST_SALT_LIFETIME);
                let state = KeyState::created(created, salt_until, peer);
                if let Some(directory) = &self.directory {
                    return Ok(Some(state.about_to_be_stored(directory.unused_until(now.unix), now.unix)));
                }
                let state = Arc::new(state);
                keys.insert_unused(Arc::clone(&state), &self.options.budgets);
                drop(keys);
                self.note_made(&state);
                Ok(None)
            }
        }
    }

    /// Returns the session that a frame belongs to. A fresh frame begins it.
    ///
    /// No other frame makes a session: an attacker who repeats recorded frames would otherwise evict sessions in use.
    pub(crate) fn session(
        &self,
        now: Now,
        key: &KeyState,
        opened: &Opened<'_>,
        rng: &mut Drbg,
    ) -> Result<Attached, NoSession> {
        if let Some(known) = key.session(opened.session_id()) {
            return Ok(known);
        }
        if self.fleet.is_some() && self.directory.is_some() {
            // Sessions of a fleet are claimed first. This one was lost since.
            return self.refused(now, key, opened);
        }
        let session = self.new_session(now, key, opened.session_id(), rng.next_u64().cast_signed());
        match session.check(now, opened) {
            MessageCheck::Refused(code) => Err(NoSession::Refused(Box::new(session), code)),
            MessageCheck::Fresh if key.may_begin_session(opened.msg_id()) => {
                if !key.spend_session(now.mono, &self.budgets) {
                    return Err(NoSession::TooMany);
                }
                let attached = self.attach(session, key);
                let kept = key.keep_session(attached.clone(), self.budgets.sessions_per_key);
                let kept = kept.ok_or(NoSession::TooMany)?;
                if kept.is_same(&attached) {
                    self.observed.note_session_begun(&kept);
                }
                self.deliver_events();
                Ok(kept)
            }
            // A session that is gone may have executed it.
            MessageCheck::Fresh | MessageCheck::Duplicate => {
                Err(NoSession::Refused(Box::new(session), BadMsgCode::TooOld))
            }
        }
    }

    /// Makes a session whose messages have higher ids than all that were sent before in sessions that were not kept.
    pub(crate) fn new_session(
        &self,
        now: Now,
        key: &KeyState,
        id: SessionId,
        unique_id: i64,
    ) -> ServerSession {
        let mut ids = lock(&self.first_ids);
        // Ids go on after the last one, unless the clock was set back since: a client takes no message from the future.
        if ids.last().is_some_and(|last| last.time().saturating_since(now.unix) > AHEAD) {
            *ids = MsgIdGenerator::new();
        }
        let last = ids.next(now.unix, MsgOrigin::Notification);
        drop(ids);
        self.session_of(key, id, unique_id).with_ids_after(last)
    }

    /// Returns what a session makes of a frame that would begin it.
    pub(crate) fn probe(&self, now: Now, key: &KeyState, opened: &Opened<'_>) -> MessageCheck {
        self.session_of(key, opened.session_id(), 0).check(now, opened)
    }

    /// Returns the complaint about a frame that cannot begin a session.
    fn refused(&self, now: Now, key: &KeyState, opened: &Opened<'_>) -> Result<Attached, NoSession> {
        let session = self.new_session(now, key, opened.session_id(), 0);
        match session.check(now, opened) {
            MessageCheck::Refused(code) => Err(NoSession::Refused(Box::new(session), code)),
            MessageCheck::Fresh | MessageCheck::Duplicate => Err(NoSession::Lost),
        }
    }

    /// Returns whether a body must be looked into for packed objects: some network has unpacked something lately.
    pub(crate) fn watches_inflation(&self) -> bool {
        !self.inflation.is_idle()
    }

    /// Returns whether packed objects may come from a network.
    pub(crate) fn may_inflate(&self, network: PeerId, now: Now) -> bool {
        self.inflation.allows(network, now.mono, &self.budgets)
    }

    /// Returns how many bytes an object of `len` bytes may have unpacked to before it was refused.
    pub(crate) fn most_inflated(&self, len: usize) -> u64 {
        self.options.session.unpacked_bytes.min(len.saturating_mul(MAX_RATIO)) as u64
    }

    /// Counts what packed objects unpacked to.
    pub(crate) fn spend_inflated(&self, key: &KeyState, network: PeerId, bytes: u64, now: Now) {
        key.spend_inflated(bytes, now.mono, &self.budgets);
        self.inflation.spend(network, bytes, now.mono, &self.budgets);
    }

    pub(crate) fn attach(&self, session: ServerSession, key: &KeyState) -> Attached {
        let unacked = Unacked::new(Arc::clone(key.unacked()), Arc::clone(&self.unacked));
        Attached::new(session, Arc::clone(key.life()), unacked, &self.budgets, Arc::clone(&self.observed))
    }

    /// Reports a session that began here to the application.
    pub(crate) fn note_begun(&self, session: &Attached) {
        self.observed.note_session_begun(session);
        self.deliver_events();
    }

    fn session_of(&self, key: &KeyState, id: SessionId, unique_id: i64) -> ServerSession {
        let (config, auth_key) = (self.options.session.clone(), key.auth_key().clone());
        let session = ServerSession::new(config, auth_key, id, self.salts.clone(), unique_id);
        match key.first_salt() {
            Some((salt, until)) => session.with_first_salt(salt, until),
            None => session,
        }
    }

    pub(crate) fn bind(
        self: &Arc<Self>,
        context: &Context<'_>,
        request: &BindTempAuthKey,
    ) -> Result<(), BindError> {
        let now = context.now.unix;
        if context.key.is_stored() {
            return Err(BindError::TempAuthKeyEmpty);
        }
        let (key_expires_at, bound_to) = match context.key.kind() {
            KeyStatus::Permanent => (None, None),
            KeyStatus::Temporary { expires_at, bound_to } => (Some(expires_at), bound_to),
        };
        let named = self.key(AuthKeyId::from_raw(request.perm_auth_key_id), now);
        let permanent = named.filter(|key| key.kind() == KeyStatus::Permanent);
        let bound = request.verify(
            now,
            &BindContext {
                msg_id: context.msg_id,
                session_id: context.session_id(),
                key_id: context.key.auth_key().id(),
                key_expires_at,
                bound_to,
                permanent: permanent.as_ref().map(|key| key.auth_key()),
            },
        )?;
        // Another request may have bound it since the check.
        if !context.key.bind_to(bound) {
            return Err(BindError::TempAuthKeyAlreadyBound);
        }
        self.note_bound(context.key.auth_key().id(), permanent.as_ref(), bound, now);
        Ok(())
    }

    /// Notes that a temporary key was bound to a permanent one. A client may never use that for anything else.
    pub(crate) fn note_bound(
        self: &Arc<Self>,
        temporary: AuthKeyId,
        permanent: Option<&Arc<KeyState>>,
        bound: AuthKeyId,
        now: UnixTime,
    ) {
        self.touch(bound, now);
        if let Some(permanent) = permanent {
            permanent.note_bound(temporary, |id| lock(&self.keys).contains(id));
            self.store_use(permanent);
        }
        self.note_event(ServerEvent::KeyBound { temporary, permanent: bound });
    }

    /// Reports a key that a client has made to the application.
    pub(crate) fn note_made(&self, key: &KeyState) {
        let (key_id, expires_at) = (key.auth_key().id(), key.kind().expires_at());
        self.note_event(ServerEvent::KeyMade { key_id, expires_at, dc: key.dc() });
    }

    /// Notes that a client has proved that it has a key.
    pub(crate) fn note_use(self: &Arc<Self>, key: &Arc<KeyState>, now: UnixTime) {
        if key.is_stored() {
            self.store_use(key);
            self.recheck(key, now);
        }
        if key.note_use(now) {
            let id = key.auth_key().id();
            self.touch(id, now);
            if let Some(permanent) = key.permanent_id().filter(|permanent| *permanent != id) {
                self.touch(permanent, now);
            }
        }
    }

    fn touch(&self, id: AuthKeyId, now: UnixTime) {
        lock(&self.keys).touch(id, now, &self.options.budgets);
    }

    pub(crate) fn handler(&self) -> &dyn Handler {
        self.handler.as_ref()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("options", &self.options).finish_non_exhaustive()
    }
}
