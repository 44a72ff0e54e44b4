//! How a client is set up: where it dials, which keys it trusts, and every time-out with its reason.
//!
//! Not here: which values are refused ([`validate`](crate::validate)).

use std::sync::Arc;
use std::time::Duration;

use chappe_framing::Padding;
use chappe_handshake::ClientOptions;
use chappe_session::SessionLimits;
use chappe_session::client::{CallId, InitConnection, KeyMaterial, Packing, Repeat};
use chappe_session::liveness::LivenessPolicy;
use chappe_transport::{Connector, ProxyLink, ProxySecret, SecretError};

use super::{ClientId, PendingCall, addresses};
use crate::engine::KeyShare;
use crate::key_log::KeyLog;
use crate::options::DialOptions;
use crate::store::handle::Unreadable;
use crate::store::{AsyncKeyStore, KeyStore, Slot, Store};
#[cfg(feature = "wire-log")]
use crate::wire_log::WireLog;
use chappe_carrier::{Address, Proxy};

/// How a client is set up.
///
/// ```
/// use std::sync::Arc;
/// use chappe_net::ConnectOptions;
/// use chappe_net::store::MemoryStore;
///
/// let mut options = ConnectOptions::production(2).with_store(Arc::new(MemoryStore::new()));
/// options.timing.call = None; // calls wait as long as it takes
/// assert!(options.candidates.len() > 1, "addresses are raced");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// Addresses of the datacenter. They are raced in this order, the last one that worked first.
    pub candidates: Vec<Candidate>,
    /// Addresses for connections that carry files alone, used by the lanes of a [`DataCenter`](super::DataCenter). Default
    /// none: they use `candidates`.
    pub media_candidates: Vec<Candidate>,
    /// The datacenter, and the public keys to trust. `kind` is ignored: the client decides which kind it makes.
    pub handshake: ClientOptions,
    /// Where the key is kept. Without a store every run makes a new key.
    pub store: Option<Store>,
    /// Whether to make a new key if the state in the store cannot be read. The state is kept aside before. Default
    /// `false`: [`connect`](crate::tokio::connect) fails, and the state stays where it is.
    pub fresh_start: bool,
    /// A key to use if the store has none, such as one that another library saved.
    pub key: Option<KeyMaterial>,
    /// The slot in the store. By default it follows from `handshake`.
    pub slot: Option<Slot>,
    /// The wrapper of the first call: `invokeWithLayer` and `initConnection`.
    pub init: Option<InitConnection>,
    /// How long temporary keys live, 2 hours to 30 days. With them, a stolen permanent key does not reveal what was sent
    /// before. Default `None`: calls use the permanent key.
    pub temporary_keys: Option<Duration>,
    /// When to ping, and when to close a silent connection.
    pub liveness: LivenessPolicy,
    /// Bounds of the session's tables. [`ConnectOptions::production`] and [`ConnectOptions::at`] allow bodies of 1 MiB.
    pub limits: SessionLimits,
    /// How many random bytes follow a message.
    pub padding: Padding,
    /// Time-outs.
    pub timing: Timing,
    /// When to dial again.
    pub backoff: BackOff,
    /// Bounds of the queue of updates.
    pub updates: UpdateLimits,
    /// Receives the keys of the client. Default none.
    pub key_log: Option<Arc<dyn KeyLog>>,
    /// Shows the messages of the client. Default none.
    #[cfg(feature = "wire-log")]
    #[cfg_attr(docsrs, doc(cfg(feature = "wire-log")))]
    pub wire_log: Option<WireLog>,
    /// The temporary key that the clients of a datacenter share.
    pub(crate) key_share: Option<Arc<KeyShare>>,
}

/// An address of a datacenter, and how to dial it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The address of the datacenter or of an `MTProxy`. A name is looked up for each connection.
    pub address: Address,
    /// Framing, obfuscation, proxies.
    pub dialling: DialOptions,
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// [`connect`](crate::tokio::connect) gives up after this. Default 45 s: one whole exchange of keys (30 s)
    /// and a lost connection before it.
    pub connect: Duration,
    /// A candidate's head start over the next. Default 250 ms, as RFC 8305 recommends. After the first three it doubles
    /// with each, so that a slow link is not filled with attempts.
    pub stagger: Duration,
    /// A new connection is closed if the datacenter has not answered over it by then. Default 10 s: three lost packets and a
    /// round trip around the world.
    pub proof: Duration,
    /// A call fails after this unless it has a time-out of its own. Default 60 s: longer than a lost connection takes
    /// to be noticed and replaced. `None`: never.
    pub call: Option<Duration>,
    /// A client that was connected ends after so long without a connection. Default `None`: never.
    pub give_up: Option<Duration>,
    /// [`close`](crate::Client::close) waits so long for calls under way, and
    /// [`connect`](crate::tokio::connect) for another client to end that has the slot of the store. Default 5 s.
    pub close: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(45),
            stagger: Duration::from_millis(250),
            proof: Duration::from_secs(10),
            call: Some(Duration::from_secs(60)),
            give_up: None,
            close: Duration::from_secs(5),
        }
    }
}

/// When to dial again after a connection was lost or could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackOff {
    /// Pause after the first failure. Default 250 ms. It doubles with every further one, and a random part of up to a
    /// half is taken off, so that clients that lost the same server do not return together.
    pub first: Duration,
    /// Longest pause. Default 30 s: a person notices no sooner that a network is back.
    pub max: Duration,
    /// Least time between the beginnings of two attempts, successful or not. Default 500 ms.
    pub min_interval: Duration,
    /// Attempts within any minute. Default 30: datacenters answer more of them with -429.
    pub per_minute: usize,
    /// Pause after -429, as if so many attempts had failed. Default 5: with the other defaults, 4 to 8 s.
    pub flood_failures: u32,
    /// Attempts in a row after which [`connect`](crate::tokio::connect) fails. Default 4. Once a client was
    /// connected, attempts are not counted.
    pub first_attempts: u32,
}

impl Default for BackOff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            max: Duration::from_secs(30),
            min_interval: Duration::from_millis(500),
            per_minute: 30,
            flood_failures: 5,
            first_attempts: 4,
        }
    }
}

/// How many updates wait for the caller. Further ones are dropped, and a [gap](super::Update::Gap) reports that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateLimits {
    /// Updates. Default 4096.
    pub count: usize,
    /// Their bytes. Default 16 MiB.
    pub bytes: usize,
}

impl Default for UpdateLimits {
    fn default() -> Self {
        Self { count: 4096, bytes: 16 << 20 }
    }
}

/// How one call is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvokeOptions {
    /// How long it may take. By default [`Timing::call`].
    pub timeout: Option<Duration>,
    /// Whether it may be sent a second time if it is not known whether the first one was executed.
    pub repeat: Repeat,
    /// Whether it may be packed with gzip.
    pub packing: Packing,
    /// Whether to request a quick acknowledgement; see [`PendingCall::received`](super::PendingCall::received).
    pub quick_ack: bool,
    /// Calls that must be executed first; see [`after`](Self::after).
    pub(crate) after: Vec<CallReference>,
}

/// A call and the client that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallReference {
    pub(crate) client: ClientId,
    pub(crate) call: CallId,
}

impl InvokeOptions {
    /// Sets how long the call may take.
    #[must_use]
    pub const fn timeout(mut self, after: Duration) -> Self {
        self.timeout = Some(after);
        self
    }

    /// Sets whether the call may be sent a second time.
    #[must_use]
    pub const fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Makes the datacenter execute the call after another one (`invokeAfterMsg`), which need not have been answered. May be
    /// given several times.
    ///
    /// A call that has ended by the time this one is sent means nothing any more. Both calls must be of the same client.
    ///
    /// ```no_run
    /// # fn example(client: &chappe_net::Client, first: &[u8], second: &[u8]) -> Result<(), chappe_net::InvokeError> {
    /// use chappe_net::InvokeOptions;
    ///
    /// let one = client.invoke_bytes(first, &InvokeOptions::default());
    /// let other = client.invoke_bytes(second, &InvokeOptions::default().after(&one));
    /// println!("{} and {} bytes", one.wait()?.len(), other.wait()?.len());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn after<T>(mut self, call: &PendingCall<T>) -> Self {
        self.after.extend(call.reference());
        self
    }

    /// Requests a quick acknowledgement.
    #[must_use]
    pub const fn quick_ack(mut self) -> Self {
        self.quick_ack = true;
        self
    }

    /// Never packs the body. For parts of files, which do not shrink.
    #[must_use]
    pub const fn unpacked(mut self) -> Self {
        self.packing = Packing::Never;
        self
    }
}

impl ConnectOptions {
    /// Makes options for a public datacenter: built-in addresses and keys, IPv4 and IPv6, obfuscated.
    pub fn production(dc: u16) -> Self {
        Self::new(ClientOptions::production(dc), addresses::production(dc))
    }

    /// Makes options for a datacenter of the test environment.
    pub fn test(dc: u16) -> Self {
        Self::new(ClientOptions::test(dc), addresses::test(dc))
    }

    /// Makes options for a datacenter at one address.
    pub fn at(address: impl Into<Address>, dialling: DialOptions, handshake: ClientOptions) -> Self {
        Self::new(handshake, vec![Candidate { address: address.into(), dialling }])
    }

    /// Makes options with these candidates and the default of every other field.
    pub fn new(handshake: ClientOptions, candidates: Vec<Candidate>) -> Self {
        Self {
            candidates,
            media_candidates: Vec::new(),
            handshake,
            store: None,
            fresh_start: false,
            key: None,
            slot: None,
            init: None,
            temporary_keys: None,
            liveness: LivenessPolicy::default(),
            limits: SessionLimits::default(),
            padding: Padding::default(),
            timing: Timing::default(),
            backoff: BackOff::default(),
            updates: UpdateLimits::default(),
            key_log: None,
            #[cfg(feature = "wire-log")]
            wire_log: None,
            key_share: None,
        }
    }

    /// Dials the datacenter through an `MTProxy` at this address, and in no other way.
    #[must_use]
    pub fn with_mtproxy(mut self, address: impl Into<Address>, secret: &ProxySecret) -> Self {
        // A number that does not fit names no datacenter; the proxy refuses 0.
        let dc_id = self.handshake.dc;
        let dialling = DialOptions::new(Connector::proxy(secret, dc_id));
        self.candidates = vec![Candidate { address: address.into(), dialling }];
        self.media_candidates.clear();
        self
    }

    /// Reaches the datacenter through the `MTProxy` of a link, and in no other way.
    ///
    /// The link is `tg://proxy?server=…&port=…&secret=…` or its `https://t.me/proxy` form. The name of the server is looked
    /// up for each connection, so a proxy can move.
    ///
    /// # Errors
    ///
    /// The link is malformed.
    pub fn with_mtproxy_link(self, link: &str) -> Result<Self, SecretError> {
        let link = ProxyLink::parse(link)?;
        Ok(self.with_mtproxy(Address::of(&link.server, link.port), &link.secret))
    }

    /// Reaches the datacenter at these addresses for files, in connections that are named as such
    /// ([`DcId::media_only`](chappe_types::DcId::media_only)).
    #[must_use]
    pub fn with_media_candidates(mut self, candidates: Vec<Candidate>) -> Self {
        self.media_candidates = candidates;
        self
    }

    /// Dials every candidate through a SOCKS5 or HTTP proxy.
    #[must_use]
    pub fn with_proxy(mut self, proxy: &Proxy) -> Self {
        for candidate in self.candidates.iter_mut().chain(&mut self.media_candidates) {
            candidate.dialling.proxy = Some(proxy.clone());
        }
        self
    }

    /// Passes the keys of the client to a log, so that its traffic can be read, for example a
    /// [`KeyLogFile`](crate::KeyLogFile).
    #[must_use]
    pub fn with_key_log(mut self, log: Arc<dyn KeyLog>) -> Self {
        self.key_log = Some(log);
        self
    }

    /// Shows the messages of the client.
    #[cfg(feature = "wire-log")]
    #[cfg_attr(docsrs, doc(cfg(feature = "wire-log")))]
    #[must_use]
    pub fn with_wire_log(mut self, log: WireLog) -> Self {
        self.wire_log = Some(log);
        self
    }

    /// Keeps the key in a store.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn KeyStore>) -> Self {
        self.store = Some(Store::Blocking(store));
        self
    }

    /// Keeps the key in a store that awaits.
    #[must_use]
    pub fn with_async_store(mut self, store: Arc<dyn AsyncKeyStore>) -> Self {
        self.store = Some(Store::Async(store));
        self
    }

    /// Makes a new key if the state in the store cannot be read, after keeping that aside. The account must log in anew.
    ///
    /// For use after [`StoreError::is_unreadable`](crate::store::StoreError::is_unreadable), when a person has decided so.
    #[must_use]
    pub const fn with_fresh_start(mut self) -> Self {
        self.fresh_start = true;
        self
    }

    /// Uses this key if the store has none.
    #[must_use]
    pub fn with_key(mut self, key: KeyMaterial) -> Self {
        self.key = Some(key);
        self
    }

    /// Announces layer and application with the first call.
    #[must_use]
    pub fn with_init(mut self, init: InitConnection) -> Self {
        self.init = Some(init);
        self
    }

    /// Sends calls under temporary keys that live a day.
    #[must_use]
    pub const fn with_forward_secrecy(mut self) -> Self {
        self.temporary_keys = Some(Duration::from_secs(86_400));
        self
    }

    /// Returns the options of a connection for files.
    pub(crate) fn for_media(mut self) -> Self {
        let media = std::mem::take(&mut self.media_candidates);
        if !media.is_empty() {
            self.candidates = media;
            self.handshake.dc = self.handshake.dc.media_only();
        }
        self
    }

    pub(crate) const fn unreadable(&self) -> Unreadable {
        if self.fresh_start { Unreadable::KeepAside } else { Unreadable::Refuse }
    }

    /// Returns the slot in the store.
    pub fn slot(&self) -> Slot {
        self.slot.unwrap_or_else(|| Slot::of(self.handshake.dc))
    }
}

impl std::fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("candidates", &self.candidates)
            .field("dc", &self.handshake.dc)
            .field("slot", &self.slot())
            .field("has_store", &self.store.is_some())
            .field("temporary_keys", &self.temporary_keys)
            .field("timing", &self.timing)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_proxy_replaces_all_candidates_and_its_name_is_not_looked_up() {
        for (server, address) in [
            ("192.0.2.1", Address::of("192.0.2.1", 443)),
            ("proxy.invalid", Address::Name("proxy.invalid:443".into())),
        ] {
            let link =
                format!("tg://proxy?server={server}&port=443&secret=dd000102030405060708090a0b0c0d0e0f");
            let options = ConnectOptions::production(2).with_mtproxy_link(&link).expect("it is in order");
            let addresses: Vec<_> = options.candidates.iter().map(|candidate| &candidate.address).collect();
            assert_eq!(addresses, [&address]);
            assert_eq!(options.validate(), Ok(()));
        }
    }

    #[test]
    fn a_malformed_link_to_a_proxy_is_refused() {
        let refused = ConnectOptions::production(2).with_mtproxy_link("tg://proxy?server=192.0.2.1&port=0");
        assert!(refused.is_err(), "port 0 is none");
    }
}
