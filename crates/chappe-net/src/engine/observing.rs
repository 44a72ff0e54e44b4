//! What is told to a key log and to a wire log, if there are any.

use chappe_crypto::AuthKey;
#[cfg(feature = "wire-log")]
use chappe_framing::FrameBuf;
#[cfg(feature = "wire-log")]
use chappe_session::Now;
#[cfg(feature = "wire-log")]
use chappe_transport::Incoming;

use super::Engine;
#[cfg(feature = "wire-log")]
use super::links::ConnectionId;

impl Engine {
    /// A key is about to be used.
    pub(super) fn observe_key(&self, key: &AuthKey) {
        if let Some(log) = &self.options.key_log {
            log.log(key);
        }
        #[cfg(feature = "wire-log")]
        if let Some(log) = &self.options.wire_log {
            log.on_key(key);
        }
    }

    #[cfg(feature = "wire-log")]
    pub(super) fn observe_sent(&self, now: Now, connection: ConnectionId, frame: &FrameBuf) {
        if let Some(log) = &self.options.wire_log {
            log.on_sent((self.id.get(), connection.get()), now.unix, frame.as_slice());
        }
    }

    #[cfg(feature = "wire-log")]
    pub(super) fn observe_received(&self, now: Now, connection: ConnectionId, incoming: &Incoming<'_>) {
        if let Some(log) = &self.options.wire_log {
            log.on_received((self.id.get(), connection.get()), now.unix, incoming);
        }
    }
}
