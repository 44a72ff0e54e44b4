//! What both drivers have in common on the client's side: everything but sockets and waiting.

mod addresses;
mod blame;
pub(crate) mod core;
pub(crate) mod desk;
pub(crate) mod duty;
mod error;
mod exchange;
pub(crate) mod lanes;
mod options;
pub(crate) mod pending;
pub(crate) mod shared;
mod step;
mod updates;

pub use blame::{Blame, ConnectError, InvokeError, Peer, Report};
pub(crate) use desk::Port;
pub use error::CreateKeyError;
pub(crate) use exchange::Exchange;
pub use lanes::{Lane, LaneLimits, Transfer};
pub use options::{BackOff, Candidate, ConnectOptions, InvokeOptions, Timing, UpdateLimits};
pub use pending::{PendingCall, Received};
pub use shared::Status;
pub use step::{Stage, Step};
pub use updates::{Gap, NextUpdate, StoreFailure, Update, UpdateObject, Updates, Waited};

/// Connections that one exchange may use up, so that a server that always hangs up is not called for ever.
pub(crate) const MAX_CONNECTIONS: usize = 5;
