//! The configuration as it is written: TOML, every key of which has a default except users.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use chappe_transport::ProxySecret;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::error::ConfigError;

/// The configuration of a proxy.
///
/// ```
/// use chappe_proxy::Config;
///
/// let config = Config::parse(
///     r#"
///     listen = ["0.0.0.0:443"]
///     domain = "www.example.com"
///     [[users]]
///     name = "alice"
///     secret = "00112233445566778899aabbccddeeff"
///     "#,
/// )?;
/// assert_eq!(config.users[0].name, "alice");
/// # Ok::<(), chappe_proxy::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// Addresses to listen on. Sockets that the service manager passes come in addition.
    pub listen: Vec<SocketAddr>,
    /// Whether another process may listen on the same port at the same time; see `docs/running-a-proxy.md`.
    pub reuse_port: bool,
    /// Host and port under which clients reach the proxy, for links. Default: none, and `link` must be told.
    pub public: Option<String>,
    /// Address on which Prometheus reads the metrics, unauthenticated. Default: none.
    pub metrics: Option<SocketAddr>,
    /// Addresses of load balancers, whose connections begin with a header of the PROXY protocol.
    pub load_balancers: Vec<IpAddr>,
    /// `HOST:PORT` of the site to which refused clients are handed on. Default: none, the connection is closed.
    pub mask: Option<String>,
    /// The domain of fake-TLS secrets that name none.
    pub domain: Option<String>,
    /// The forms in which secrets are accepted. Default: `ee` if there is a [`domain`](Self::domain), else `dd`.
    pub modes: Option<Vec<Mode>>,
    /// Which sites the hello of a fake-TLS client may name.
    pub names: HelloDomains,
    /// File in which the bytes of users are kept over a restart. Default: none, a restart forgets them.
    pub usage_file: Option<PathBuf>,
    /// Bounds and time-outs.
    pub limits: ProxyLimits,
    /// How datacenters are reached.
    pub upstream: Upstream,
    /// Addresses of datacenters in place of the built-in ones.
    pub datacenters: Vec<DatacenterConfig>,
    /// Who may use the proxy.
    pub users: Vec<UserConfig>,
}

/// A form of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// 16 bytes: obfuscation with any framing.
    Plain,
    /// `dd` and 16 bytes: obfuscation with padding.
    Dd,
    /// `ee`, 16 bytes and a domain: fake TLS.
    Ee,
}

/// Which sites the hello of a fake-TLS client may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HelloDomains {
    /// The domain of the secret, or none. Clients on iOS are reported to name none.
    #[default]
    Secret,
    /// Any, or none.
    Any,
}

/// Bounds and time-outs. Times are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ProxyLimits {
    /// Connections of clients at the same time. Default 20 000. The oldest without a known secret makes room.
    pub connections: usize,
    /// Connections from one network at the same time. Default 1000.
    pub connections_per_network: usize,
    /// Leading bits of IPv6 addresses that count as one network. Default 64.
    pub ipv6_bits: u8,
    /// Bytes that each direction of a connection holds while its reader is slow. Default 65 536.
    pub window: usize,
    /// Beginnings of connections that are remembered against replays. Default 65 536; 0 remembers none.
    pub remembered: usize,
    /// Time for a client to send its first bytes. Default 10.
    pub first_bytes: u64,
    /// Time for a connection to a datacenter, proxies and layers included, for each address. Default 10.
    pub connect: u64,
    /// Time for which a reader may read nothing of what waits. Default 30.
    pub write: u64,
    /// Time for which a connection may be silent in both directions. Default 600: clients in use ping every minute.
    pub idle: u64,
    /// Time for which a client may be handed on to the site. Default 600.
    pub mask: u64,
    /// Time for connections to end by themselves when the proxy stops. Default 10.
    pub drain: u64,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_network: 1000,
            ipv6_bits: 64,
            window: 64 * 1024,
            remembered: 65_536,
            first_bytes: 10,
            connect: 10,
            write: 30,
            idle: 600,
            mask: 600,
            drain: 10,
        }
    }
}

/// How datacenters are reached.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Upstream {
    /// The framing. Default: that of the client, which costs least.
    pub framing: FramingChoice,
    /// Whether the stream is sent without obfuscation.
    pub plain: bool,
    /// What carries the stream.
    pub carrier: CarrierChoice,
    /// Host name for WebSocket, with `{dc}` in place of the number of the datacenter. Needed unless the carrier is TCP.
    pub host: Option<String>,
    /// Path for WebSocket. Default `/apiws`.
    pub path: Option<String>,
    /// A proxy on the way: `socks5://[NAME:PASSWORD@]HOST:PORT`, `socks4://…` or `http://…`, or a link `tg://socks?…`.
    pub proxy: Option<SecretText>,
    /// A link to another `MTProxy` through which every datacenter is reached.
    pub mtproxy: Option<SecretText>,
    /// The datacenter for clients that name one without addresses. Default 2.
    pub fallback: Option<u16>,
    /// Whether addresses of IPv6 are tried first.
    pub prefer_ipv6: bool,
}

/// The framing of connections to datacenters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FramingChoice {
    /// That of the client.
    #[default]
    Same,
    /// Abridged.
    Abridged,
    /// Intermediate.
    Intermediate,
    /// Padded intermediate.
    Padded,
    /// Full. Needs `plain`, and carries no quick acks.
    Full,
}

/// What carries the stream to a datacenter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CarrierChoice {
    /// A TCP connection.
    #[default]
    Tcp,
    /// A WebSocket.
    Websocket,
    /// A WebSocket inside TLS.
    WebsocketTls,
}

/// Addresses of a datacenter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DatacenterConfig {
    /// Its number, plus 10 000 for the test environment.
    pub id: u16,
    /// `HOST:PORT`, tried in this order.
    pub addresses: Vec<String>,
}

/// Who may use the proxy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UserConfig {
    /// The name, in logs and metrics: letters, digits, dots, hyphens and underscores.
    pub name: String,
    /// 32 hexadecimal digits, or a whole secret whose first byte chooses the form.
    pub secret: Secret,
    /// The forms in which the secret is accepted, if it chooses none. Default: [`Config::modes`].
    #[serde(default)]
    pub modes: Option<Vec<Mode>>,
    /// The domain for fake TLS. Default: [`Config::domain`].
    #[serde(default)]
    pub domain: Option<String>,
    /// Connections at the same time. Default: no limit of its own.
    #[serde(default)]
    pub max_connections: Option<usize>,
    /// Bytes in both directions together, after which the user is refused. Default: no limit.
    #[serde(default)]
    pub max_bytes: Option<u64>,
    /// Date, or date and time with offset, from which the user is refused. Default: never.
    #[serde(default)]
    pub expires: Option<toml::value::Datetime>,
}

/// A secret of a user. It is not printed.
#[derive(Clone, Debug)]
pub struct Secret(pub ProxySecret);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        ProxySecret::parse(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A text that can contain a password. It is not printed.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or as [`parse`](Self::parse).
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|error| ConfigError::File { path: path.into(), error })?;
        Self::parse(&text)
    }

    /// Reads TOML. Values are checked by [`Settings::new`](crate::Settings::new).
    ///
    /// # Errors
    ///
    /// The text is not TOML, a key is unknown, or a value has the wrong type.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            // Not the line itself, as the error would show it: it can hold a secret.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
            ConfigError::Syntax { line, reason: error.message().into() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_line_and_shows_no_secret() {
        let text = "listen = []\n[[users]]\nname = \"a\"\nsecret = \"0011223344556677\"\n";
        let error = Config::parse(text).expect_err("the secret is too short");
        let shown = format!("{error} {error:?}");
        assert!(shown.starts_with("line 4: a secret has 16 bytes"), "{shown}");
        assert!(!shown.contains("0011"), "{shown}");
        let error = Config::parse("listen = []\n\nlisen = 1\n").expect_err("the key is unknown");
        assert!(error.to_string().starts_with("line 3: unknown field `lisen`"), "{error}");
        let config = Config::parse(&text.replace("6677", "6677".repeat(5).as_str())).expect("it is complete");
        assert!(!format!("{config:?}").contains("0011"));
        let password =
            Config::parse("upstream.proxy = \"socks5://me:swordfish@a:1\"").expect("it is complete");
        assert!(!format!("{password:?}").contains("swordfish"));
    }
}
