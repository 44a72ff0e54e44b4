//! A running proxy.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chappe_server::ListenOptions;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::accepting::unix_time;
use crate::config::Config;
use crate::connection::serve;
use crate::counters::{ProxyCounters, add};
use crate::error::ConfigError;
use crate::metrics;
use crate::shared::Shared;
use crate::usage::{self, Usage};

/// Pause after a failed `accept`: the process may be out of sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// How often users are looked at whose time may have run out.
const TICK: Duration = Duration::from_secs(1);

/// Ticks between two writes of the bytes of users.
const SAVE_EVERY: u32 = 60;

/// A running proxy. Dropping it ends it at once; [`shutdown`](Self::shutdown) ends it in order.
///
/// ```
/// use chappe_proxy::{Config, Proxy};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::parse(
///     r#"
///     listen = ["127.0.0.1:0"]
///     [[users]]
///     name = "alice"
///     secret = "00112233445566778899aabbccddeeff"
///     "#,
/// )?;
/// let proxy = Proxy::start(config, Vec::new())?;
/// println!("clients connect to {}", proxy.local_addrs()[0]);
/// proxy.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
pub struct Proxy {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    metrics_address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    listening: Vec<JoinHandle<()>>,
    /// The tasks that end with the proxy.
    helpers: Vec<JoinHandle<()>>,
}

/// What a user has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserUsage {
    /// Connections that are open now.
    pub open: u64,
    /// Connections since the start.
    pub connections: u64,
    /// Connections refused since the start.
    pub refused: u64,
    /// Bytes from clients.
    pub bytes_up: u64,
    /// Bytes to clients.
    pub bytes_down: u64,
}

impl Proxy {
    /// Binds the addresses of the configuration and serves them, and `sockets` that are already bound. Must be called within a
    /// runtime of tokio.
    ///
    /// # Errors
    ///
    /// The configuration cannot be used, there is nothing to listen on, or an address cannot be bound.
    pub fn start(config: Config, sockets: Vec<std::net::TcpListener>) -> Result<Self, ConfigError> {
        let usage = config.usage_file.as_deref().map(usage::load).transpose()?.unwrap_or_default();
        let shared = Arc::new(Shared::new(config, &usage)?);
        let current = shared.current();
        let options = current.settings.listen_options(&current.config);
        let mut listeners = sockets;
        for address in &current.config.listen {
            listeners.push(bind("listen", &options, *address)?);
        }
        if listeners.is_empty() {
            return Err(ConfigError::invalid("listen", "there is nothing to listen on"));
        }
        let metrics = current.config.metrics.map(|address| bind("metrics", &options, address)).transpose()?;
        let (stop, stopped) = watch::channel(false);
        let (mut addresses, mut listening) = (Vec::new(), Vec::new());
        for listener in listeners {
            let listener = into_tokio(listener)?;
            addresses.push(listener.local_addr().map_err(ConfigError::System)?);
            listening.push(tokio::spawn(accept(listener, Arc::clone(&shared), stopped.clone())));
        }
        let mut helpers = vec![tokio::spawn(watch_users(Arc::clone(&shared)))];
        let mut metrics_address = None;
        if let Some(listener) = metrics {
            let listener = into_tokio(listener)?;
            metrics_address = Some(listener.local_addr().map_err(ConfigError::System)?);
            helpers.push(tokio::spawn(metrics::serve(listener, Arc::clone(&shared))));
        }
        Ok(Self { shared, addresses, metrics_address, stop, listening, helpers })
    }

    /// Returns the addresses that clients connect to; where port 0 was asked for, with the port that was chosen.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns the address of the metrics.
    pub const fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Returns the counters.
    pub fn counters(&self) -> ProxyCounters {
        self.shared.tally.read()
    }

    /// Returns what each user has done, by name.
    pub fn users(&self) -> BTreeMap<String, UserUsage> {
        let current = self.shared.current();
        let usage = current.users.iter().map(|user| {
            let counters = &user.counters;
            let usage = UserUsage {
                open: counters.open.load(Ordering::Relaxed),
                connections: counters.connections.load(Ordering::Relaxed),
                refused: counters.refused.load(Ordering::Relaxed),
                bytes_up: counters.bytes_up.load(Ordering::Relaxed),
                bytes_down: counters.bytes_down.load(Ordering::Relaxed),
            };
            (user.name.clone(), usage)
        });
        usage.collect()
    }

    /// Takes a new configuration without closing connections, except those of users that are gone or have another secret.
    /// Returns the keys whose new values need a restart.
    ///
    /// # Errors
    ///
    /// The configuration cannot be used. The old one stays.
    pub fn reload(&self, config: Config) -> Result<Vec<&'static str>, ConfigError> {
        let old = self.shared.current();
        let fixed = fixed_keys(&old.config, &config);
        self.shared.reload(config)?;
        Ok(fixed)
    }

    /// Stops listening, and waits until all connections have ended by themselves, for at most `grace`. Then ends those that are
    /// left. Returns whether there were none.
    pub async fn shutdown(mut self, grace: Duration) -> bool {
        // The receivers are gone only if all listeners have ended already.
        let _ = self.stop.send(true);
        let listening = std::mem::take(&mut self.listening);
        let all = async {
            for listener in listening {
                // A panic in it was reported when it happened.
                let _ = listener.await;
            }
        };
        let mut all = std::pin::pin!(all);
        let has_ended = timeout(grace, all.as_mut()).await.is_ok();
        if !has_ended {
            self.shared.end_all();
            all.await;
        }
        save_usage(&self.shared, &mut Usage::new());
        has_ended
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.iter().chain(&self.helpers).for_each(JoinHandle::abort);
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

fn bind(
    key: &str,
    options: &ListenOptions,
    address: SocketAddr,
) -> Result<std::net::TcpListener, ConfigError> {
    options.bind(address).map_err(|error| ConfigError::invalid(format!("{key}, {address}"), error))
}

fn into_tokio(listener: std::net::TcpListener) -> Result<TcpListener, ConfigError> {
    listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)).map_err(ConfigError::System)
}

/// Returns the keys that differ and that only a restart changes.
fn fixed_keys(old: &Config, new: &Config) -> Vec<&'static str> {
    let (was, is) = (&old.limits, &new.limits);
    let keys = [
        ("listen", old.listen != new.listen),
        ("reuse_port", old.reuse_port != new.reuse_port),
        ("metrics", old.metrics != new.metrics),
        ("usage_file", old.usage_file != new.usage_file),
        ("limits.connections", was.connections != is.connections),
        ("limits.connections_per_network", was.connections_per_network != is.connections_per_network),
        ("limits.ipv6_bits", was.ipv6_bits != is.ipv6_bits),
        ("limits.window", was.window != is.window),
        ("limits.remembered", was.remembered != is.remembered),
    ];
    keys.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
}

/// Accepts connections until the proxy stops, then waits for those that are left.
async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((socket, peer)) => {
                add(&shared.tally.accepted);
                // Those that have not shown their place yet are bounded as those that have.
                if connections.len() >= 2 * shared.current().settings.limits.connections {
                    add(&shared.tally.over_limit);
                    continue;
                }
                let registration = shared.register();
                let number = registration.number;
                let abort = connections.spawn(serve(socket, peer, Arc::clone(&shared), registration));
                shared.set_task(number, abort);
            }
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Ends connections of users whose time has run out, and writes the bytes of users.
async fn watch_users(shared: Arc<Shared>) {
    let mut saved = Usage::new();
    for tick in 1_u32.. {
        sleep(TICK).await;
        let now = unix_time();
        let users = shared.current();
        let is_over = users
            .users
            .iter()
            .any(|user| user.counters.open.load(Ordering::Relaxed) > 0 && user.refusal(now).is_some());
        drop(users);
        if is_over {
            shared.end_refused();
        }
        if tick % SAVE_EVERY == 0 {
            save_usage(&shared, &mut saved);
        }
    }
}

/// Writes the bytes of users if they have changed since `saved`.
fn save_usage(shared: &Shared, saved: &mut Usage) {
    let current = shared.current();
    let Some(path) = &current.config.usage_file else { return };
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let users = current
        .users
        .iter()
        .map(|user| (user.name.clone(), [read(&user.counters.bytes_up), read(&user.counters.bytes_down)]));
    let usage: Usage = users.collect();
    if usage != *saved {
        match usage::save(Path::new(path), &usage) {
            Ok(()) => *saved = usage,
            Err(error) => tracing::error!(path = %path.display(), %error, "bytes of users not saved"),
        }
    }
}
