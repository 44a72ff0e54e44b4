//! What is told to a key log and to a wire log, if there are any.
//!
//! The engine only queues it. The code that locks the engine writes to the logs after it has released the lock.

use std::sync::Arc;

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
use crate::client::{ClientId, ConnectOptions};
use crate::key_log::KeyQueue;
#[cfg(feature = "wire-log")]
use crate::wire_log::WireQueue;

/// The logs of a client.
#[derive(Debug)]
pub(crate) struct Logs {
    keys: Option<KeyQueue>,
    #[cfg(feature = "wire-log")]
    wire: Option<WireQueue>,
}

impl Logs {
    /// Takes the logs of the options; `None` if there are none.
    #[cfg_attr(
        not(feature = "wire-log"),
        allow(unused_variables, reason = "only wire logs tell clients apart")
    )]
    pub(super) fn of(id: ClientId, options: &mut ConnectOptions) -> Option<Arc<Self>> {
        let keys = options.key_log.take().map(KeyQueue::new);
        #[cfg(feature = "wire-log")]
        let wire = options.wire_log.take().map(|log| WireQueue::new(log, id.get()));
        let is_any = keys.is_some();
        #[cfg(feature = "wire-log")]
        let is_any = is_any || wire.is_some();
        is_any.then(|| {
            Arc::new(Self {
                keys,
                #[cfg(feature = "wire-log")]
                wire,
            })
        })
    }

    /// Logs keys; called each time that the lock of the engine was released. Returns whether the driver must be woken to
    /// [`drain`](Self::drain) the rest.
    pub(crate) fn flush(&self) -> bool {
        if let Some(keys) = &self.keys {
            keys.flush();
        }
        #[cfg(feature = "wire-log")]
        let must_tell = self.wire.as_ref().is_some_and(WireQueue::must_tell);
        #[cfg(not(feature = "wire-log"))]
        let must_tell = false;
        must_tell
    }

    /// Shows what was sent and received. Called by the driver.
    #[cfg_attr(not(feature = "wire-log"), allow(clippy::unused_self, reason = "there are keys alone"))]
    pub(crate) fn drain(&self) {
        #[cfg(feature = "wire-log")]
        if let Some(wire) = &self.wire {
            wire.drain();
        }
    }
}

impl Engine {
    /// A key is about to be used.
    pub(super) fn observe_key(&self, key: &AuthKey) {
        let Some(logs) = &self.logs else { return };
        if let Some(keys) = &logs.keys {
            keys.push(key);
        }
        #[cfg(feature = "wire-log")]
        if let Some(wire) = &logs.wire {
            wire.push_key(key);
        }
    }

    #[cfg(feature = "wire-log")]
    pub(super) fn observe_sent(&self, now: Now, connection: ConnectionId, frame: &FrameBuf) {
        if let Some(wire) = self.wire_queue() {
            wire.push_sent(connection.get(), now.unix, frame.as_slice());
        }
    }

    #[cfg(feature = "wire-log")]
    pub(super) fn observe_received(&self, now: Now, connection: ConnectionId, incoming: &Incoming<'_>) {
        if let Some(wire) = self.wire_queue() {
            wire.push_received(connection.get(), now.unix, incoming);
        }
    }

    #[cfg(feature = "wire-log")]
    fn wire_queue(&self) -> Option<&WireQueue> {
        self.logs.as_ref()?.wire.as_ref()
    }
}
