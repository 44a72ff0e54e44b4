//! The world of a client, simulated: networks, machines, disks, a user, and the real engine of a server.
//!
//! A [`World`] runs the whole client of `chappe-net`, its links down to the bytes of their sockets included, against the
//! engine of `chappe-server`. There are no sockets, no threads and no real time: things happen one after the other, and one
//! seed decides all of them. Each run checks what must hold wherever a client lives; [`Violation`] names what did not.
//!
//! Tests script a world step by step. [`run`] plays what a seed makes up.
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a simulation runs where std is"
)]
#![allow(
    clippy::struct_excessive_bools,
    reason = "the facts about a connection are independent of each other"
)]

mod datacenter;
mod dice;
mod happening;
mod ledger;
mod machine;
mod network;
mod pipe;
mod play;
mod process;
mod profile;
mod simulation;
mod transfer;
mod user;

use core::fmt;

pub use happening::Happening;
pub use machine::{Damage, InSleep};
pub use play::{Settings, run};
pub use profile::Profile;
pub use simulation::{Options, Report, World};
pub use transfer::{Figures, Transfer, table};
pub use user::{Call, Outcome};

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;
/// Nanoseconds of a millisecond.
pub const MILLISECOND: u64 = 1_000_000;

/// The true time at which a world begins, in nanoseconds since 1970.
const START: u64 = 1_800_000_000 * SECOND;

/// What must hold and did not.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// True time since its beginning, in nanoseconds.
    pub time: u64,
    /// What does not hold.
    pub invariant: Invariant,
    /// What was seen instead.
    pub seen: String,
}

/// What must hold in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// A connection over which bytes flow is not given up.
    Patience = 1,
    /// A connection that is dead is noticed.
    Notice = 2,
    /// A probe goes out ahead of bulk.
    ProbeFirst = 3,
    /// The datacenter never closes a healthy connection for want of a ping.
    KeepAlive = 4,
    /// A transfer makes progress.
    Progress = 5,
    /// An update is delivered, or its loss is told.
    Updates = 6,
    /// What decides is evidence or time.
    Evidence = 7,
    /// An option works or is refused by name.
    Options = 8,
    /// A login is never lost.
    Login = 9,
    /// What waits and is dropped leaves nothing behind.
    NothingLeft = 10,
    /// Timers run on the monotonic clock.
    Monotonic = 11,
    /// An error says who, where and what next.
    Errors = 12,
    /// A call runs once.
    Once = 13,
    /// Overload slows down and loses nothing.
    Overload = 14,
    /// Every call ends, and both sides come to rest.
    Ends = 15,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, time, invariant, seen } = self;
        let (seconds, rest) = (time / SECOND, time % SECOND / 1000);
        write!(
            f,
            "seed {seed}, {seconds}.{rest:06} s: {invariant:?} ({}) does not hold: {seen}",
            *invariant as u8
        )
    }
}

impl core::error::Error for Violation {}

/// Moves a time by an error of either sign.
const fn shifted(time: u64, error: i64) -> u64 {
    time.saturating_add_signed(error)
}
