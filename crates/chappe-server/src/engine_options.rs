//! Settings of a server's engine.

use core::fmt;

use chappe_handshake::ServerOptions;
use chappe_session::server::ServerConfig;

use crate::directory::Directory;
use crate::fleet::Fleet;
use crate::{Budgets, Clock, Networks};

/// Settings of an [`Engine`](crate::Engine).
#[derive(Clone)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Creation of keys: private keys, datacenters, tolerance.
    pub handshake: ServerOptions,
    /// Strictness of sessions, and their bounds.
    pub session: ServerConfig,
    /// What clients may hold, and what they may make the server do.
    pub budgets: Budgets,
    /// Which addresses count as one client.
    pub networks: Networks,
    /// Secret from which all salts are derived, for servers that share their keys. Random if absent.
    pub salt_secret: Option<[u8; 32]>,
    /// Where keys are kept that outlive the process, or that several processes share. Absent by default: keys are in memory.
    ///
    /// Such servers need a `salt_secret`. Without the same one as before, the first frame of each session is refused, and
    /// the client learns the new salt.
    pub directory: Option<Directory>,
    /// The other processes behind the same address, which share the directory. Absent by default. Without a directory it has no
    /// effect.
    pub fleet: Option<Fleet>,
    /// What the engine measures time with. By default the clocks of the operating system.
    pub clock: Clock,
}

impl EngineOptions {
    chappe_types::setters! {
        with_handshake => handshake: ServerOptions,
        with_session => session: ServerConfig,
        with_budgets => budgets: Budgets,
        with_networks => networks: Networks,
        with_salt_secret => salt_secret: Option<[u8; 32]>,
        with_directory => directory: Option<Directory>,
        with_fleet => fleet: Option<Fleet>,
        with_clock => clock: Clock,
    }
}

impl EngineOptions {
    /// Makes options with the defaults of each field.
    pub fn new(handshake: ServerOptions, session: ServerConfig) -> Self {
        Self {
            handshake,
            session,
            budgets: Budgets::default(),
            networks: Networks::default(),
            salt_secret: None,
            directory: None,
            fleet: None,
            clock: Clock::system(),
        }
    }
}

impl fmt::Debug for EngineOptions {
    /// Omits the secret of the salts (`SEC-05`): it gives all salts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineOptions")
            .field("handshake", &self.handshake)
            .field("session", &self.session)
            .field("budgets", &self.budgets)
            .field("networks", &self.networks)
            .field("directory", &self.directory)
            .field("fleet", &self.fleet)
            .finish_non_exhaustive()
    }
}
