//! A client from outside: its handle, its options, calls, updates, errors.

mod addresses;
mod blame;
mod datacenter;
mod error;
mod handle;
mod id;
mod lanes;
mod metrics;
mod options;
pub(crate) mod pending;
mod status;
mod step;
pub(crate) mod updates;

pub use blame::{Blame, ConnectError, InvokeError, Peer, Report};
pub use datacenter::{DataCenter, DataCenters, Starting};
pub use error::CreateKeyError;
pub use handle::{Client, Closing, Ready};
pub use id::ClientId;
pub use lanes::{Lane, LaneLimits, Transfer};
pub use metrics::{CallCounts, ClientMetrics, LatencyHistogram};
pub(crate) use options::CallReference;
pub use options::{BackOff, Candidate, ConnectOptions, InvokeOptions, Timing, UpdateLimits};
pub use pending::{PendingCall, Received};
pub use status::Status;
pub use step::{Stage, Step};
pub use updates::{Gap, NextUpdate, StoreFailure, Update, UpdateObject, Updates, Waited};

/// Connections that one exchange may use up, so that a server that always hangs up is not called indefinitely.
pub(crate) const MAX_CONNECTIONS: usize = 5;
