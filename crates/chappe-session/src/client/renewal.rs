//! Temporary keys: asked for, installed, renewed in time, dropped; and what becomes of a key in doubt.
//!
//! Not here: the decision itself ([`super::keys`]), the binding message ([`super::binding`]).

use alloc::boxed::Box;
use core::time::Duration;

use super::epoch::{BindingState, Epoch, Role};
use super::keys::{self, Facts, Sign, Verdict};
use super::{AuthorizationTrouble, ClientSession, Event, TemporaryKey};
use crate::salts::SaltTable;
use crate::time::{MonoTime, Now};

/// Seconds before a temporary key ends at which the next one is made.
const KEY_MARGIN: i64 = 3600;

/// Least time between two requests for a temporary key.
const KEY_PAUSE: Duration = Duration::from_secs(30);

impl ClientSession {
    /// Takes a temporary key that a handshake has just made; it is bound with the next packet.
    ///
    /// Answers under the key before are taken for as long as that key lives. A session without forward secrecy whose
    /// permanent key is in doubt goes over to temporary keys by this.
    pub fn install_temporary_key(&mut self, now: Now, key: TemporaryKey) {
        let limits = &self.config.limits;
        let salts = SaltTable::new(key.first_salt, self.clock.seconds(now.mono), limits.salts);
        let role = Role::Temporary { expires_at: key.expires_at, binding: BindingState::Wanted };
        let epoch = Epoch::new(key.auth_key, salts, role, limits);
        let before = self.current.replace(Box::new(epoch));
        if let Some(before) = before {
            if before.role == Role::Permanent {
                self.permanent = Some(before.key.clone());
            }
            if let Role::Temporary { binding: BindingState::Asked(call), .. } = before.role {
                self.outbox.end(call);
            }
            if before.is_usable() && before.role != Role::Permanent {
                self.previous = Some(before);
            }
        }
        self.key_wanted_at = None;
        self.era = self.era.wrapping_add(1);
        if let Some(service) = self.service.present_mut() {
            service.forget_questions();
        }
        if self.previous.is_none() {
            self.doubt_what_was_sent();
            self.ask_about_uncertain();
        }
    }

    /// Asks the caller for a temporary key if one is needed, now and then until it comes.
    pub(super) fn want_temporary_key(&mut self, now: Now) {
        if self.permanent.is_none() || self.terminated || !self.is_connected() {
            return;
        }
        let expires_at = match self.current.as_ref().map(|epoch| epoch.role) {
            Some(Role::Temporary { expires_at, .. }) => expires_at,
            _ => 0,
        };
        let is_due = self.clock.seconds(now.mono) >= expires_at - KEY_MARGIN;
        let asked_long_ago = self.key_wanted_at.is_none_or(|at| at + KEY_PAUSE <= now.mono);
        if is_due && asked_long_ago {
            self.key_wanted_at = Some(now.mono);
            self.events.plain(Event::NeedTemporaryKey);
        }
    }

    /// Forgets temporary keys that have expired (SEC-124).
    pub(super) fn forget_previous_key(&mut self, now: Now) {
        let seconds = self.clock.seconds(now.mono);
        let is_over =
            |epoch: &Epoch| matches!(epoch.role, Role::Temporary { expires_at, .. } if expires_at <= seconds);
        if self.previous.take_if(|epoch| is_over(epoch)).is_some() {
            self.give_up_on_former_sessions();
        }
        if self.current.as_ref().is_some_and(|epoch| is_over(epoch)) {
            self.drop_temporary_key();
        }
    }

    /// Drops the temporary key in use. Calls stay pending until the next key is bound.
    pub(super) fn drop_temporary_key(&mut self) {
        let Some(epoch) = self.current.take() else {
            return;
        };
        if let Role::Temporary { binding: BindingState::Asked(call), .. } = epoch.role {
            self.outbox.end(call);
        }
        self.sent.clear();
        self.key_wanted_at = None;
        self.era = self.era.wrapping_add(1);
        if let Some(service) = self.service.present_mut() {
            service.forget_questions();
        }
        self.doubt_what_was_sent();
    }

    pub(super) fn on_key_sign(&mut self, now: Now, sign: Sign) {
        self.key_signs = self.key_signs.saturating_add(1);
        let facts = Facts {
            is_temporary: self.permanent.is_some(),
            permanent_age: self.clock.seconds(now.mono) - self.permanent_created_at,
            times: self.key_signs,
        };
        match keys::decide(sign, facts) {
            Verdict::Reconnect => {}
            Verdict::NewTemporaryKey => {
                self.drop_temporary_key();
                self.want_temporary_key(now);
            }
            Verdict::Doubt => {
                self.events.plain(Event::Authorization(AuthorizationTrouble::PermanentKeyDoubtful));
            }
            Verdict::PermanentKeyRefused => self.terminate(AuthorizationTrouble::PermanentKeyRefused),
        }
    }

    /// When a temporary key must be asked for, again, or forgotten.
    pub(super) fn key_due(&self) -> Option<MonoTime> {
        self.permanent.as_ref()?;
        let expires_at = match self.current.as_ref().map(|epoch| epoch.role) {
            Some(Role::Temporary { expires_at, .. }) => expires_at,
            _ => 0,
        };
        let due = self.clock.when(expires_at - KEY_MARGIN);
        Some(self.key_wanted_at.map_or(due, |at| due.max(at + KEY_PAUSE)))
    }
}
