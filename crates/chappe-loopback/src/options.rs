//! How a datacenter is set up.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::PrivateKey;
use chappe_handshake::{DcId, ServerOptions};
use chappe_server::directory::Directory;
use chappe_server::{CallContext, CallLimits, FromCall, IntoAnswer, ListenOptions, Router, RpcError};
use chappe_session::server::{Policy, ServerConfig};

use crate::api::Account;
use crate::cloud::Cloud;
use crate::error::StartError;
use crate::faults::FaultScript;
use crate::loopback::Loopback;

/// How a datacenter is set up; [`start`](Self::start) starts it.
pub struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) dc: DcId,
    pub(crate) keys: Vec<PrivateKey>,
    pub(crate) policy: Policy,
    pub(crate) handshake: Option<ServerOptions>,
    pub(crate) session: ServerConfig,
    pub(crate) sockets: ListenOptions,
    pub(crate) directory: Option<(Directory, [u8; 32])>,
    pub(crate) faults: FaultScript,
    pub(crate) cloud: Cloud,
    pub(crate) is_cdn: bool,
    pub(crate) router: Router,
    pub(crate) limits: CallLimits,
}

impl Options {
    /// Datacenter 2 on a free port of 127.0.0.1, with a key of its own, tolerant of the world's clients.
    pub fn new() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            dc: DcId::production(2),
            keys: Vec::new(),
            policy: Policy::Lenient,
            handshake: None,
            session: ServerConfig::default(),
            sockets: ListenOptions::datacenter(),
            directory: None,
            faults: FaultScript::new(),
            cloud: Cloud::new(),
            is_cdn: false,
            router: Router::new(),
            limits: CallLimits::default(),
        }
    }

    /// Listens there; port 0 picks a free one.
    #[must_use]
    pub const fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Sets which datacenter it is.
    #[must_use]
    pub const fn dc(mut self, dc: DcId) -> Self {
        self.dc = dc;
        self
    }

    /// Uses a key instead of making one; several are announced in the order given.
    #[must_use]
    pub fn private_key(mut self, key: PrivateKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Enforces every rule, to test your own client. Real clients do not get through.
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.policy = Policy::Strict;
        self
    }

    /// Replaces the settings of the handshake, keys included.
    #[must_use]
    pub fn handshake(mut self, options: ServerOptions) -> Self {
        self.handshake = Some(options);
        self
    }

    /// Replaces the bounds of sessions; whether they are strict is set by [`strict`](Self::strict).
    #[must_use]
    pub fn session(mut self, config: ServerConfig) -> Self {
        self.session = config;
        self
    }

    /// Replaces the time-outs and limits of sockets, and which transports are served.
    #[must_use]
    pub fn sockets(mut self, options: ListenOptions) -> Self {
        self.sockets = options;
        self
    }

    /// Keeps the keys of clients in a directory, so that they outlive the datacenter. `salt_secret` derives the salts; with the
    /// same one as before, clients go on without a new salt.
    ///
    /// The threads of a datacenter may use its directory for a moment after it was dropped.
    #[must_use]
    pub fn directory(mut self, directory: Directory, salt_secret: [u8; 32]) -> Self {
        self.directory = Some((directory, salt_secret));
        self
    }

    /// Lets things go wrong by a script, of which the caller keeps a clone.
    #[must_use]
    pub fn faults(mut self, script: &FaultScript) -> Self {
        self.faults = script.clone();
        self
    }

    /// Shares accounts, logins, messages and files with other datacenters, and lets the caller look into them and change them.
    #[must_use]
    pub fn cloud(mut self, cloud: &Cloud) -> Self {
        self.cloud = cloud.clone();
        self
    }

    /// Makes it a cache of files (CDN) instead of an ordinary datacenter.
    #[must_use]
    pub const fn cdn(mut self) -> Self {
        self.is_cdn = true;
        self
    }

    /// Lets `auth.importBotAuthorization` with this token log in: [`Cloud::add_bot`] of the cloud that was set last.
    #[must_use]
    pub fn bot(self, token: impl Into<String>, account: Account) -> Self {
        self.cloud.add_bot(token, account);
        self
    }

    /// Sets how many calls run at the same time.
    #[must_use]
    pub const fn limits(mut self, limits: CallLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Answers a function with an async closure that takes the decoded call and returns its result, or an error. Built-in answers
    /// are replaced. See [`Router::on`].
    ///
    /// ```
    /// use chappe_loopback::Options;
    /// use chappe_net::blocking;
    /// use chappe_server::Answer;
    /// use chappe_tl_api::functions::help::GetNearestDc;
    /// use chappe_tl_api::{enums, types};
    ///
    /// let server = Options::new()
    ///     .on(|_ctx, _: GetNearestDc| async {
    ///         let nearest = types::NearestDc { country: "FR", this_dc: 2, nearest_dc: 4 };
    ///         Ok(Answer::new(&enums::NearestDc::from(nearest)))
    ///     })
    ///     .start()?;
    /// let client = blocking::connect(server.connect_options())?;
    /// let nearest = client.invoke(&GetNearestDc {}).wait()?;
    /// assert_eq!(nearest.get().nearest_dc, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on<C, F, A>(mut self, handler: impl Fn(CallContext, C) -> F + Send + Sync + 'static) -> Self
    where
        C: FromCall,
        F: Future<Output = Result<A, RpcError>> + Send + 'static,
        A: IntoAnswer<C::Return>,
    {
        self.router = self.router.on(handler);
        self
    }

    /// Answers the functions of a router. Built-in answers are replaced.
    #[must_use]
    pub fn router(mut self, router: Router) -> Self {
        self.router = self.router.merge(router);
        self
    }

    /// Starts the datacenter, in a thread of its own.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or a key cannot be made.
    pub fn start(self) -> Result<Loopback, StartError> {
        Loopback::start_with(self)
    }

    /// The handshake's settings, with a key made if there is none.
    pub(crate) fn handshake_options(&mut self, rng: &mut Drbg) -> Result<ServerOptions, StartError> {
        if let Some(options) = self.handshake.take() {
            return Ok(options);
        }
        if self.keys.is_empty() {
            let made = PrivateKey::generate(rng).map_err(|error| StartError::Key(error.to_string()))?;
            self.keys.push(made);
        }
        // Any dc is accepted, strict or not: what clients put there is a matter of their configuration. A flood from
        // this machine is a test, not an attack.
        let mut options = ServerOptions::lenient(std::mem::take(&mut self.keys));
        options.rate = None;
        if self.policy == Policy::Strict {
            options.tolerance = chappe_handshake::Tolerance::Strict;
        }
        Ok(options)
    }
}

impl fmt::Debug for Options {
    /// Omits the secret of the salts (`SEC-05`): it gives all salts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("dc", &self.dc)
            .field("keys", &self.keys)
            .field("policy", &self.policy)
            .field("handshake", &self.handshake)
            .field("session", &self.session)
            .field("sockets", &self.sockets)
            .field("directory", &self.directory.as_ref().map(|(directory, _)| directory))
            .field("faults", &self.faults)
            .field("cloud", &self.cloud)
            .field("is_cdn", &self.is_cdn)
            .field("router", &self.router)
            .field("limits", &self.limits)
            .finish()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
