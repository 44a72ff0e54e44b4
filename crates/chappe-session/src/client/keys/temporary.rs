//! Temporary keys under a permanent one: requested, installed, bound, replaced, dropped.
//!
//! Spec: <https://core.telegram.org/api/pfs>.

use alloc::boxed::Box;

use chappe_crypto::AuthKey;

use super::binding::Binding;
use super::request::KeyRequest;
use super::sign::{KeyAction, KeySign, YOUNG_KEY};
use crate::client::key_session::KeySession;
use crate::clock::ServerClock;
use crate::time::MonoTime;

/// Seconds before a temporary key ends at which the next one is requested, at most: a key may be asked for less than
/// that, and is renewed when half of its life is left.
const RENEWAL_MARGIN: i64 = 3600;

/// Forward secrecy: a permanent key and the temporary ones under it.
#[derive(Debug)]
pub(in super::super) struct TemporaryKeys {
    pub(super) permanent: AuthKey,
    /// When the permanent key was made, in Unix seconds of the server.
    pub(super) created_at: i64,
    state: TemporaryState,
    /// The key before, whose answers are still accepted.
    before: Option<FormerKey>,
    request: KeyRequest,
    doubt: Doubt,
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

/// What a packet that binds the key in use needs to know.
#[derive(Debug)]
pub(in super::super) struct UnboundKey<'k> {
    pub(in super::super) permanent: &'k AuthKey,
    pub(in super::super) expires_at: i64,
    pub(in super::super) binding: &'k mut Binding,
}

/// What was dropped, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Dropped {
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
pub(in super::super) enum Installed {
    /// No key was in use.
    First,
    /// Answers under the key that was in use are still accepted.
    Beside,
    /// It took the place of the key that was in use.
    Instead,
}

/// Making and looking.
impl TemporaryKeys {
    pub(super) const fn new(permanent: AuthKey, created_at: i64) -> Self {
        Self {
            permanent,
            created_at,
            state: TemporaryState::Missing,
            before: None,
            request: KeyRequest::Allowed,
            doubt: Doubt::None,
        }
    }

    pub(super) fn current(&self) -> Option<&KeySession> {
        self.state.key().map(|key| &*key.session)
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut KeySession> {
        self.state.key_mut().map(|key| &mut *key.session)
    }

    pub(super) fn previous(&self) -> Option<&KeySession> {
        self.before.as_ref().map(|before| &*before.key.session)
    }

    pub(super) fn previous_mut(&mut self) -> Option<&mut KeySession> {
        self.before.as_mut().map(|before| &mut *before.key.session)
    }

    /// Returns the key in use, and what is needed to bind it if that has not been done.
    pub(super) fn sending(&mut self) -> Option<(&mut KeySession, Option<UnboundKey<'_>>)> {
        match &mut self.state {
            TemporaryState::Missing => None,
            TemporaryState::Unbound(key, binding) => {
                let unbound = UnboundKey { permanent: &self.permanent, expires_at: key.expires_at, binding };
                Some((&mut key.session, Some(unbound)))
            }
            TemporaryState::Bound(key) => Some((&mut key.session, None)),
        }
    }

    pub(super) const fn is_bound(&self) -> bool {
        matches!(self.state, TemporaryState::Bound(_))
    }

    pub(super) fn replaced_at(&self) -> Option<MonoTime> {
        self.before.as_ref()?.replaced_at
    }

    /// Returns the binding of the key in use until it is confirmed.
    pub(super) const fn binding(&self) -> Option<&Binding> {
        match &self.state {
            TemporaryState::Unbound(_, binding) => Some(binding),
            TemporaryState::Missing | TemporaryState::Bound(_) => None,
        }
    }

    pub(super) const fn binding_mut(&mut self) -> Option<&mut Binding> {
        match &mut self.state {
            TemporaryState::Unbound(_, binding) => Some(binding),
            TemporaryState::Missing | TemporaryState::Bound(_) => None,
        }
    }
}

/// What changes.
impl TemporaryKeys {
    /// Takes a key, which has to be bound.
    pub(super) fn install(&mut self, session: KeySession, expires_at: i64, seconds: i64) -> Installed {
        let life = expires_at.saturating_sub(seconds).max(0);
        let renew_at = expires_at.saturating_sub(RENEWAL_MARGIN.min(life / 2));
        let key = TemporaryKeyInUse { session: Box::new(session), expires_at, renew_at };
        self.request.on_installed();
        match core::mem::replace(&mut self.state, TemporaryState::Unbound(key, Binding::default())) {
            TemporaryState::Bound(key) => {
                self.before = Some(FormerKey { key, replaced_at: None });
                Installed::Beside
            }
            TemporaryState::Unbound(..) => Installed::Instead,
            TemporaryState::Missing => Installed::First,
        }
    }

    /// Returns when a key must be requested, for the first time or again.
    pub(super) fn request_due(&self, clock: &ServerClock) -> MonoTime {
        clock.when(self.state.renew_at()).max(self.request.earliest())
    }

    /// Returns whether to request a key now, and records that it was.
    pub(super) fn request(&mut self, now: MonoTime, clock: &ServerClock) -> bool {
        let is_due = clock.seconds(now) >= self.state.renew_at() && self.request.earliest() <= now;
        if is_due {
            self.request = KeyRequest::Open { since: now };
        }
        is_due
    }

    /// Drops keys that have expired (SEC-124).
    pub(super) fn expire(&mut self, seconds: i64) -> Dropped {
        let previous = self.before.take_if(|before| before.key.expires_at <= seconds);
        if self.state.key().is_some_and(|key| key.expires_at <= seconds) {
            return self.drop_current();
        }
        if previous.is_some() { Dropped::Previous } else { Dropped::Nothing }
    }

    /// Drops the key in use. If it was not bound, the one before is used again.
    pub(super) fn drop_current(&mut self) -> Dropped {
        let state = core::mem::replace(&mut self.state, TemporaryState::Missing);
        self.doubt = Doubt::None;
        match (state, self.before.take()) {
            (TemporaryState::Missing, None) => Dropped::Nothing,
            (TemporaryState::Unbound(..), Some(FormerKey { key, replaced_at: None })) => {
                self.state = TemporaryState::Bound(key);
                self.request.on_failed();
                Dropped::Next
            }
            _ => Dropped::All,
        }
    }

    pub(super) fn drop_previous(&mut self) {
        self.before = None;
    }

    /// The server confirmed the binding: calls may flow.
    pub(super) fn on_bound(&mut self, now: MonoTime) {
        match core::mem::replace(&mut self.state, TemporaryState::Missing) {
            TemporaryState::Unbound(mut key, _) => {
                key.session.is_initialized = false;
                self.state = TemporaryState::Bound(key);
                self.request = KeyRequest::Allowed;
                if let Some(before) = &mut self.before {
                    before.replaced_at = Some(now);
                    before.key.session.inbox.acks.clear();
                }
            }
            other => self.state = other,
        }
    }

    /// The server has forgotten the binding of the key: it is bound again.
    pub(super) fn unbind(&mut self) {
        match core::mem::replace(&mut self.state, TemporaryState::Missing) {
            TemporaryState::Bound(key) => self.state = TemporaryState::Unbound(key, Binding::default()),
            other => self.state = other,
        }
    }

    /// The connection is gone, and with it the answer to the binding.
    pub(super) fn on_disconnected(&mut self) {
        if self.doubt == Doubt::Raised {
            self.doubt = Doubt::Carried;
        }
        if let Some(binding) = self.binding_mut() {
            binding.lose();
        }
    }

    /// An authenticated message came under the key in use.
    pub(super) const fn on_proven(&mut self) {
        self.doubt = Doubt::None;
    }

    /// Returns what a sign of trouble means.
    pub(super) fn on_sign(&mut self, sign: KeySign, seconds: i64) -> KeyAction {
        match sign {
            KeySign::NotFound if self.is_bound() && self.doubt != Doubt::Carried => {
                self.doubt = Doubt::Raised;
                KeyAction::Reconnect
            }
            // While the permanent key is young, it may not have reached the server that was asked.
            KeySign::BindingInvalid if seconds.saturating_sub(self.created_at) >= YOUNG_KEY => {
                KeyAction::GiveUp
            }
            KeySign::NotFound | KeySign::BindingInvalid | KeySign::TemporaryUnusable => {
                KeyAction::ReplaceTemporary
            }
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
