//! What `poll_transmit` returns.

use chappe_crypto::QuickAckToken;

/// A frame is in the caller's buffer and ready for the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// The transport should ask for a quick acknowledgement, which will carry this token. Give it to
    /// [`handle_quick_ack`](crate::client::ClientSession::handle_quick_ack). Always `None` at a server.
    pub quick_ack: Option<QuickAckToken>,
}
