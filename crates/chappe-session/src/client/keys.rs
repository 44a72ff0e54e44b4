//! The keys of a client: which one packets travel under, when another is needed, and what becomes of one in doubt.
//!
//! A permanent key is given up only on an answer that was *authenticated*. A transport error is not: anybody on the
//! path can forge it (SEC-122, SEC-134).
//!
//! Not here: the binding message ([`chappe_framing::bind`]), and the making of keys.
//!
//! Spec: <https://core.telegram.org/api/pfs>.

use alloc::boxed::Box;
use core::time::Duration;

use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::MsgId;

use super::key_session::{Generation, KeySession};
use crate::clock::ServerClock;
use crate::time::MonoTime;

/// Seconds before a temporary key ends at which the next one is requested, at most: a key may be asked for less than
/// that, and is renewed when half of its life is left.
const RENEWAL_MARGIN: i64 = 3600;

/// How long a requested temporary key may take until it is requested again.
const REQUEST_PAUSE: Duration = Duration::from_secs(30);

/// Least time between two requests if the key before could not be bound: a key costs the server more than the client.
const REBIND_PAUSE: Duration = Duration::from_secs(5);

/// The same in a renewal: calls go on under the key before, and there is an hour for it.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);

/// A permanent key younger than this, in seconds, may not have reached every server yet (SEC-123).
const YOUNG_KEY: i64 = 60;

/// How long a permanent key that has worked in this run may be answered by -404 until it is doubted.
const DOUBT_AFTER: Duration = Duration::from_secs(5);

/// How long the answer to a binding may take before it is sent again. Binding the same key twice does no harm.
const BINDING_PATIENCE: Duration = Duration::from_secs(10);

/// The keys of a session.
#[derive(Debug)]
pub(super) enum Keys {
    /// Packets travel under the permanent key.
    Permanent {
        session: Box<KeySession>,
        /// When the key was made, in Unix seconds of the server.
        created_at: i64,
        standing: Standing,
    },
    /// Packets travel under temporary keys; the permanent one only binds them.
    Temporary(Box<TemporaryKeys>),
}

/// What speaks for a permanent key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing in this run.
    Untried,
    /// The datacenter has answered under it.
    Proven,
    /// It was proven, and has been answered by -404 since then.
    Missing { since: MonoTime },
}

/// Forward secrecy: a permanent key and the temporary ones under it.
#[derive(Debug)]
pub(super) struct TemporaryKeys {
    permanent: AuthKey,
    /// When the permanent key was made, in Unix seconds of the server.
    created_at: i64,
    state: TemporaryState,
    /// The key before, whose answers are still accepted.
    before: Option<FormerKey>,
    request: KeyRequest,
    doubt: Doubt,
}

/// Whether the server still knows a temporary key that was bound.
///
/// A -404 is unauthenticated. So the state of what is under way is asked for on another connection before the key is
/// dropped: with the key goes all that could be learnt about calls under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    None,
    /// -404 came on this connection.
    Raised,
    /// It came on the connection before, and nothing authenticated since.
    Carried,
}

/// When a temporary key may be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyRequest {
    /// At once.
    Allowed,
    /// The last one was requested then, and has not come.
    Open { since: MonoTime },
    /// The last one was requested then, and has come; it is not bound.
    Unproven { since: MonoTime },
    /// The last one was requested then and could not be bound; the key before is in use again.
    Failed { since: MonoTime },
}

impl KeyRequest {
    /// Returns the earliest time of the next request.
    fn earliest(self) -> MonoTime {
        match self {
            Self::Allowed => MonoTime::ZERO,
            Self::Open { since } => since + REQUEST_PAUSE,
            Self::Unproven { since } => since + REBIND_PAUSE,
            Self::Failed { since } => since + RENEWAL_PAUSE,
        }
    }
}

/// The temporary key in use.
#[derive(Debug)]
enum TemporaryState {
    /// There is none: calls wait.
    Missing,
    /// It is there, but the server has not confirmed its binding: calls wait (SEC-120).
    Unbound(TemporaryKeyInUse, Binding),
    /// Calls travel under it.
    Bound(TemporaryKeyInUse),
}

#[derive(Debug)]
struct TemporaryKeyInUse {
    session: Box<KeySession>,
    /// When the server forgets it, in Unix seconds of the server.
    expires_at: i64,
    /// When the next one is requested.
    renew_at: i64,
}

/// The temporary key before the one in use.
#[derive(Debug)]
struct FormerKey {
    key: TemporaryKeyInUse,
    /// When the key in use was bound. The server has forgotten this one since then: nothing is sent under it, since the
    /// answer would be -404.
    replaced_at: Option<MonoTime>,
}

/// The request that binds a temporary key. It repeats its own `msg_id`, so it is built anew for each message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Binding {
    sent: Option<(MsgId, MonoTime)>,
    attempts: u8,
}

/// Which of the keys a message came under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySlot {
    Current,
    /// Only acknowledgements are sent under the key before.
    Previous,
}

/// What a packet that binds the key in use needs to know.
#[derive(Debug)]
pub(super) struct UnboundKey<'k> {
    pub(super) permanent: &'k AuthKey,
    pub(super) expires_at: i64,
    pub(super) binding: &'k mut Binding,
}

/// What was dropped, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    Nothing,
    /// The key before.
    Previous,
    /// The key in use. The one before is in use again, since no other was bound.
    Next,
    /// The key in use, and none is left.
    All,
}

/// What a temporary key found when it was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Installed {
    /// No key was in use.
    First,
    /// Answers under the key that was in use are still accepted.
    Beside,
    /// It took the place of the key that was in use.
    Instead,
}

/// Making and looking.
impl Keys {
    pub(super) fn permanent(session: KeySession, created_at: i64) -> Self {
        Self::Permanent { session: Box::new(session), created_at, standing: Standing::Untried }
    }

    pub(super) fn temporary(permanent: AuthKey, created_at: i64) -> Self {
        Self::Temporary(Box::new(TemporaryKeys {
            permanent,
            created_at,
            state: TemporaryState::Missing,
            before: None,
            request: KeyRequest::Allowed,
            doubt: Doubt::None,
        }))
    }

    /// Returns the permanent key.
    pub(super) fn permanent_key(&self) -> &AuthKey {
        match self {
            Self::Permanent { session, .. } => &session.key,
            Self::Temporary(keys) => &keys.permanent,
        }
    }

    /// Returns when the permanent key was made, in Unix seconds of the server.
    pub(super) fn created_at(&self) -> i64 {
        match self {
            Self::Permanent { created_at, .. } => *created_at,
            Self::Temporary(keys) => keys.created_at,
        }
    }

    /// Returns whether packets travel under temporary keys.
    pub(super) const fn are_temporary(&self) -> bool {
        matches!(self, Self::Temporary(_))
    }

    /// Returns the key in use; `None` while a temporary key is missing.
    #[inline]
    pub(super) fn current(&self) -> Option<&KeySession> {
        match self {
            Self::Permanent { session, .. } => Some(session),
            Self::Temporary(keys) => keys.state.key().map(|key| &*key.session),
        }
    }

    #[inline]
    pub(super) fn current_mut(&mut self) -> Option<&mut KeySession> {
        match self {
            Self::Permanent { session, .. } => Some(session),
            Self::Temporary(keys) => keys.state.key_mut().map(|key| &mut *key.session),
        }
    }

    /// Returns the key in use, and what is needed to bind it if that has not been done.
    pub(super) fn sending(&mut self) -> Option<(&mut KeySession, Option<UnboundKey<'_>>)> {
        match self {
            Self::Permanent { session, .. } => Some((session, None)),
            Self::Temporary(keys) => match &mut keys.state {
                TemporaryState::Missing => None,
                TemporaryState::Unbound(key, binding) => {
                    let (permanent, expires_at) = (&keys.permanent, key.expires_at);
                    Some((&mut key.session, Some(UnboundKey { permanent, expires_at, binding })))
                }
                TemporaryState::Bound(key) => Some((&mut key.session, None)),
            },
        }
    }

    fn previous(&self) -> Option<&KeySession> {
        match self {
            Self::Permanent { .. } => None,
            Self::Temporary(keys) => keys.before.as_ref().map(|before| &*before.key.session),
        }
    }

    fn previous_mut(&mut self) -> Option<&mut KeySession> {
        match self {
            Self::Permanent { .. } => None,
            Self::Temporary(keys) => keys.before.as_mut().map(|before| &mut *before.key.session),
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: KeySlot) -> Option<&mut KeySession> {
        match slot {
            KeySlot::Current => self.current_mut(),
            KeySlot::Previous => self.previous_mut(),
        }
    }

    /// Returns which key has this id.
    #[inline]
    pub(super) fn slot_of(&self, id: AuthKeyId) -> Option<KeySlot> {
        let fits = |session: Option<&KeySession>| session.is_some_and(|session| session.key.id() == id);
        if fits(self.current()) {
            Some(KeySlot::Current)
        } else {
            fits(self.previous()).then_some(KeySlot::Previous)
        }
    }

    /// Returns whether calls may travel under the key in use (SEC-120).
    #[inline]
    pub(super) fn is_usable(&self) -> bool {
        match self {
            Self::Permanent { .. } => true,
            Self::Temporary(keys) => matches!(keys.state, TemporaryState::Bound(_)),
        }
    }

    /// Returns the number of the session in use; `None` while a temporary key is missing.
    #[inline]
    pub(super) fn generation(&self) -> Option<Generation> {
        self.current().map(|session| session.generation)
    }

    /// Returns the sessions whose answers are accepted: the one in use, and the one under the key before.
    pub(super) fn sessions(&self) -> [Option<Generation>; 2] {
        [self.generation(), self.previous().map(|session| session.generation)]
    }

    /// Returns the key before if what comes under it is still acknowledged: until the next key is bound.
    #[inline]
    pub(super) fn previous_to_ack(&self) -> Option<&KeySession> {
        self.previous().filter(|_| self.replaced_at().is_none())
    }

    #[inline]
    pub(super) fn previous_to_ack_mut(&mut self) -> Option<&mut KeySession> {
        let is_replaced = self.replaced_at().is_some();
        self.previous_mut().filter(|_| !is_replaced)
    }

    /// Returns when the key in use replaced the one before, if answers under that are still accepted.
    pub(super) fn replaced_at(&self) -> Option<MonoTime> {
        match self {
            Self::Permanent { .. } => None,
            Self::Temporary(keys) => keys.before.as_ref()?.replaced_at,
        }
    }
}

/// Temporary keys: requested, installed, bound, dropped.
impl Keys {
    /// Takes a temporary key, which has to be bound.
    ///
    /// A session whose permanent key was in use goes over to temporary keys.
    pub(super) fn install(&mut self, session: KeySession, expires_at: i64, seconds: i64) -> Installed {
        let session = Box::new(session);
        let life = expires_at.saturating_sub(seconds).max(0);
        let renew_at = expires_at.saturating_sub(RENEWAL_MARGIN.min(life / 2));
        let key = TemporaryKeyInUse { session, expires_at, renew_at };
        let state = TemporaryState::Unbound(key, Binding::default());
        match self {
            Self::Permanent { session, created_at, .. } => {
                let permanent = session.key.clone();
                *self = Self::temporary(permanent, *created_at);
                if let Self::Temporary(keys) = self {
                    keys.state = state;
                }
                Installed::Instead
            }
            Self::Temporary(keys) => {
                if let KeyRequest::Open { since } = keys.request {
                    keys.request = KeyRequest::Unproven { since };
                }
                match core::mem::replace(&mut keys.state, state) {
                    TemporaryState::Bound(key) => {
                        keys.before = Some(FormerKey { key, replaced_at: None });
                        Installed::Beside
                    }
                    TemporaryState::Unbound(..) => Installed::Instead,
                    TemporaryState::Missing => Installed::First,
                }
            }
        }
    }

    /// Returns when a temporary key must be requested, for the first time or again; `None` if none is used.
    pub(super) fn request_due(&self, clock: &ServerClock) -> Option<MonoTime> {
        let Self::Temporary(keys) = self else {
            return None;
        };
        Some(clock.when(keys.state.renew_at()).max(keys.request.earliest()))
    }

    /// Returns whether to request a temporary key now, and records that it was.
    pub(super) fn request(&mut self, now: MonoTime, clock: &ServerClock) -> bool {
        let Self::Temporary(keys) = self else {
            return false;
        };
        let is_due = clock.seconds(now) >= keys.state.renew_at() && keys.request.earliest() <= now;
        if is_due {
            keys.request = KeyRequest::Open { since: now };
        }
        is_due
    }

    /// Drops temporary keys that have expired (SEC-124).
    pub(super) fn expire(&mut self, seconds: i64) -> Dropped {
        let Self::Temporary(keys) = self else {
            return Dropped::Nothing;
        };
        let previous = keys.before.take_if(|before| before.key.expires_at <= seconds);
        if keys.state.key().is_some_and(|key| key.expires_at <= seconds) {
            return self.drop_temporary();
        }
        if previous.is_some() { Dropped::Previous } else { Dropped::Nothing }
    }

    /// Drops the temporary key in use. If it was not bound, the one before is used again.
    pub(super) fn drop_temporary(&mut self) -> Dropped {
        let Self::Temporary(keys) = self else {
            return Dropped::Nothing;
        };
        let state = core::mem::replace(&mut keys.state, TemporaryState::Missing);
        keys.doubt = Doubt::None;
        match (state, keys.before.take()) {
            (TemporaryState::Missing, None) => Dropped::Nothing,
            (TemporaryState::Unbound(..), Some(FormerKey { key, replaced_at: None })) => {
                keys.state = TemporaryState::Bound(key);
                if let KeyRequest::Unproven { since } | KeyRequest::Open { since } = keys.request {
                    keys.request = KeyRequest::Failed { since };
                }
                Dropped::Next
            }
            _ => Dropped::All,
        }
    }

    /// Drops the key before.
    pub(super) fn drop_previous(&mut self) {
        if let Self::Temporary(keys) = self {
            keys.before = None;
        }
    }

    const fn binding(&self) -> Option<&Binding> {
        match self {
            Self::Permanent { .. } => None,
            Self::Temporary(keys) => match &keys.state {
                TemporaryState::Unbound(_, binding) => Some(binding),
                TemporaryState::Missing | TemporaryState::Bound(_) => None,
            },
        }
    }

    const fn binding_mut(&mut self) -> Option<&mut Binding> {
        match self {
            Self::Permanent { .. } => None,
            Self::Temporary(keys) => match &mut keys.state {
                TemporaryState::Unbound(_, binding) => Some(binding),
                TemporaryState::Missing | TemporaryState::Bound(_) => None,
            },
        }
    }

    /// Returns whether the answer to a binding is awaited.
    pub(super) fn awaits_binding(&self) -> bool {
        self.binding().is_some_and(|binding| binding.sent.is_some())
    }

    /// Returns whether the message with this id is the binding that is awaited.
    pub(super) fn is_binding(&self, msg_id: MsgId) -> bool {
        self.binding().and_then(|binding| binding.sent).is_some_and(|(sent, _)| sent == msg_id)
    }

    /// The server confirmed the binding: calls may flow.
    pub(super) fn on_bound(&mut self, now: MonoTime) {
        let Self::Temporary(keys) = self else {
            return;
        };
        match core::mem::replace(&mut keys.state, TemporaryState::Missing) {
            TemporaryState::Unbound(mut key, _) => {
                key.session.is_initialized = false;
                keys.state = TemporaryState::Bound(key);
                keys.request = KeyRequest::Allowed;
                if let Some(before) = &mut keys.before {
                    before.replaced_at = Some(now);
                    before.key.session.inbox.acks.clear();
                }
            }
            other => keys.state = other,
        }
    }

    /// The server has forgotten the binding of a key: it is bound again.
    pub(super) fn unbind(&mut self) {
        let Self::Temporary(keys) = self else {
            return;
        };
        match core::mem::replace(&mut keys.state, TemporaryState::Missing) {
            TemporaryState::Bound(key) => keys.state = TemporaryState::Unbound(key, Binding::default()),
            other => keys.state = other,
        }
    }

    /// The binding was refused or lost: it is sent again, unless it was sent `limit` times. Returns whether it is.
    pub(super) fn bind_again(&mut self, limit: u8) -> bool {
        let Some(binding) = self.binding_mut() else {
            return true;
        };
        binding.sent = None;
        binding.attempts < limit
    }

    /// Sends the binding again if its answer is overdue.
    pub(super) fn renew_binding(&mut self, now: MonoTime) {
        if let Some(binding) = self.binding_mut() {
            binding.sent = binding.sent.filter(|(_, at)| *at + BINDING_PATIENCE > now);
        }
    }

    /// Returns when the binding is sent again.
    pub(super) fn binding_due(&self) -> Option<MonoTime> {
        self.binding()?.sent.map(|(_, at)| at + BINDING_PATIENCE)
    }

    /// The binding sent before this message is lost.
    pub(super) fn lose_binding_before(&mut self, first: MsgId) {
        if let Some(binding) = self.binding_mut() {
            binding.sent = binding.sent.filter(|(msg_id, _)| *msg_id >= first);
        }
    }

    /// The connection is gone, and with it the answer to the binding.
    pub(super) fn on_disconnected(&mut self) {
        // The next connection is for the key in use; nothing more will come under the one before.
        self.drop_previous();
        if let Self::Temporary(keys) = self
            && keys.doubt == Doubt::Raised
        {
            keys.doubt = Doubt::Carried;
        }
        if let Some(binding) = self.binding_mut() {
            binding.sent = None;
        }
        if let Some(session) = self.current_mut() {
            session.salts.on_disconnected();
        }
    }
}

impl TemporaryState {
    const fn key(&self) -> Option<&TemporaryKeyInUse> {
        match self {
            Self::Missing => None,
            Self::Unbound(key, _) | Self::Bound(key) => Some(key),
        }
    }

    const fn key_mut(&mut self) -> Option<&mut TemporaryKeyInUse> {
        match self {
            Self::Missing => None,
            Self::Unbound(key, _) | Self::Bound(key) => Some(key),
        }
    }

    /// Returns when the next key is requested; long ago if there is none.
    fn renew_at(&self) -> i64 {
        self.key().map_or(0, |key| key.renew_at)
    }
}

impl Binding {
    /// Returns whether the request must go out.
    pub(super) const fn is_wanted(&self) -> bool {
        self.sent.is_none()
    }

    pub(super) const fn on_sent(&mut self, msg_id: MsgId, now: MonoTime) {
        self.sent = Some((msg_id, now));
        self.attempts = self.attempts.saturating_add(1);
    }
}

/// A sign that the server may not know a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySign {
    /// Transport error -404: not authenticated.
    NotFound,
    /// `ENCRYPTED_MESSAGE_INVALID` to a binding: authenticated by the temporary key.
    BindingInvalid,
    /// `EXPIRES_AT_INVALID`, `TEMP_AUTH_KEY_ALREADY_BOUND`, `TEMP_AUTH_KEY_EMPTY`: the temporary key is of no use.
    TemporaryUnusable,
}

/// What to do about a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
    /// Connect again with the same keys.
    Reconnect,
    /// Forget the temporary key and make a new one; the permanent one stays.
    ReplaceTemporary,
    /// Check the permanent key by binding a temporary one.
    Doubt,
    /// The permanent key is gone.
    GiveUp,
}

/// Keys in doubt.
impl Keys {
    /// An authenticated message came under the key in use.
    #[inline]
    pub(super) const fn on_proven(&mut self) {
        match self {
            Self::Permanent { standing, .. } => *standing = Standing::Proven,
            Self::Temporary(keys) => keys.doubt = Doubt::None,
        }
    }

    /// Returns what a sign of trouble means. What decides is evidence and time, never a number of attempts.
    pub(super) fn on_sign(&mut self, sign: KeySign, now: MonoTime, seconds: i64) -> KeyAction {
        let age = seconds.saturating_sub(self.created_at());
        match (sign, self) {
            (KeySign::NotFound, Self::Permanent { standing, .. }) => match *standing {
                // One frame that anybody could have made, against a key that has worked.
                Standing::Proven => {
                    *standing = Standing::Missing { since: now };
                    KeyAction::Reconnect
                }
                Standing::Missing { since } if since + DOUBT_AFTER > now => KeyAction::Reconnect,
                // Nothing speaks for the key, and there may be no further attempt. To bind a temporary key is harmless.
                Standing::Untried | Standing::Missing { .. } => KeyAction::Doubt,
            },
            (KeySign::NotFound, Self::Temporary(keys))
                if matches!(keys.state, TemporaryState::Bound(_)) && keys.doubt != Doubt::Carried =>
            {
                keys.doubt = Doubt::Raised;
                KeyAction::Reconnect
            }
            // While the permanent key is young, it may not have reached the server that was asked.
            (KeySign::BindingInvalid, _) if age >= YOUNG_KEY => KeyAction::GiveUp,
            (KeySign::NotFound | KeySign::BindingInvalid | KeySign::TemporaryUnusable, _) => {
                KeyAction::ReplaceTemporary
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SessionLimits;
    use crate::salts::SaltTable;

    fn session(byte: u8) -> KeySession {
        let limits = SessionLimits::default();
        let salts = SaltTable::from_salts([], limits.salts);
        KeySession::new(AuthKey::from_bytes([byte; 256]), salts, &limits, Generation::default())
    }

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_duration(Duration::from_secs(seconds))
    }

    fn temporary(created_at: i64) -> Keys {
        Keys::temporary(AuthKey::from_bytes([9; 256]), created_at)
    }

    #[test]
    fn sec_122_a_transport_error_under_a_temporary_key_never_touches_the_permanent_one() {
        let mut keys = temporary(0);
        for age in [0, 59, 60, 1 << 40] {
            for second in 0..100 {
                let action = keys.on_sign(KeySign::NotFound, at(second), age);
                assert_eq!(action, KeyAction::ReplaceTemporary);
            }
        }
    }

    #[test]
    fn sec_134_a_transport_error_under_a_permanent_key_raises_doubt_and_nothing_more() {
        let mut keys = Keys::permanent(session(1), 0);
        assert_eq!(keys.on_sign(KeySign::NotFound, at(0), 1 << 40), KeyAction::Doubt);
        keys.on_proven();
        for (second, action) in
            [(10, KeyAction::Reconnect), (14, KeyAction::Reconnect), (15, KeyAction::Doubt)]
        {
            assert_eq!(keys.on_sign(KeySign::NotFound, at(second), 1 << 40), action, "{second}");
        }
        keys.on_proven();
        assert_eq!(keys.on_sign(KeySign::NotFound, at(100), 1 << 40), KeyAction::Reconnect);
    }

    #[test]
    fn sec_123_only_a_key_older_than_a_minute_is_given_up() {
        let mut keys = temporary(1000);
        for _ in 0..1000 {
            assert_eq!(keys.on_sign(KeySign::BindingInvalid, at(0), 1059), KeyAction::ReplaceTemporary);
        }
        assert_eq!(keys.on_sign(KeySign::BindingInvalid, at(0), 1060), KeyAction::GiveUp);
    }

    #[test]
    fn a_useless_temporary_key_is_replaced() {
        let action = temporary(0).on_sign(KeySign::TemporaryUnusable, at(0), 1 << 40);
        assert_eq!(action, KeyAction::ReplaceTemporary);
    }

    #[test]
    fn a_key_that_cannot_be_bound_is_followed_by_the_next_after_a_pause() {
        let now = crate::Now::new(MonoTime::ZERO, chappe_framing::UnixTime::from_secs(1000));
        let clock = ServerClock::synchronized(now, 0);
        let mut keys = temporary(0);
        assert!(keys.request(at(0), &clock));
        assert!(!keys.request(at(29), &clock) && keys.request(at(30), &clock), "it did not come");
        keys.install(session(1), 100_000, 1030);
        assert_eq!(keys.drop_temporary(), Dropped::All);
        assert!(!keys.request(at(34), &clock) && keys.request(at(35), &clock), "it was of no use");
        keys.install(session(2), 100_000, 1035);
        keys.on_bound(at(35));
        assert_eq!(keys.drop_temporary(), Dropped::All);
        assert!(keys.request(at(36), &clock), "it was of use");
    }

    #[test]
    fn a_bound_key_is_dropped_when_a_second_connection_finds_it_missing_too() {
        let mut keys = temporary(0);
        keys.install(session(1), 100_000, 0);
        keys.on_bound(at(1));
        let not_found = |keys: &mut Keys| keys.on_sign(KeySign::NotFound, at(2), 1 << 40);
        assert_eq!(not_found(&mut keys), KeyAction::Reconnect);
        assert_eq!(not_found(&mut keys), KeyAction::Reconnect, "the same connection says nothing new");
        keys.on_disconnected();
        keys.on_proven();
        assert_eq!(not_found(&mut keys), KeyAction::Reconnect, "it was there");
        keys.on_disconnected();
        assert_eq!(not_found(&mut keys), KeyAction::ReplaceTemporary);
    }

    #[test]
    fn a_key_that_was_never_bound_gives_way_to_the_one_before() {
        let mut keys = temporary(0);
        keys.install(session(1), 100_000, 0);
        keys.on_bound(at(1));
        assert_eq!(keys.install(session(2), 200_000, 90_000), Installed::Beside);
        assert_eq!(keys.drop_temporary(), Dropped::Next);
        assert!(keys.is_usable() && keys.slot_of(session(1).key.id()) == Some(KeySlot::Current));
        keys.install(session(3), 200_000, 90_000);
        keys.on_bound(at(2));
        assert_eq!(keys.replaced_at(), Some(at(2)));
        assert!(keys.previous_to_ack().is_none(), "the server has forgotten it");
        assert_eq!((keys.drop_temporary(), keys.slot_of(session(1).key.id())), (Dropped::All, None));
    }
}
