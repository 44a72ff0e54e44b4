//! A key of a server, and the sessions under it.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::{MsgId, ServerSalt, SessionId, UnixTime};
use chappe_handshake::{CreatedKey, DcId, PeerId};
use chappe_session::MonoTime;

use crate::Budgets;
use crate::directory::KeyRecord;
use crate::key_life::KeyLife;
use crate::meter::{Meter, time_for};
use crate::router::{ClientInfo, Device};
use crate::session::Attached;
use crate::unacked::Total;

/// How often a key that is in use moves to the end of the order in which keys make room.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

/// Whether a key is permanent, and if not, when it ends and what it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It stays until it is destroyed.
    Permanent,
    /// It ends by itself, and may be bound to a permanent key.
    Temporary {
        /// When it ends.
        expires_at: UnixTime,
        /// The permanent key it stands for.
        bound_to: Option<AuthKeyId>,
    },
}

impl KeyStatus {
    pub(crate) const fn expires_at(self) -> Option<UnixTime> {
        match self {
            Self::Permanent => None,
            Self::Temporary { expires_at, .. } => Some(expires_at),
        }
    }
}

/// A key and the sessions under it.
#[derive(Debug)]
pub struct KeyState {
    key: AuthKey,
    first_salt: Option<(ServerSalt, UnixTime)>,
    dc: Option<DcId>,
    kind: Mutex<KeyStatus>,
    sessions: Mutex<Sessions>,
    life: Arc<KeyLife>,
    /// The network of the client that made the key here.
    network: Option<PeerId>,
    /// The second in which the key was last noted to be in use; 0 if never.
    touched_at: AtomicU64,
    meters: Mutex<Meters>,
    /// What the client said about itself.
    client: Mutex<Arc<ClientInfo>>,
    /// Temporary keys that were bound to it. Some may be gone.
    bound: Mutex<Vec<AuthKeyId>>,
    /// Bytes that its sessions hold.
    unacked: Total,
    stored: Stored,
}

/// What the directory has of a key.
#[derive(Debug, Default)]
struct Stored {
    /// It has the key.
    is_known: bool,
    /// The directory drops the key unless it learns that the key is in use.
    is_unused: AtomicBool,
    /// When it does so.
    unused_until: Option<UnixTime>,
    /// The second in which it was last asked for the key.
    checked_at: AtomicU64,
}

/// What the clients of a key spend.
#[derive(Debug, Default)]
struct Meters {
    sessions: Meter,
    inflated: Meter,
}

#[derive(Debug, Default)]
struct Sessions {
    by_id: HashMap<SessionId, Attached>,
    /// The oldest first.
    order: VecDeque<SessionId>,
    /// The highest id of a message received in a session that is gone. Messages up to it may have been executed there,
    /// and the window that would know is gone too, so none of them begins a session.
    floor: Option<MsgId>,
}

impl KeyState {
    /// Makes the state of a key that was made elsewhere, such as one from a store.
    pub fn new(key: AuthKey, kind: KeyStatus) -> Self {
        let life = Arc::new(KeyLife::new(kind.expires_at()));
        Self {
            key,
            first_salt: None,
            dc: None,
            kind: Mutex::new(kind),
            sessions: Mutex::default(),
            life,
            network: None,
            touched_at: AtomicU64::new(0),
            meters: Mutex::default(),
            client: Mutex::default(),
            bound: Mutex::default(),
            unacked: Total::default(),
            stored: Stored::default(),
        }
    }

    pub(crate) fn created(created: CreatedKey, salt_until: UnixTime, network: PeerId) -> Self {
        let kind = match created.expires_at {
            None => KeyStatus::Permanent,
            Some(expires_at) => KeyStatus::Temporary { expires_at, bound_to: None },
        };
        Self {
            first_salt: Some((created.first_salt, salt_until)),
            dc: created.dc.and_then(DcId::from_raw),
            network: Some(network),
            ..Self::new(created.auth_key, kind)
        }
    }

    /// Makes the state of a key that a directory is about to store, or has.
    fn stored(self, unused_until: Option<UnixTime>, now: UnixTime) -> Self {
        let unused_until = unused_until.filter(|_| self.kind() == KeyStatus::Permanent);
        let stored = Stored {
            is_known: true,
            is_unused: AtomicBool::new(unused_until.is_some()),
            unused_until,
            checked_at: AtomicU64::new(now.as_secs()),
        };
        Self { stored, ..self }
    }

    /// The same of a key that was just made.
    pub(crate) fn about_to_be_stored(self, unused_until: UnixTime, now: UnixTime) -> Self {
        self.stored(Some(unused_until), now)
    }

    /// Makes the state of a key that was found in a directory. Messages up to `floor` may have been executed before.
    pub(crate) fn of_record(record: KeyRecord, floor: MsgId, now: UnixTime) -> Self {
        let KeyRecord { auth_key, status, dc, first_salt, unused_until } = record;
        let sessions = Sessions { floor: Some(floor), ..Sessions::default() };
        let state = Self { first_salt, dc, sessions: Mutex::new(sessions), ..Self::new(auth_key, status) };
        state.stored(unused_until, now)
    }

    /// Returns what a directory has of the key.
    pub(crate) fn record(&self) -> KeyRecord {
        KeyRecord {
            auth_key: self.key.clone(),
            status: self.kind(),
            dc: self.dc,
            first_salt: self.first_salt,
            unused_until: self.stored.unused_until.filter(|_| self.stored.is_unused.load(Ordering::Relaxed)),
        }
    }

    pub(crate) const fn is_stored(&self) -> bool {
        self.stored.is_known
    }

    /// Notes that the key is in use. Returns when the directory would have dropped it, if it does not know so yet.
    pub(crate) fn take_unused(&self) -> Option<UnixTime> {
        let is_unused = &self.stored.is_unused;
        let was_unused = is_unused.load(Ordering::Relaxed) && is_unused.swap(false, Ordering::Relaxed);
        self.stored.unused_until.filter(|_| was_unused)
    }

    /// Takes the note back: the directory could not be told.
    pub(crate) fn restore_unused(&self) {
        self.stored.is_unused.store(true, Ordering::Relaxed);
    }

    /// Returns whether the directory must be asked for the key again, and notes that it is.
    pub(crate) fn note_check(&self, now: UnixTime, every: Duration) -> bool {
        let (now, checked_at) = (now.as_secs(), &self.stored.checked_at);
        let last = checked_at.load(Ordering::Relaxed);
        let is_due = now.abs_diff(last) >= every.as_secs();
        is_due && checked_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Returns the key.
    pub const fn auth_key(&self) -> &AuthKey {
        &self.key
    }

    /// Returns the datacenter that the client named when it made the key. `None` for keys that were made elsewhere, and of
    /// old clients, which name none.
    pub const fn dc(&self) -> Option<DcId> {
        self.dc
    }

    /// Returns what kind of key it is.
    pub fn kind(&self) -> KeyStatus {
        *lock(&self.kind)
    }

    /// Returns the permanent key that calls under this key belong to; `None` for a temporary key that is not bound.
    pub fn permanent_id(&self) -> Option<AuthKeyId> {
        match self.kind() {
            KeyStatus::Permanent => Some(self.key.id()),
            KeyStatus::Temporary { bound_to, .. } => bound_to,
        }
    }

    /// Returns the sessions that are remembered.
    pub fn sessions(&self) -> Vec<Attached> {
        lock(&self.sessions).by_id.values().cloned().collect()
    }

    pub(crate) const fn first_salt(&self) -> Option<(ServerSalt, UnixTime)> {
        self.first_salt
    }

    /// Binds a temporary key. Returns whether it is bound to this permanent key now: a key that is bound stays bound to
    /// the same one, whichever of two requests comes first (SEC-126).
    pub(crate) fn bind_to(&self, permanent: AuthKeyId) -> bool {
        match &mut *lock(&self.kind) {
            KeyStatus::Permanent => false,
            KeyStatus::Temporary { bound_to, .. } => *bound_to.get_or_insert(permanent) == permanent,
        }
    }

    /// Notes a temporary key that was bound to this one. `is_known` returns whether a key is still there.
    pub(crate) fn note_bound(&self, temporary: AuthKeyId, is_known: impl Fn(AuthKeyId) -> bool) {
        let mut bound = lock(&self.bound);
        bound.retain(|id| *id != temporary && is_known(*id));
        bound.push(temporary);
    }

    /// Takes out the temporary keys that were bound to this one and for which `is_taken`.
    pub(crate) fn take_bound(&self, is_taken: impl Fn(AuthKeyId) -> bool) -> Vec<AuthKeyId> {
        lock(&self.bound).extract_if(.., |id| is_taken(*id)).collect()
    }

    /// Notes what the client said about itself with a call, if anything, and returns what it said last.
    pub(crate) fn note_client(&self, layer: Option<i32>, device: Option<Device>) -> Arc<ClientInfo> {
        let mut client = lock(&self.client);
        let is_new =
            layer.is_some_and(|layer| layer != client.layer) || device.is_some() && device != client.device;
        if is_new {
            let layer = layer.unwrap_or(client.layer);
            let device = device.or_else(|| client.device.clone());
            *client = Arc::new(ClientInfo { layer, device });
        }
        Arc::clone(&client)
    }

    /// Ends all sessions, since the key is gone.
    pub(crate) fn end_sessions(&self) {
        lock(&self.sessions).by_id.values().for_each(Attached::end);
    }

    pub(crate) const fn life(&self) -> &Arc<KeyLife> {
        &self.life
    }

    pub(crate) const fn network(&self) -> Option<PeerId> {
        self.network
    }

    /// Notes that the client proved now that it has the key. Returns whether the table of keys must know, which is
    /// seldom.
    pub(crate) fn note_use(&self, now: UnixTime) -> bool {
        let (now, last) = (now.as_secs(), self.touched_at.load(Ordering::Relaxed));
        let is_due = last == 0 || now.abs_diff(last) >= TOUCH_INTERVAL.as_secs();
        if is_due {
            self.touched_at.store(now, Ordering::Relaxed);
        }
        is_due
    }

    pub(crate) const fn unacked(&self) -> &Total {
        &self.unacked
    }

    /// Returns whether the key may begin a session now, and counts it if so.
    pub(crate) fn spend_session(&self, now: MonoTime, budgets: &Budgets) -> bool {
        let rate = budgets.sessions_begun_per_second;
        let burst = time_for(budgets.sessions_begun_at_once.saturating_sub(1).into(), rate);
        let meter = &mut lock(&self.meters).sessions;
        let is_allowed = meter.allows(now, burst);
        if is_allowed {
            meter.spend(now, time_for(1, rate));
        }
        is_allowed
    }

    /// Returns whether packed objects may come under the key.
    pub(crate) fn may_inflate(&self, now: MonoTime, budgets: &Budgets) -> bool {
        let burst = time_for(budgets.inflated_at_once.into(), budgets.inflated_per_second);
        lock(&self.meters).inflated.allows(now, burst)
    }

    /// Counts what packed objects unpacked to.
    pub(crate) fn spend_inflated(&self, bytes: u64, now: MonoTime, budgets: &Budgets) {
        lock(&self.meters).inflated.spend(now, time_for(bytes, budgets.inflated_per_second));
    }

    /// Removes a session that had no connection for so long.
    pub(crate) fn end_session_detached_for(&self, id: SessionId, now: MonoTime, lifetime: Duration) {
        let mut sessions = lock(&self.sessions);
        let Some(attached) = sessions.by_id.get(&id) else { return };
        if attached.is_detached_for(now, lifetime)
            && let Some(last) = attached.last_received_if_unused()
        {
            sessions.remove(id, last);
        }
    }

    /// Removes a session that belongs to another process now.
    pub(crate) fn remove_session(&self, id: SessionId, attached: &Attached) {
        let mut sessions = lock(&self.sessions);
        if sessions.by_id.get(&id).is_some_and(|known| known.is_same(attached)) {
            sessions.by_id.remove(&id);
            sessions.order.retain(|known| *known != id);
        }
    }

    /// Removes a session that holds too much, also one with a connection.
    pub(crate) fn end_session(&self, id: SessionId, last: MsgId) {
        lock(&self.sessions).remove(id, last);
    }

    /// Returns a session.
    pub(crate) fn session(&self, id: SessionId) -> Option<Attached> {
        lock(&self.sessions).by_id.get(&id).cloned()
    }

    /// Returns whether a message may begin a session: it is newer than all messages of sessions that are gone.
    pub(crate) fn may_begin_session(&self, msg_id: MsgId) -> bool {
        lock(&self.sessions).floor.is_none_or(|floor| msg_id > floor)
    }

    /// Keeps a new session and returns it, or the one of the same id that another connection has made meanwhile.
    ///
    /// The oldest session without a connection makes room. Returns `None` if all `max` sessions have one: a session in
    /// use is never removed to make room for a new one.
    pub(crate) fn keep_session(&self, made: Attached, max: usize) -> Option<Attached> {
        let mut sessions = lock(&self.sessions);
        if let Some(known) = sessions.by_id.get(&made.session_id()) {
            return Some(known.clone());
        }
        if sessions.order.len() >= max.max(1) {
            sessions.remove_unused()?;
        }
        sessions.order.push_back(made.session_id());
        sessions.by_id.insert(made.session_id(), made.clone());
        Some(made)
    }

    /// Removes a session, as the message `request` of another one asks; returns whether there was one.
    pub(crate) fn forget_session(&self, id: SessionId, request: MsgId) -> bool {
        // The client wrote the messages of that session before it asked to destroy it.
        lock(&self.sessions).remove(id, request)
    }
}

impl Sessions {
    /// Removes a session; `last` is at least the highest id of a message received in it. Returns whether there was one.
    fn remove(&mut self, id: SessionId, last: MsgId) -> bool {
        let removed = self.by_id.remove(&id);
        if let Some(removed) = &removed {
            removed.end();
            self.order.retain(|known| *known != id);
            self.floor = self.floor.max(Some(last));
        }
        removed.is_some()
    }

    /// Removes the oldest session that no connection speaks for.
    fn remove_unused(&mut self) -> Option<()> {
        let unused = |id: &SessionId| self.by_id.get(id).and_then(Attached::last_received_if_unused);
        let (place, last) =
            self.order.iter().enumerate().find_map(|(place, id)| Some((place, unused(id)?)))?;
        self.floor = self.floor.max(Some(last));
        let id = self.order.remove(place)?;
        self.by_id.remove(&id)?.end();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    #[test]
    fn sec_126_a_temporary_key_is_bound_once_whichever_request_is_first() {
        let [key, first, second] = [1, 2, 3].map(|number| AuthKey::from_bytes([number; 256]));
        let expires_at = NOW.saturating_add(Duration::from_secs(60));
        let state = KeyState::new(key, KeyStatus::Temporary { expires_at, bound_to: None });
        // Both requests were checked while the key was unbound.
        assert_eq!([state.bind_to(first.id()), state.bind_to(second.id())], [true, false]);
        assert!(state.bind_to(first.id()), "a repetition is answered alike");
        assert_eq!(state.permanent_id(), Some(first.id()));
        let permanent = KeyState::new(second, KeyStatus::Permanent);
        assert!(!permanent.bind_to(first.id()));
    }

    #[test]
    fn the_table_hears_of_a_key_in_use_once_a_minute() {
        let state = KeyState::new(AuthKey::from_bytes([1; 256]), KeyStatus::Permanent);
        let noted = [0, 0, 59, 60, 61, 119, 120]
            .map(|seconds| state.note_use(NOW.saturating_add(Duration::from_secs(seconds))));
        assert_eq!(noted, [true, false, false, true, false, false, true]);
        assert!(state.note_use(UnixTime::from_secs(1_700_000_000)), "the clock was set back");
    }
}
