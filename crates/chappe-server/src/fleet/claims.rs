//! The right of a process to execute the messages of a session.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use chappe_framing::MsgId;

/// The right of this process to execute the messages of a session.
#[derive(Debug)]
pub(crate) struct Ownership {
    fence: u64,
    /// Messages up to this one were left to an earlier owner.
    floor: Option<MsgId>,
    /// Messages up to this one are reserved.
    reserved: AtomicI64,
    is_lost: AtomicBool,
    /// The last entry that was taken from the store.
    taken: AtomicU64,
    /// More is in the store.
    is_behind: AtomicBool,
    /// More messages are about to be reserved.
    is_extending: AtomicBool,
}

impl Ownership {
    pub(crate) const fn new(fence: u64, floor: Option<MsgId>, reserved: MsgId) -> Self {
        Self {
            fence,
            floor,
            reserved: AtomicI64::new(reserved.to_raw()),
            is_lost: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            is_behind: AtomicBool::new(false),
            is_extending: AtomicBool::new(false),
        }
    }

    pub(crate) const fn fence(&self) -> u64 {
        self.fence
    }

    pub(crate) const fn floor(&self) -> Option<MsgId> {
        self.floor
    }

    /// Returns whether the process may execute a message, as far as it knows.
    pub(crate) fn covers(&self, msg_id: MsgId) -> bool {
        !self.is_lost() && msg_id.to_raw() <= self.reserved.load(Ordering::SeqCst)
    }

    /// Returns whether the caller should reserve more: less than `spare` ids are left behind this message.
    pub(crate) fn begin_extension(&self, msg_id: MsgId, spare: i64) -> bool {
        let left = self.reserved.load(Ordering::Relaxed).saturating_sub(msg_id.to_raw());
        left < spare && !self.is_extending.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn end_extension(&self) {
        self.is_extending.store(false, Ordering::SeqCst);
    }

    pub(crate) fn reserve(&self, up_to: MsgId) {
        self.reserved.fetch_max(up_to.to_raw(), Ordering::SeqCst);
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }

    /// Gives the right up. Returns whether this call did.
    pub(crate) fn lose(&self) -> bool {
        !self.is_lost.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    /// Notes that an entry was taken. Call it with the session locked, so that none is taken twice.
    pub(crate) fn take(&self, number: u64) {
        self.taken.store(number, Ordering::SeqCst);
    }

    pub(crate) fn set_behind(&self) {
        self.is_behind.store(true, Ordering::SeqCst);
    }

    pub(crate) fn take_behind(&self) -> bool {
        self.is_behind.swap(false, Ordering::SeqCst)
    }
}
