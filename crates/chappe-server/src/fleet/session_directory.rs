//! What a fleet needs of a store.

use core::fmt;
use core::time::Duration;

use chappe_crypto::AuthKeyId;
use chappe_framing::{MsgId, SessionId};

use crate::directory::DirectoryFuture;

/// A session of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionName {
    /// The key that its client uses.
    pub key: AuthKeyId,
    /// Its id under the key.
    pub session: SessionId,
}

/// A process, from the time at which it joins the fleet until it leaves or its lease ends. A process that joins again has
/// another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub u64);

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Whether a process is in the fleet already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It joins.
    Joining,
    /// It renews its lease, and must not join again if the lease has ended.
    Renewing,
}

/// A request of a process to own a session.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRequest {
    /// The session.
    pub name: SessionName,
    /// The process.
    pub process: ProcessId,
    /// A message that came for the session.
    pub msg_id: MsgId,
    /// The process reserves all messages up to this one, which is at least `msg_id`.
    pub reserve: MsgId,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The process owns the session, and the messages are reserved.
    Owned {
        /// Grows with each change of the owner.
        fence: u64,
        /// Messages up to this one were reserved when the process became the owner; `None` if it is the first owner, and if it was the
        /// owner before.
        floor: Option<MsgId>,
    },
    /// The message was reserved by another process: it may be a recorded one. Nothing has changed.
    Stale,
    /// Another process owns the session, and has not handed it over in time.
    Held(ProcessId),
    /// The lease of the claiming process has ended.
    Expelled,
}

/// What a process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FleetEvent {
    /// Something was pushed to a session that the process owns.
    Pushed(SessionName),
    /// Another process wants a session that the process owns.
    Wanted(SessionName),
    /// A key was forgotten.
    Forgotten(AuthKeyId),
}

/// Keeps who owns which session, and what waits for it.
///
/// The rules of [`KeyDirectory`](crate::directory::KeyDirectory) hold: every method is atomic and durable, can be repeated, and can be
/// polled by any executor. Leases are measured by the store's clock.
pub trait SessionDirectory: Send + Sync + 'static {
    /// Begins or renews the lease of a process. Returns whether the process has one now.
    ///
    /// # Errors
    ///
    /// The store cannot be reached; so for all methods.
    fn renew(&self, process: ProcessId, lease: Duration, membership: Membership)
    -> DirectoryFuture<'_, bool>;

    /// Ends the lease of a process. Its sessions can be claimed at once.
    fn leave(&self, process: ProcessId) -> DirectoryFuture<'_, ()>;

    /// Claims a session. While another process owns it, asks that process for it, again and again until `patience` has
    /// passed. An owner claims a session that it owns to reserve more messages.
    fn claim(&self, request: ClaimRequest, patience: Duration) -> DirectoryFuture<'_, Claim>;

    /// Gives a session up, whose messages up to `floor` were received. Does nothing if another process owns it.
    fn release(&self, name: SessionName, process: ProcessId, floor: Option<MsgId>)
    -> DirectoryFuture<'_, ()>;

    /// Adds an entry to what waits for a session, and tells its owner. Returns the number of the entry; later entries have
    /// higher ones. An entry may be added twice if the store was lost and found in between.
    fn push(&self, name: SessionName, entry: Vec<u8>) -> DirectoryFuture<'_, u64>;

    /// Returns what waits for a session behind this number, in order.
    fn entries(&self, name: SessionName, after: u64) -> DirectoryFuture<'_, Vec<(u64, Vec<u8>)>>;

    /// Removes an entry that its client has received.
    fn confirm(&self, name: SessionName, number: u64) -> DirectoryFuture<'_, ()>;

    /// Tells all processes that have a lease that a key was forgotten.
    fn announce_forgotten(&self, key: AuthKeyId) -> DirectoryFuture<'_, ()>;

    /// Waits for something that this process must know, for this long at most. While the store cannot be reached it fails,
    /// and not before some 100 ms: the caller asks again at once.
    fn events(&self, process: ProcessId, most: Duration) -> DirectoryFuture<'_, Vec<FleetEvent>>;
}
