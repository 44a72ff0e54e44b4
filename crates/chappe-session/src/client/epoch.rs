//! What belongs to one key and one session under it.

use chappe_crypto::AuthKey;
use chappe_framing::{SeqNoCounter, SessionId};
use rand_core::CryptoRng;

use super::call::CallId;
use crate::SessionLimits;
use crate::acks::AckQueue;
use crate::rare::{Absent, Rare};
use crate::salts::SaltTable;
use crate::time::MonoTime;
use crate::window::DuplicateWindow;

/// Former sessions of a key whose late messages are dropped without a word.
const FORMER_SESSIONS: usize = 4;

/// Announcements of new sessions remembered (SEC-91).
const UNIQUE_IDS: usize = 4;

/// A key in use, and the session under it.
#[derive(Debug)]
pub(super) struct Epoch {
    pub(super) key: AuthKey,
    /// `None` until the next packet draws one.
    pub(super) session_id: Option<SessionId>,
    history: Rare<History>,
    pub(super) seq: SeqNoCounter,
    pub(super) salts: SaltTable,
    pub(super) window: DuplicateWindow,
    pub(super) acks: AckQueue,
    pub(super) role: Role,
    /// Whether a call inside `initConnection` was answered without an error.
    pub(super) is_initialized: bool,
    pub(super) salts_asked: SaltsAsked,
}

/// What a session remembers of sessions before it and of announcements.
#[derive(Debug)]
struct History {
    /// The last one first.
    former: [Option<SessionId>; FORMER_SESSIONS],
    unique_ids: [Option<i64>; UNIQUE_IDS],
}

impl Absent for History {
    const NEW: Self = Self { former: [None; FORMER_SESSIONS], unique_ids: [None; UNIQUE_IDS] };

    fn absent() -> &'static Self {
        static ABSENT: History = History::NEW;
        &ABSENT
    }
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The permanent key, used for traffic.
    Permanent,
    /// A temporary key.
    Temporary { expires_at: i64, binding: BindingState },
}

/// How far the binding of a temporary key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingState {
    Wanted,
    Asked(CallId),
    Bound,
}

/// Whether future salts were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SaltsAsked {
    Never,
    /// The answer is out since then.
    At(MonoTime),
    /// It came, or an error did.
    Settled(MonoTime),
}

impl Epoch {
    pub(super) fn new(key: AuthKey, salts: SaltTable, role: Role, limits: &SessionLimits) -> Self {
        Self {
            key,
            session_id: None,
            history: Rare::new(),
            seq: SeqNoCounter::new(),
            salts,
            window: DuplicateWindow::new(limits.received_ids),
            acks: AckQueue::new(),
            role,
            is_initialized: false,
            salts_asked: SaltsAsked::Never,
        }
    }

    /// Returns the session, drawing one if there is none.
    pub(super) fn session(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> SessionId {
        *self.session_id.get_or_insert_with(|| SessionId::random(rng))
    }

    /// Ends the session: everything that counts within one starts anew with the next packet.
    pub(super) fn retire_session(&mut self) {
        if let Some(session_id) = self.session_id.take() {
            let former = &mut self.history.former;
            former.rotate_right(1);
            former[0] = Some(session_id);
        }
        self.seq = SeqNoCounter::new();
        self.window.clear();
        self.acks.clear();
        if let Some(history) = self.history.present_mut() {
            history.unique_ids = [None; UNIQUE_IDS];
        }
        self.salts_asked = SaltsAsked::Never;
    }

    /// Tells whether a session was ours not long ago.
    pub(super) fn was_session(&self, session_id: SessionId) -> bool {
        self.history.former.contains(&Some(session_id))
    }

    /// Tells whether an announcement of a new session is new, and remembers it (SEC-91).
    pub(super) fn is_new_announcement(&mut self, unique_id: i64) -> bool {
        if self.history.unique_ids.contains(&Some(unique_id)) {
            return false;
        }
        let unique_ids = &mut self.history.unique_ids;
        unique_ids.rotate_right(1);
        unique_ids[0] = Some(unique_id);
        true
    }

    /// Tells whether calls may flow under the key (SEC-120).
    pub(super) const fn is_usable(&self) -> bool {
        matches!(self.role, Role::Permanent | Role::Temporary { binding: BindingState::Bound, .. })
    }
}
