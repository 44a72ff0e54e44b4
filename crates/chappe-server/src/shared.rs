//! What the connections of a listener share, and what listeners of both kinds do alike.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chappe_carrier::LinkError;
use chappe_crypto::rng::Drbg;
use chappe_session::Now;

use crate::connection_limit::ConnectionLimit;
use crate::conversation::Conversation;
use crate::handshake_workers::{HandshakeThreads, suitable_threads};
use crate::{Engine, ListenOptions};

/// Pause after a failed `accept`. The process may be out of sockets or threads; trying again at once would only use the
/// processor.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What the connections of a listener share.
#[derive(Clone, Debug)]
pub(crate) struct ServerShared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) limit: Arc<ConnectionLimit>,
    /// They end with the last that shares them.
    _handshakes: Arc<HandshakeThreads>,
}

impl ServerShared {
    /// Fails if the operating system has no randomness or no thread.
    pub(crate) fn new(options: ListenOptions, engine: Arc<Engine>) -> io::Result<Self> {
        let mut seeder = Drbg::from_os().map_err(|error| io::Error::other(error.to_string()))?;
        let threads = match options.handshake_threads {
            0 => suitable_threads(),
            threads => threads,
        };
        let handshakes = Arc::new(HandshakeThreads::start(&engine, threads, &mut seeder)?);
        let limit = Arc::new(ConnectionLimit::new(options, seeder));
        Ok(Self { engine, limit, _handshakes: handshakes })
    }

    /// Admits a connection, if the limits allow it.
    pub(crate) fn admit(
        &self,
        peer: SocketAddr,
        waker: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<Conversation, LinkError> {
        let permit = self.limit.admit(peer.ip())?;
        Ok(Conversation::new(Arc::clone(&self.engine), permit, peer, waker, Now::from_system()))
    }
}

/// Reports a connection that was not accepted, and returns how long to pause before the next `accept`.
pub(crate) fn on_accept_error(error: &LinkError) -> Duration {
    tracing::warn!(%error, "connection not accepted");
    match error {
        LinkError::Io(_) => ACCEPT_PAUSE,
        _ => Duration::ZERO,
    }
}
