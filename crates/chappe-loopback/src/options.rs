//! How a datacenter is set up.

use std::net::{Ipv4Addr, SocketAddr};

use chappe_crypto::rng::Drbg;
use chappe_crypto::rsa::PrivateKey;
use chappe_handshake::{DcId, ServerOptions};
use chappe_server::ListenOptions;
use chappe_session::server::{Policy, ServerConfig};
use chappe_tl::{Deserializable, Identifiable, RemoteCall, Serializable};
use chappe_tl_mtproto::types::RpcError;

use crate::api::{Account, Answer, Api, Caller};
use crate::error::StartError;
use crate::faults::FaultScript;
use crate::loopback::Loopback;

/// How a datacenter is set up; [`start`](Self::start) starts it.
#[derive(Debug)]
pub struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) dc: DcId,
    pub(crate) keys: Vec<PrivateKey>,
    pub(crate) policy: Policy,
    pub(crate) handshake: Option<ServerOptions>,
    pub(crate) session: ServerConfig,
    pub(crate) sockets: ListenOptions,
    pub(crate) faults: FaultScript,
    pub(crate) bots: Bots,
    pub(crate) handlers: Handlers,
}

/// Bots by their tokens, which `Debug` does not show.
#[derive(Default)]
pub(crate) struct Bots(pub(crate) Vec<(String, Account)>);

impl std::fmt::Debug for Bots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(_, account)| account)).finish()
    }
}

type AddHandler = Box<dyn FnOnce(&mut Api)>;

/// What adds the handlers to the API, once there is one, by constructor id.
#[derive(Default)]
pub(crate) struct Handlers(pub(crate) Vec<(u32, AddHandler)>);

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
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
            faults: FaultScript::new(),
            bots: Bots::default(),
            handlers: Handlers::default(),
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

    /// Enforces every rule, for tests of one's own client. Real clients do not get through.
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

    /// Lets things go wrong by a script, of which the caller keeps a clone.
    #[must_use]
    pub fn faults(mut self, script: &FaultScript) -> Self {
        self.faults = script.clone();
        self
    }

    /// Lets `auth.importBotAuthorization` with this token log in.
    #[must_use]
    pub fn bot(mut self, token: impl Into<String>, account: Account) -> Self {
        self.bots.0.push((token.into(), account));
        self
    }

    /// Answers a function, by its constructor id, with a closure. It gets the whole encoded call, id included, and
    /// gives the encoded result.
    #[must_use]
    pub fn on(
        mut self,
        constructor_id: u32,
        handler: impl Fn(&Caller, &[u8]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.handlers.0.push((constructor_id, Box::new(move |api| api.on(constructor_id, handler))));
        self
    }

    /// Answers a function with a closure that takes the decoded call and gives its result, or an error.
    ///
    /// ```
    /// use chappe_loopback::schema::{enums, functions::help::GetNearestDc, types};
    /// use chappe_loopback::{Options, api};
    /// use chappe_net::blocking;
    ///
    /// let server = Options::new()
    ///     .on_call(|caller, _: GetNearestDc| match caller.auth_key_id {
    ///         0 => Err(api::error(401, "AUTH_KEY_UNREGISTERED")),
    ///         _ => Ok(types::NearestDc { country: "FR".into(), this_dc: 2, nearest_dc: 4 }.into()),
    ///     })
    ///     .start()?;
    /// let client = blocking::connect(server.connect_options())?;
    /// let enums::NearestDc::NearestDc(nearest) = client.invoke(&GetNearestDc {}).wait()?;
    /// assert_eq!(nearest.nearest_dc, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_call<F>(
        mut self,
        handler: impl Fn(&Caller, F) -> Result<F::Return, RpcError> + Send + Sync + 'static,
    ) -> Self
    where
        F: RemoteCall<Return: Serializable> + Identifiable + Deserializable,
    {
        self.handlers.0.push((F::CONSTRUCTOR_ID, Box::new(move |api| api.on_call(handler))));
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

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
