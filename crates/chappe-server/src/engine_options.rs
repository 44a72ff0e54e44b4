//! Settings of a server's engine.

use core::fmt;

use chappe_handshake::ServerOptions;
use chappe_session::server::ServerConfig;

/// Settings of an [`Engine`](crate::Engine).
#[derive(Clone)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Creation of keys: private keys, datacenters, tolerance.
    pub handshake: ServerOptions,
    /// Strictness of sessions, and their bounds.
    pub session: ServerConfig,
    /// Keys remembered. Default 100 000; the oldest make room.
    pub max_keys: usize,
    /// Sessions per key. Default 64; the oldest make room (`SEC-175`).
    pub max_sessions_per_key: usize,
    /// Secret from which all salts are derived, for servers that share their keys. Random if absent.
    pub salt_secret: Option<[u8; 32]>,
}

impl EngineOptions {
    chappe_types::setters! {
        with_handshake => handshake: ServerOptions,
        with_session => session: ServerConfig,
        with_max_keys => max_keys: usize,
        with_max_sessions_per_key => max_sessions_per_key: usize,
        with_salt_secret => salt_secret: Option<[u8; 32]>,
    }
}

impl EngineOptions {
    /// Makes options with the defaults of each field.
    pub const fn new(handshake: ServerOptions, session: ServerConfig) -> Self {
        Self { handshake, session, max_keys: 100_000, max_sessions_per_key: 64, salt_secret: None }
    }
}

impl fmt::Debug for EngineOptions {
    /// Omits the secret of the salts (`SEC-05`): it gives all salts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineOptions")
            .field("handshake", &self.handshake)
            .field("session", &self.session)
            .field("max_keys", &self.max_keys)
            .field("max_sessions_per_key", &self.max_sessions_per_key)
            .finish_non_exhaustive()
    }
}
