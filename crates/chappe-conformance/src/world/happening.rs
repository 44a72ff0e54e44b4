//! What happens to a world, besides calls.

use super::machine::{Damage, InSleep};
use super::profile::Profile;

/// What happens to a network, a machine, a disk or a datacenter. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The machine sleeps.
    Sleep {
        /// How long.
        length: u64,
        /// What its monotonic clock does meanwhile.
        clock: InSleep,
    },
    /// The process is stopped, the machine is not.
    Pause {
        /// How long.
        length: u64,
    },
    /// The wall clock of the client's machine steps.
    ClientClock {
        /// By how much.
        step: i64,
    },
    /// The wall clock of the datacenter steps.
    ServerClock {
        /// By how much.
        step: i64,
    },
    /// The machine changes to another network.
    Network {
        /// Which.
        profile: Profile,
        /// Whether its address stays, and with it its connections.
        keeps_address: bool,
    },
    /// Nothing moves for a time; nothing is lost.
    Stall {
        /// How long.
        length: u64,
    },
    /// Nothing moves for a time; connections may be dead afterwards.
    Outage {
        /// How long.
        length: u64,
    },
    /// The path forgets all connections without a reset.
    Forget,
    /// All connections are reset.
    Reset,
    /// The datacenter restarts: it forgets sessions and temporary keys, and closes all connections.
    Restart,
    /// The datacenter answers new connections with -429.
    Flood {
        /// How long.
        length: u64,
    },
    /// The datacenter loses all keys.
    LoseKeys,
    /// The datacenter pushes an update.
    Push,
    /// The client's process is killed.
    Kill,
    /// The client's process starts, if none runs.
    Start,
    /// The application says that the network changed.
    Refresh,
    /// The disk is full, or no longer.
    Disk {
        /// Which.
        is_full: bool,
    },
    /// Each save takes so long from now on.
    SlowDisk {
        /// How long.
        latency: u64,
    },
    /// The process is killed, and its file damaged.
    DamageFile(Damage),
}
