//! Whether a key may still be used, as its sessions know it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use chappe_carrier::lock;
use chappe_framing::UnixTime;

/// Whether a key may still be used. Its sessions share it, so that nothing is sent under a key that is over.
#[derive(Debug)]
pub(crate) struct KeyLife {
    /// When a temporary key ends.
    expires_at: Option<UnixTime>,
    is_forgotten: AtomicBool,
    /// That of the permanent key which a temporary one is bound to.
    permanent: Mutex<Option<Arc<Self>>>,
}

impl KeyLife {
    pub(crate) const fn new(expires_at: Option<UnixTime>) -> Self {
        Self { expires_at, is_forgotten: AtomicBool::new(false), permanent: Mutex::new(None) }
    }

    /// Returns whether the key is temporary and has ended (SEC-127).
    pub(crate) fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// Returns whether the key has ended or was forgotten, or the key that it is bound to was.
    pub(crate) fn is_over(&self, now: UnixTime) -> bool {
        let is_forgotten = |life: &Self| life.is_forgotten.load(Ordering::Relaxed);
        self.is_expired(now)
            || is_forgotten(self)
            || self.expires_at.is_some() && lock(&self.permanent).as_deref().is_some_and(is_forgotten)
    }

    pub(crate) fn forget(&self) {
        self.is_forgotten.store(true, Ordering::Relaxed);
    }

    /// Ties a temporary key to the permanent one it is bound to.
    pub(crate) fn tie(&self, permanent: &Arc<Self>) {
        let mut known = lock(&self.permanent);
        if known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, permanent)) {
            *known = Some(Arc::clone(permanent));
        }
    }
}
