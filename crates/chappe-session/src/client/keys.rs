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

use super::key_session::KeySession;
use crate::clock::ServerClock;
use crate::time::MonoTime;

/// Seconds before a temporary key ends at which the next one is requested.
const RENEWAL_MARGIN: i64 = 3600;

/// Least time between two requests for a temporary key.
const REQUEST_PAUSE: Duration = Duration::from_secs(30);

/// A permanent key younger than this, in seconds, may not have reached every server yet (SEC-123).
const YOUNG_KEY: i64 = 60;

/// Times -404 is answered with a new connection alone before the permanent key is doubted.
const RECONNECTS: u8 = 3;

/// Times a binding is tried again with a new temporary key while the permanent key is young.
const REBINDS: u8 = 5;

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
    },
    /// Packets travel under temporary keys; the permanent one only binds them.
    Temporary(TemporaryKeys),
}

/// Forward secrecy: a permanent key and the temporary ones under it.
#[derive(Debug)]
pub(super) struct TemporaryKeys {
    permanent: AuthKey,
    /// When the permanent key was made, in Unix seconds of the server.
    created_at: i64,
    state: TemporaryState,
    /// The key before, whose answers are still accepted.
    before: Option<TemporaryKeyInUse>,
    /// When a key was last requested.
    requested_at: Option<MonoTime>,
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

/// What [`Keys::expire`] dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    Nothing,
    /// The key before.
    Previous,
    /// The key in use.
    Current,
}

/// Making and looking.
impl Keys {
    pub(super) fn permanent(session: KeySession, created_at: i64) -> Self {
        Self::Permanent { session: Box::new(session), created_at }
    }

    pub(super) const fn temporary(permanent: AuthKey, created_at: i64) -> Self {
        Self::Temporary(TemporaryKeys {
            permanent,
            created_at,
            state: TemporaryState::Missing,
            before: None,
            requested_at: None,
        })
    }

    /// Returns the permanent key.
    pub(super) fn permanent_key(&self) -> &AuthKey {
        match self {
            Self::Permanent { session, .. } => &session.key,
            Self::Temporary(keys) => &keys.permanent,
        }
    }

    /// Returns when the permanent key was made, in Unix seconds of the server.
    pub(super) const fn created_at(&self) -> i64 {
        match self {
            Self::Permanent { created_at, .. } | Self::Temporary(TemporaryKeys { created_at, .. }) => {
                *created_at
            }
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
            Self::Temporary(TemporaryKeys { permanent, state, .. }) => match state {
                TemporaryState::Missing => None,
                TemporaryState::Unbound(key, binding) => {
                    let expires_at = key.expires_at;
                    Some((&mut key.session, Some(UnboundKey { permanent, expires_at, binding })))
                }
                TemporaryState::Bound(key) => Some((&mut key.session, None)),
            },
        }
    }

    fn previous(&self) -> Option<&KeySession> {
        match self {
            Self::Permanent { .. } => None,
            Self::Temporary(keys) => keys.before.as_ref().map(|key| &*key.session),
        }
    }

    fn previous_mut(&mut self) -> Option<&mut KeySession> {
        match self {
            Self::Permanent { .. } => None,
            Self::Temporary(keys) => keys.before.as_mut().map(|key| &mut *key.session),
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
    pub(super) const fn is_usable(&self) -> bool {
        match self {
            Self::Permanent { .. } => true,
            Self::Temporary(keys) => matches!(keys.state, TemporaryState::Bound(_)),
        }
    }

    /// Returns the key before if what comes under it is still acknowledged: until the next key is bound. From then
    /// on the server has forgotten it and would answer -404.
    #[inline]
    pub(super) fn previous_to_ack(&self) -> Option<&KeySession> {
        self.previous().filter(|_| !self.is_usable())
    }

    #[inline]
    pub(super) fn previous_to_ack_mut(&mut self) -> Option<&mut KeySession> {
        let is_usable = self.is_usable();
        self.previous_mut().filter(|_| !is_usable)
    }
}

/// Temporary keys: requested, installed, bound, dropped.
impl Keys {
    /// Takes a temporary key, which has to be bound; returns whether answers under the key before are still accepted.
    ///
    /// A session whose permanent key was in use goes over to temporary keys.
    pub(super) fn install(&mut self, session: KeySession, expires_at: i64) -> bool {
        let session = Box::new(session);
        let state = TemporaryState::Unbound(TemporaryKeyInUse { session, expires_at }, Binding::default());
        match self {
            Self::Permanent { session, created_at } => {
                let permanent = session.key.clone();
                *self = Self::temporary(permanent, *created_at);
                if let Self::Temporary(keys) = self {
                    keys.state = state;
                }
                false
            }
            Self::Temporary(keys) => {
                if let TemporaryState::Bound(before) = core::mem::replace(&mut keys.state, state) {
                    keys.before = Some(before);
                }
                keys.requested_at = None;
                keys.before.is_some()
            }
        }
    }

    /// Returns when a temporary key must be requested, for the first time or again; `None` if none is used.
    pub(super) fn request_due(&self, clock: &ServerClock) -> Option<MonoTime> {
        let Self::Temporary(keys) = self else {
            return None;
        };
        let due = clock.when(keys.state.expires_at() - RENEWAL_MARGIN);
        Some(keys.requested_at.map_or(due, |at| due.max(at + REQUEST_PAUSE)))
    }

    /// Returns whether to request a temporary key now, and records that it was.
    pub(super) fn request(&mut self, now: MonoTime, clock: &ServerClock) -> bool {
        let Self::Temporary(keys) = self else {
            return false;
        };
        let is_due = clock.seconds(now) >= keys.state.expires_at() - RENEWAL_MARGIN;
        let has_paused = keys.requested_at.is_none_or(|at| at + REQUEST_PAUSE <= now);
        if is_due && has_paused {
            keys.requested_at = Some(now);
        }
        is_due && has_paused
    }

    /// Drops temporary keys that have expired (SEC-124).
    pub(super) fn expire(&mut self, seconds: i64) -> Expired {
        let Self::Temporary(keys) = self else {
            return Expired::Nothing;
        };
        let has_dropped = keys.before.take_if(|key| key.expires_at <= seconds).is_some();
        if keys.state.key().is_some_and(|key| key.expires_at <= seconds) {
            self.drop_temporary();
            return Expired::Current;
        }
        if has_dropped { Expired::Previous } else { Expired::Nothing }
    }

    /// Drops the temporary key in use, so that the next may be requested at once; returns whether there was one.
    pub(super) fn drop_temporary(&mut self) -> bool {
        let Self::Temporary(keys) = self else {
            return false;
        };
        let is_there = keys.state.key().is_some();
        if is_there {
            keys.state = TemporaryState::Missing;
            keys.requested_at = None;
        }
        is_there
    }

    /// Drops the key before.
    pub(super) fn drop_previous(&mut self) {
        if let Self::Temporary(keys) = self {
            keys.before = None;
        }
    }

    fn binding(&self) -> Option<&Binding> {
        match self {
            Self::Temporary(TemporaryKeys { state: TemporaryState::Unbound(_, binding), .. }) => {
                Some(binding)
            }
            _ => None,
        }
    }

    fn binding_mut(&mut self) -> Option<&mut Binding> {
        match self {
            Self::Temporary(TemporaryKeys { state: TemporaryState::Unbound(_, binding), .. }) => {
                Some(binding)
            }
            _ => None,
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
    pub(super) fn on_bound(&mut self) {
        let Self::Temporary(keys) = self else {
            return;
        };
        match core::mem::replace(&mut keys.state, TemporaryState::Missing) {
            TemporaryState::Unbound(mut key, _) => {
                key.session.is_initialized = false;
                keys.state = TemporaryState::Bound(key);
                keys.requested_at = None;
                if let Some(before) = &mut keys.before {
                    before.session.inbox.acks.clear();
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

    /// Returns when the key expires; long ago if there is none.
    fn expires_at(&self) -> i64 {
        self.key().map_or(0, |key| key.expires_at)
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

/// What is known of the keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyFacts {
    /// Whether a temporary key is in use.
    pub(super) is_temporary: bool,
    /// Age of the permanent key in seconds.
    pub(super) permanent_age: i64,
    /// How often the same sign came in a row, this one included.
    pub(super) times: u8,
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

/// Returns what a sign means.
pub(super) const fn decide(sign: KeySign, facts: KeyFacts) -> KeyAction {
    match sign {
        KeySign::NotFound if facts.is_temporary => KeyAction::ReplaceTemporary,
        KeySign::NotFound if facts.times <= RECONNECTS => KeyAction::Reconnect,
        KeySign::NotFound => KeyAction::Doubt,
        KeySign::BindingInvalid if facts.permanent_age < YOUNG_KEY && facts.times <= REBINDS => {
            KeyAction::ReplaceTemporary
        }
        KeySign::BindingInvalid => KeyAction::GiveUp,
        KeySign::TemporaryUnusable => KeyAction::ReplaceTemporary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn facts(is_temporary: bool, permanent_age: i64, times: u8) -> KeyFacts {
        KeyFacts { is_temporary, permanent_age, times }
    }

    #[test]
    fn sec_122_a_transport_error_under_a_temporary_key_never_touches_the_permanent_one() {
        for times in 1..=u8::MAX {
            for age in [0, 59, 60, 1 << 40] {
                let action = decide(KeySign::NotFound, facts(true, age, times));
                assert_eq!(action, KeyAction::ReplaceTemporary);
            }
        }
    }

    #[test]
    fn sec_134_a_transport_error_under_a_permanent_key_raises_doubt_and_nothing_more() {
        for times in 1..=u8::MAX {
            let action = decide(KeySign::NotFound, facts(false, 1 << 40, times));
            let expected = if times <= RECONNECTS { KeyAction::Reconnect } else { KeyAction::Doubt };
            assert_eq!(action, expected, "{times}");
        }
    }

    #[test]
    fn sec_123_only_a_key_older_than_a_minute_is_given_up() {
        let action = |age| decide(KeySign::BindingInvalid, facts(true, age, 1));
        assert_eq!((action(59), action(60)), (KeyAction::ReplaceTemporary, KeyAction::GiveUp));
    }

    #[test]
    fn a_useless_temporary_key_is_replaced() {
        assert_eq!(decide(KeySign::TemporaryUnusable, facts(true, 0, 9)), KeyAction::ReplaceTemporary);
    }
}
