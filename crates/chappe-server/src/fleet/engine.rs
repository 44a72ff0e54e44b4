//! What an engine does in a fleet.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_crypto::AuthKeyId;
use chappe_crypto::rng::Drbg;
use chappe_framing::{MsgId, Opened};
use chappe_handshake::PeerId;
use chappe_session::server::{MessageCheck, Unacked};
use chappe_session::{MonoTime, Now};
use rand_core::Rng as _;

use super::entry::Entry;
use super::{Claim, ClaimRequest, Fleet, FleetEvent, Membership, Ownership, ProcessId, SessionName};
use crate::Engine;
use crate::directory::{DirectoryError, DirectoryFuture, Gate, LookUpGuard, LookUpStart, LookUps, Outcome};
use crate::keys::KeyState;
use crate::session::{Attached, Waker};

/// The fleet of an engine, and the sessions that this process owns.
pub(crate) struct EngineFleet {
    pub(crate) options: Fleet,
    member: Mutex<Member>,
    owned: Mutex<HashMap<SessionName, Owned>>,
    claims: Mutex<LookUps<SessionName>>,
    is_running: AtomicBool,
    is_leaving: AtomicBool,
    /// Makes ids.
    rng: Mutex<Drbg>,
}

/// This process, as the others know it.
#[derive(Clone, Copy)]
struct Member {
    process: ProcessId,
    /// Until when it surely has its lease.
    until: MonoTime,
}

/// A session that this process owns.
#[derive(Clone)]
struct Owned {
    key: Arc<KeyState>,
    attached: Attached,
    ownership: Arc<Ownership>,
    /// When another process asked for it.
    wanted_at: Option<MonoTime>,
}

/// What becomes of a frame in a fleet.
pub(crate) enum Admission {
    /// This process owns the session, or the frame changes nothing.
    Go,
    /// The session is claimed.
    Waiting(Arc<Gate>),
    /// Too many claims are under way.
    Refused,
    /// The store is out of reach.
    Failed,
}

/// How often a process looks whether the queries of a session are done that another one wants.
const HAND_OVER_PAUSE: Duration = Duration::from_millis(20);

/// Claims at the same time, and those of one network, as for look-ups of keys.
const CLAIMS: crate::directory::Limits = crate::directory::Limits { all: 4096, of_network: 1024 };

impl EngineFleet {
    pub(crate) fn new(options: Fleet, mut rng: Drbg) -> Self {
        let member = Member { process: ProcessId(rng.next_u64()), until: MonoTime::ZERO };
        Self {
            options,
            member: Mutex::new(member),
            owned: Mutex::default(),
            claims: Mutex::default(),
            is_running: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            rng: Mutex::new(rng),
        }
    }

    fn is_member(&self, now: MonoTime) -> bool {
        now < lock(&self.member).until
    }

    fn process(&self) -> ProcessId {
        lock(&self.member).process
    }

    /// Gives up all sessions, and makes this another process: its lease has ended.
    fn lose_all(&self) {
        let owned: Vec<_> = lock(&self.owned).drain().collect();
        if !owned.is_empty() {
            tracing::warn!(sessions = owned.len(), "sessions given up: the lease of this process has ended");
        }
        for (name, owned) in owned {
            owned.ownership.lose();
            owned.end(name);
        }
        let process = ProcessId(lock(&self.rng).next_u64());
        *lock(&self.member) = Member { process, until: MonoTime::ZERO };
    }

    /// Gives a session up. Returns what its client has not acknowledged, and the last message that was received, or `None` if
    /// the session is kept or was lost before.
    fn give_up(&self, name: SessionName, queries: Queries) -> Option<(Vec<Unacked>, Option<MsgId>)> {
        let mut all = lock(&self.owned);
        let owned = all.get(&name)?;
        let handed_over = {
            // With the session locked: a query that a connection reads now is either seen here, or refused there.
            let mut inner = owned.attached.lock();
            if queries == Queries::Finish && inner.session.running_queries() > 0 {
                return None;
            }
            let floor = inner.session.last_received().max(owned.ownership.floor());
            owned.ownership.lose().then(|| (inner.session.take_unacked(), floor))
        };
        let owned = all.remove(&name)?;
        drop(all);
        owned.end(name);
        handed_over
    }

    fn has_wanted(&self) -> bool {
        lock(&self.owned).values().any(|owned| owned.wanted_at.is_some())
    }
}

/// What becomes of the queries that run when a session is to be handed over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queries {
    /// The session stays until they are answered.
    Finish,
    /// Their answers are lost: the next owner answers [`QUERY_OUTCOME_UNKNOWN`](super).
    Abandon,
}

impl Owned {
    /// Stops to work on a session whose ownership was lost.
    fn end(&self, name: SessionName) {
        self.key.remove_session(name.session, &self.attached);
        self.attached.end();
        // Its connection ends, so that the client comes again.
        self.attached.wake();
    }
}

/// Frames.
impl Engine {
    /// Decides whether a frame may be handled here. `waker` is called once it may.
    ///
    /// Only a fresh frame claims a session: anyone can send a recorded one again, and it must not take the session from its
    /// owner.
    pub(crate) fn admit(
        self: &Arc<Self>,
        now: Now,
        network: PeerId,
        key: &Arc<KeyState>,
        opened: &Opened<'_>,
        waker: &Waker,
    ) -> Admission {
        let (Some(fleet), Some(directory)) = (self.fleet(), self.directory()) else { return Admission::Go };
        let known = key.session(opened.session_id());
        let covers =
            |attached: &Attached| attached.ownership().is_some_and(|own| own.covers(opened.msg_id()));
        if fleet.is_member(now.mono) && known.as_ref().is_some_and(covers) {
            if let Some(ownership) = known.as_ref().and_then(Attached::ownership)
                && ownership.begin_extension(opened.msg_id(), ahead(&fleet.options) / 2)
            {
                self.extend(key, opened, ownership);
            }
            return Admission::Go;
        }
        let check = match &known {
            Some(attached) => attached.lock().session.check(now, opened),
            None => self.probe(now, key, opened),
        };
        if check != MessageCheck::Fresh {
            return Admission::Go;
        }
        if fleet.is_leaving.load(Ordering::SeqCst) {
            return Admission::Failed;
        }
        if known.is_none() && !key.spend_session(now.mono, &self.options().budgets) {
            return Admission::Refused;
        }
        let name = SessionName { key: key.auth_key().id(), session: opened.session_id() };
        match lock(&fleet.claims).begin(name, network, CLAIMS) {
            LookUpStart::Refused => Admission::Refused,
            LookUpStart::Joined(gate) => {
                gate.wait(waker);
                Admission::Waiting(gate)
            }
            LookUpStart::Begun(gate) => {
                gate.wait(waker);
                let guard = LookUpGuard::new(Arc::clone(self), name, claims_of, Arc::clone(&gate));
                let task = claim(guard, Arc::clone(key), opened.msg_id());
                if directory.tasks.push(task) { Admission::Waiting(gate) } else { Admission::Failed }
            }
        }
    }

    /// Reserves more messages of a session before they come.
    fn extend(self: &Arc<Self>, key: &Arc<KeyState>, opened: &Opened<'_>, ownership: &Arc<Ownership>) {
        let Some(directory) = self.directory() else { return };
        let name = SessionName { key: key.auth_key().id(), session: opened.session_id() };
        let (engine, ownership, msg_id) = (Arc::clone(self), Arc::clone(ownership), opened.msg_id());
        directory.tasks.push(async move {
            let Some(fleet) = engine.fleet() else { return };
            let reserve = reserve(&fleet.options, msg_id);
            let request = ClaimRequest { name, process: fleet.process(), msg_id, reserve };
            match fleet.options.sessions.claim(request, Duration::ZERO).await {
                Ok(Claim::Owned { fence, .. }) if fence == ownership.fence() => ownership.reserve(reserve),
                Ok(claim) => tracing::debug!(?claim, "no further messages reserved"),
                Err(error) => tracing::warn!(%error, "no further messages reserved"),
            }
            ownership.end_extension();
        });
    }

    /// Makes this process the owner of a session, or notes that more messages are reserved. Returns whether it is.
    fn own(
        self: &Arc<Self>,
        key: &Arc<KeyState>,
        name: SessionName,
        (fence, floor): (u64, Option<MsgId>),
        reserved: MsgId,
    ) -> bool {
        let Some(fleet) = self.fleet() else { return false };
        let mut owned = lock(&fleet.owned);
        if let Some(known) = owned.get(&name)
            && key.session(name.session).is_some_and(|attached| attached.is_same(&known.attached))
            && !known.ownership.is_lost()
        {
            known.ownership.reserve(reserved);
            return true;
        }
        if let Some(stale) = key.session(name.session) {
            key.remove_session(name.session, &stale);
        }
        let unique_id = lock(&fleet.rng).next_u64().cast_signed();
        let session = self.new_session(self.options().clock.now(), key, name.session, unique_id);
        let session = match floor {
            Some(floor) => session.continued_after(floor),
            None => session,
        };
        let ownership = Arc::new(Ownership::new(fence, floor, reserved));
        let attached = self.attach(session, key).with_ownership(Arc::clone(&ownership));
        let Some(attached) = key.keep_session(attached, self.options().budgets.sessions_per_key) else {
            return false;
        };
        let key = Arc::clone(key);
        owned.insert(name, Owned { key, attached: attached.clone(), ownership, wanted_at: None });
        drop(owned);
        self.note_begun(&attached);
        true
    }

    /// Notes that a client has received entries of the store.
    pub(crate) fn confirm(self: &Arc<Self>, name: SessionName, numbers: Vec<u64>, ownership: &Ownership) {
        let Some(directory) = self.directory().filter(|_| !numbers.is_empty()) else { return };
        let (engine, is_behind) = (Arc::clone(self), ownership.take_behind());
        directory.tasks.push(async move {
            let Some(fleet) = engine.fleet() else { return };
            for number in numbers {
                if let Err(error) = fleet.options.sessions.confirm(name, number).await {
                    // The client gets it again.
                    tracing::warn!(%error, "receipt not stored");
                }
            }
            if is_behind {
                engine.deliver(name).await;
            }
        });
    }

    /// Takes what waits for a session in the store.
    async fn deliver(self: &Arc<Self>, name: SessionName) {
        let Some(fleet) = self.fleet() else { return };
        let Some(owned) = lock(&fleet.owned).get(&name).cloned() else { return };
        let entries = match fleet.options.sessions.entries(name, owned.ownership.taken()).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "updates not read");
                owned.ownership.set_behind();
                return;
            }
        };
        owned.attached.put_entries(
            &owned.ownership,
            entries.into_iter().map(|(number, bytes)| (number, Entry::from_bytes(&bytes))),
        );
    }
}

/// The application's side.
impl Engine {
    /// Stores an update, encoded, constructor id first, for a session of any process, which sends it until the client acknowledges it.
    /// Returns its number in the session.
    ///
    /// # Errors
    ///
    /// The store cannot be reached, or the engine belongs to no fleet. The update may be sent nevertheless.
    pub fn publish(&self, name: SessionName, update: &[u8]) -> DirectoryFuture<'_, u64> {
        let entry = Entry::Update(update.to_vec()).to_bytes();
        match self.fleet() {
            Some(fleet) => fleet.options.sessions.push(name, entry),
            None => Box::pin(async { Err(DirectoryError::Stopped) }),
        }
    }

    /// Tells the other processes that a key was forgotten. One that does not hear of it finds out when it checks the key again.
    pub(crate) async fn announce_forgotten(&self, key: AuthKeyId) {
        let Some(fleet) = self.fleet() else { return };
        if let Err(error) = fleet.options.sessions.announce_forgotten(key).await {
            tracing::warn!(%error, %key, "other processes not told of a forgotten key");
        }
    }

    /// Hands all sessions over and leaves the fleet. Call it after a listener has been shut down: the answers that clients have
    /// not acknowledged go to the next owner of each session.
    pub async fn leave_fleet(self: &Arc<Self>) {
        let Some(fleet) = self.fleet() else { return };
        fleet.is_leaving.store(true, Ordering::SeqCst);
        let names: Vec<_> = lock(&fleet.owned).keys().copied().collect();
        for name in names {
            self.hand_over(name, Queries::Abandon).await;
        }
        if let Err(error) = fleet.options.sessions.leave(fleet.process()).await {
            tracing::warn!(%error, "the others learn of the end by the lease");
        }
        *lock(&fleet.member) = Member { process: fleet.process(), until: MonoTime::ZERO };
    }
}

/// The life of a member.
impl Engine {
    /// Renews the lease and does what others ask, until the engine leaves the fleet. Returns `None` if that is done already.
    pub(crate) fn member(self: &Arc<Self>) -> Option<impl Future<Output = ()> + Send + 'static> {
        let fleet = self.fleet()?;
        if fleet.is_running.swap(true, Ordering::SeqCst) {
            return None;
        }
        let running = Running(Arc::clone(self));
        Some(async move { running.0.be_member().await })
    }

    async fn be_member(self: &Arc<Self>) {
        let Some(fleet) = self.fleet() else { return };
        let (sessions, lease) = (&fleet.options.sessions, fleet.options.lease);
        let mut membership = Membership::Joining;
        let mut renewed_at = MonoTime::ZERO;
        while !fleet.is_leaving.load(Ordering::SeqCst) {
            let now = self.clock_time();
            if now.since(renewed_at) >= lease / 5 || membership == Membership::Joining {
                match sessions.renew(fleet.process(), lease, membership).await {
                    Ok(true) => {
                        // The store's clock may run faster.
                        lock(&fleet.member).until = now + lease * 9 / 10;
                        (membership, renewed_at) = (Membership::Renewing, now);
                    }
                    Ok(false) => {
                        fleet.lose_all();
                        membership = Membership::Joining;
                        continue;
                    }
                    Err(error) => tracing::warn!(%error, "lease not renewed"),
                }
            }
            if membership == Membership::Renewing && !fleet.is_member(self.clock_time()) {
                fleet.lose_all();
                membership = Membership::Joining;
            }
            let until_renewal = (renewed_at + lease / 5).since(self.clock_time());
            let most = if fleet.has_wanted() { HAND_OVER_PAUSE } else { until_renewal.max(HAND_OVER_PAUSE) };
            match sessions.events(fleet.process(), most).await {
                Ok(events) => self.on_events(events).await,
                Err(error) => tracing::warn!(%error, "fleet not heard"),
            }
            self.hand_over_wanted().await;
        }
    }

    async fn on_events(self: &Arc<Self>, events: Vec<FleetEvent>) {
        let Some(fleet) = self.fleet() else { return };
        for event in events {
            match event {
                FleetEvent::Pushed(name) => self.deliver(name).await,
                FleetEvent::Forgotten(key) => {
                    self.drop_key(key);
                }
                FleetEvent::Wanted(name) => {
                    let now = self.clock_time();
                    let is_owned = match lock(&fleet.owned).get_mut(&name) {
                        Some(owned) => {
                            owned.wanted_at.get_or_insert(now);
                            true
                        }
                        None => false,
                    };
                    // A process that leaves releases a session itself, once the store has what its client did not acknowledge.
                    if !is_owned && !fleet.is_leaving.load(Ordering::SeqCst) {
                        // It ended here, and the store does not know it yet.
                        self.release(name, None).await;
                    }
                }
            }
        }
    }

    /// Hands over what others want, and what ended here.
    async fn hand_over_wanted(self: &Arc<Self>) {
        let Some(fleet) = self.fleet() else { return };
        let (now, patience) = (self.options().clock.now(), fleet.options.hand_over);
        let due = |(name, owned): (&SessionName, &Owned)| {
            let is_gone = || owned.key.session(name.session).is_none() || owned.attached.is_over(now.unix);
            match owned.wanted_at {
                Some(at) if at + patience <= now.mono => Some((*name, Queries::Abandon)),
                Some(_) => Some((*name, Queries::Finish)),
                None => is_gone().then_some((*name, Queries::Abandon)),
            }
        };
        let due: Vec<_> = lock(&fleet.owned).iter().filter_map(due).collect();
        for (name, queries) in due {
            self.hand_over(name, queries).await;
        }
    }

    /// Gives a session up, with everything that its client has not acknowledged, unless it has queries to finish.
    async fn hand_over(self: &Arc<Self>, name: SessionName, queries: Queries) {
        let Some(fleet) = self.fleet() else { return };
        let Some((unacked, floor)) = fleet.give_up(name, queries) else { return };
        for entry in unacked.into_iter().filter_map(Entry::of_unacked) {
            if let Err(error) = fleet.options.sessions.push(name, entry.to_bytes()).await {
                tracing::warn!(%error, "message for a client lost");
            }
        }
        self.release(name, floor).await;
    }

    async fn release(self: &Arc<Self>, name: SessionName, floor: Option<MsgId>) {
        let Some(fleet) = self.fleet() else { return };
        if let Err(error) = fleet.options.sessions.release(name, fleet.process(), floor).await {
            tracing::warn!(%error, "session not released");
        }
    }
}

/// Allows another worker to renew the lease once this one ends.
struct Running(Arc<Engine>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(fleet) = self.0.fleet() {
            fleet.is_running.store(false, Ordering::SeqCst);
        }
    }
}

fn claims_of(engine: &Engine) -> Option<&Mutex<LookUps<SessionName>>> {
    engine.fleet().map(|fleet| &fleet.claims)
}

/// Returns how many ids are reserved ahead. Ids are seconds in their upper half.
fn ahead(options: &Fleet) -> i64 {
    let ids = (options.reserve.as_nanos() << 32) / 1_000_000_000;
    i64::try_from(ids).unwrap_or(i64::MAX)
}

fn reserve(options: &Fleet, msg_id: MsgId) -> MsgId {
    MsgId::from_raw(msg_id.to_raw().saturating_add(ahead(options)))
}

/// Claims a session, and lets the frames in that wait for it.
async fn claim(guard: LookUpGuard<SessionName>, key: Arc<KeyState>, msg_id: MsgId) {
    let (engine, name) = (Arc::clone(&guard.engine), guard.id);
    let Some(fleet) = engine.fleet() else { return };
    let options = &fleet.options;
    let process = fleet.process();
    let reserve = reserve(options, msg_id);
    let patience = options.hand_over + Duration::from_secs(2);
    let request = ClaimRequest { name, process, msg_id, reserve };
    let outcome = match options.sessions.claim(request, patience).await {
        // Its lease may have ended meanwhile.
        Ok(Claim::Owned { fence, floor }) if fleet.process() == process => {
            if engine.own(&key, name, (fence, floor), reserve) { Outcome::Ready } else { Outcome::Failed }
        }
        Ok(Claim::Stale) => Outcome::Stale,
        Ok(claim) => {
            tracing::debug!(?claim, "session not claimed");
            Outcome::Failed
        }
        Err(error) => {
            tracing::warn!(%error, "session not claimed");
            Outcome::Failed
        }
    };
    guard.end(outcome);
    if outcome == Outcome::Ready {
        engine.deliver(name).await;
    }
}
