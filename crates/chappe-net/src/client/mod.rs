//! What both drivers have in common on the client's side.

mod error;
mod exchange;
mod step;

pub use error::CreateKeyError;
pub(crate) use exchange::Exchange;
pub use step::{Stage, Step};

/// Connections that one exchange may use up, so that a server that always hangs up is not called for ever.
pub(crate) const MAX_CONNECTIONS: usize = 5;
