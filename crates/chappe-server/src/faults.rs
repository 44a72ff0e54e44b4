//! What goes wrong on purpose, for tests of clients.

use core::time::Duration;

use chappe_transport::TransportErrorCode;

/// What goes wrong with an envelope that a server is about to send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is lost.
    Drop,
    /// It comes late, and everything after it too.
    Delay(Duration),
    /// It comes twice.
    Duplicate,
    /// It comes after the next one.
    Swap,
    /// Its first bytes come, this many of them, and then the connection ends.
    CloseAfter(usize),
    /// A transport error comes instead, and the connection ends.
    Error(TransportErrorCode),
}

/// Decides about faults. [`NoFaults`] has none.
pub trait Faults: Send + Sync + 'static {
    /// Says what goes wrong with the envelope that connection number `connection` is about to be sent, if
    /// anything does.
    fn outgoing(&self, connection: u64) -> Option<Fault>;

    /// Says whether a new connection is to be closed at once.
    fn refuses(&self) -> bool {
        false
    }
}

/// A server that works.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn outgoing(&self, _connection: u64) -> Option<Fault> {
        None
    }
}
