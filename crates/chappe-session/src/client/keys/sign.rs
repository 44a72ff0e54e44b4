//! Signs that the server may not know a key, and what they mean for a permanent key in use.
//!
//! What decides is evidence and time, never a number of attempts.

use core::time::Duration;

use crate::time::MonoTime;

/// A permanent key younger than this, in seconds, may not have reached every server yet (SEC-123).
pub(super) const YOUNG_KEY: i64 = 60;

/// How long a permanent key that has worked in this run may be answered by -404 until it is doubted.
const DOUBT_AFTER: Duration = Duration::from_secs(5);

/// A sign that the server may not know a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum KeySign {
    /// Transport error -404: not authenticated.
    NotFound,
    /// `ENCRYPTED_MESSAGE_INVALID` to a binding: authenticated by the temporary key.
    BindingInvalid,
    /// `EXPIRES_AT_INVALID`, `TEMP_AUTH_KEY_ALREADY_BOUND`, `TEMP_AUTH_KEY_EMPTY`: the temporary key is of no use.
    TemporaryUnusable,
}

/// What to do about a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum KeyAction {
    /// Connect again with the same keys.
    Reconnect,
    /// Forget the temporary key and make a new one; the permanent one stays.
    ReplaceTemporary,
    /// Check the permanent key by binding a temporary one.
    Doubt,
    /// The permanent key is gone.
    GiveUp,
}

/// What speaks for a permanent key that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Standing {
    /// Nothing in this run.
    Untried,
    /// The datacenter has answered under it.
    Proven,
    /// It was proven, and has been answered by -404 since then.
    Missing { since: MonoTime },
}

impl Standing {
    /// Returns what a sign of trouble means. Bindings are of no concern here: no temporary key is in use.
    pub(super) fn on_sign(&mut self, sign: KeySign, now: MonoTime) -> KeyAction {
        match (sign, *self) {
            // One frame that anyone could have made, against a key that has worked.
            (KeySign::NotFound, Self::Proven) => {
                *self = Self::Missing { since: now };
                KeyAction::Reconnect
            }
            (KeySign::NotFound, Self::Missing { since }) if since + DOUBT_AFTER > now => KeyAction::Reconnect,
            // Nothing speaks for the key, and there may be no further attempt. To bind a temporary key is harmless.
            (KeySign::NotFound, Self::Untried | Self::Missing { .. }) => KeyAction::Doubt,
            (KeySign::BindingInvalid | KeySign::TemporaryUnusable, _) => KeyAction::ReplaceTemporary,
        }
    }
}
