//! The keys of a client: which one packets travel under, when another is needed, and what becomes of one in doubt.
//!
//! A permanent key is given up only on an answer that was *authenticated*. A transport error is not: anyone on the
//! path can forge it (SEC-122, SEC-134).
//!
//! Not here: the binding message ([`chappe_framing::bind`]), and the making of keys.
//!
//! Spec: <https://core.telegram.org/api/pfs>.

mod binding;
mod request;
mod sign;
mod temporary;

use alloc::boxed::Box;

use chappe_crypto::{AuthKey, AuthKeyId};
use chappe_framing::MsgId;

use super::key_session::{Generation, KeySession};
use crate::clock::ServerClock;
use crate::time::MonoTime;
use binding::Binding;
use sign::Standing;

pub(super) use sign::{KeyAction, KeySign};
pub(super) use temporary::{Dropped, Installed, TemporaryKeys, UnboundKey};

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

/// Which of the keys a message came under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySlot {
    Current,
    /// Only acknowledgements are sent under the key before.
    Previous,
}

/// Making and looking.
impl Keys {
    pub(super) fn permanent(session: KeySession, created_at: i64) -> Self {
        Self::Permanent { session: Box::new(session), created_at, standing: Standing::Untried }
    }

    pub(super) fn temporary(permanent: AuthKey, created_at: i64) -> Self {
        Self::Temporary(Box::new(TemporaryKeys::new(permanent, created_at)))
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

    /// Returns the temporary keys if packets travel under such.
    fn as_temporary(&self) -> Option<&TemporaryKeys> {
        match self {
            Self::Permanent { .. } => None,
            Self::Temporary(keys) => Some(keys),
        }
    }

    fn as_temporary_mut(&mut self) -> Option<&mut TemporaryKeys> {
        match self {
            Self::Permanent { .. } => None,
            Self::Temporary(keys) => Some(keys),
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
            Self::Temporary(keys) => keys.current(),
        }
    }

    #[inline]
    pub(super) fn current_mut(&mut self) -> Option<&mut KeySession> {
        match self {
            Self::Permanent { session, .. } => Some(session),
            Self::Temporary(keys) => keys.current_mut(),
        }
    }

    /// Returns the key in use, and what is needed to bind it if that has not been done.
    pub(super) fn sending(&mut self) -> Option<(&mut KeySession, Option<UnboundKey<'_>>)> {
        match self {
            Self::Permanent { session, .. } => Some((session, None)),
            Self::Temporary(keys) => keys.sending(),
        }
    }

    fn previous(&self) -> Option<&KeySession> {
        self.as_temporary()?.previous()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: KeySlot) -> Option<&mut KeySession> {
        match slot {
            KeySlot::Current => self.current_mut(),
            KeySlot::Previous => self.as_temporary_mut()?.previous_mut(),
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
        self.as_temporary().is_none_or(TemporaryKeys::is_bound)
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
        self.get_mut(KeySlot::Previous).filter(|_| !is_replaced)
    }

    /// Returns when the key in use replaced the one before, if answers under that are still accepted.
    pub(super) fn replaced_at(&self) -> Option<MonoTime> {
        self.as_temporary()?.replaced_at()
    }
}

/// Temporary keys: requested, installed, bound, dropped.
impl Keys {
    /// Takes a temporary key, which has to be bound.
    ///
    /// A session whose permanent key was in use goes over to temporary keys.
    pub(super) fn install(&mut self, session: KeySession, expires_at: i64, seconds: i64) -> Installed {
        match self {
            Self::Permanent { session: permanent, created_at, .. } => {
                let mut keys = TemporaryKeys::new(permanent.key.clone(), *created_at);
                keys.install(session, expires_at, seconds);
                *self = Self::Temporary(Box::new(keys));
                Installed::Instead
            }
            Self::Temporary(keys) => keys.install(session, expires_at, seconds),
        }
    }

    /// Returns when a temporary key must be requested, for the first time or again; `None` if none is used.
    pub(super) fn request_due(&self, clock: &ServerClock) -> Option<MonoTime> {
        Some(self.as_temporary()?.request_due(clock))
    }

    /// Returns whether to request a temporary key now, and records that it was.
    pub(super) fn request(&mut self, now: MonoTime, clock: &ServerClock) -> bool {
        self.as_temporary_mut().is_some_and(|keys| keys.request(now, clock))
    }

    /// Drops temporary keys that have expired (SEC-124).
    pub(super) fn expire(&mut self, seconds: i64) -> Dropped {
        self.as_temporary_mut().map_or(Dropped::Nothing, |keys| keys.expire(seconds))
    }

    /// Drops the temporary key in use. If it was not bound, the one before is used again.
    pub(super) fn drop_temporary(&mut self) -> Dropped {
        self.as_temporary_mut().map_or(Dropped::Nothing, TemporaryKeys::drop_current)
    }

    /// Drops the key before.
    pub(super) fn drop_previous(&mut self) {
        if let Some(keys) = self.as_temporary_mut() {
            keys.drop_previous();
        }
    }

    /// The server confirmed the binding: calls may flow.
    pub(super) fn on_bound(&mut self, now: MonoTime) {
        if let Some(keys) = self.as_temporary_mut() {
            keys.on_bound(now);
        }
    }

    /// The server has forgotten the binding of a key: it is bound again.
    pub(super) fn unbind(&mut self) {
        if let Some(keys) = self.as_temporary_mut() {
            keys.unbind();
        }
    }

    /// The connection is gone, and with it the answer to the binding.
    pub(super) fn on_disconnected(&mut self) {
        if let Some(keys) = self.as_temporary_mut() {
            // The next connection is for the key in use; nothing more will come under the one before.
            keys.drop_previous();
            keys.on_disconnected();
        }
        if let Some(session) = self.current_mut() {
            session.salts.on_disconnected();
        }
    }
}

/// The binding of the key in use.
impl Keys {
    fn binding(&self) -> Option<&Binding> {
        self.as_temporary()?.binding()
    }

    fn binding_mut(&mut self) -> Option<&mut Binding> {
        self.as_temporary_mut()?.binding_mut()
    }

    /// Returns whether the answer to a binding is awaited.
    pub(super) fn awaits_binding(&self) -> bool {
        self.binding().is_some_and(|binding| !binding.is_wanted())
    }

    /// Returns whether the message with this id is the binding that is awaited.
    pub(super) fn is_binding(&self, msg_id: MsgId) -> bool {
        self.binding().is_some_and(|binding| binding.is_sent_as(msg_id))
    }

    /// The binding was refused or lost: it is sent again, unless it was sent `limit` times. Returns whether it is.
    pub(super) fn bind_again(&mut self, limit: u8) -> bool {
        self.binding_mut().is_none_or(|binding| binding.lose() < limit)
    }

    /// Sends the binding again if its answer is overdue.
    pub(super) fn renew_binding(&mut self, now: MonoTime) {
        if let Some(binding) = self.binding_mut() {
            binding.renew(now);
        }
    }

    /// Returns when the binding is sent again.
    pub(super) fn binding_due(&self) -> Option<MonoTime> {
        self.binding()?.due()
    }

    /// The binding sent before this message is lost.
    pub(super) fn lose_binding_before(&mut self, first: MsgId) {
        if let Some(binding) = self.binding_mut() {
            binding.lose_before(first);
        }
    }
}

/// Keys in doubt.
impl Keys {
    /// An authenticated message came under the key in use.
    #[inline]
    pub(super) const fn on_proven(&mut self) {
        match self {
            Self::Permanent { standing, .. } => *standing = Standing::Proven,
            Self::Temporary(keys) => keys.on_proven(),
        }
    }

    /// Returns what a sign of trouble means.
    pub(super) fn on_sign(&mut self, sign: KeySign, now: MonoTime, seconds: i64) -> KeyAction {
        match self {
            Self::Permanent { standing, .. } => standing.on_sign(sign, now),
            Self::Temporary(keys) => keys.on_sign(sign, seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

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
