//! What is to be seen of a client from outside.

use std::sync::Arc;
use std::time::Duration;

use chappe_session::Counters;

use super::ConnectError;
use crate::store::StoreError;

/// What is to be seen of a client from outside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// A connection works, and calls flow over it.
    pub is_connected: bool,
    /// The client was closed, or cannot go on.
    pub is_over: bool,
    /// Smoothed round trip of pings.
    pub round_trip: Option<Duration>,
    /// Seconds to add to the local clock to get the datacenter's.
    pub time_offset: i32,
    /// Calls under way.
    pub pending_calls: usize,
    /// Connections that were used so far.
    pub connections: u64,
    /// What ended the last connection, until the next one works.
    pub last_error: Option<Arc<ConnectError>>,
    /// Why the state could not be saved, until it is. The client tries again by itself.
    pub store_error: Option<Arc<StoreError>>,
    /// What the session counted.
    pub counters: Counters,
}
