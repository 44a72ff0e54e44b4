//! Connections to datacenters.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chappe_carrier::{Address, LinkError, Proxy, Stack, Wait};
use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use chappe_net::{Carrier, Credentials, DialOptions, Opening};
use chappe_transport::{Connection, Connector, DcId, Framing, ProxyLink, ReadBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{CarrierChoice, FramingChoice, Upstream};
use crate::error::ConfigError;
use crate::settings::address;

/// The datacenter of clients that name none.
const FALLBACK: u16 = 2;

/// Path of WebSocket at datacenters.
#[cfg(feature = "websocket")]
const PATH: &str = "/apiws";

/// Bytes of one read while a connection begins.
const ONE_READ: usize = 4096;

/// How datacenters are reached.
#[derive(Debug)]
pub(crate) struct UpstreamSettings {
    pub(crate) fallback: u16,
    /// `None`: that of the client.
    framing: Option<Framing>,
    is_plain: bool,
    carrier: CarrierChoice,
    #[cfg(feature = "websocket")]
    host: String,
    #[cfg(feature = "websocket")]
    path: String,
    proxy: Option<Proxy>,
    mtproxy: Option<ProxyLink>,
    patience: Duration,
}

/// A connection to a datacenter on which frames can be sent.
#[derive(Debug)]
pub(crate) struct Datacenter {
    pub(crate) socket: TcpStream,
    pub(crate) connection: Connection,
    /// Bytes of the stream that have arrived already.
    pub(crate) read: ReadBuf,
    pub(crate) stack: Stack,
}

impl UpstreamSettings {
    pub(crate) fn new(config: &Upstream, patience: Duration) -> Result<Self, ConfigError> {
        let framing = match config.framing {
            FramingChoice::Same => None,
            FramingChoice::Abridged => Some(Framing::Abridged),
            FramingChoice::Intermediate => Some(Framing::Intermediate),
            FramingChoice::Padded => Some(Framing::PaddedIntermediate),
            FramingChoice::Full => Some(Framing::Full),
        };
        if framing == Some(Framing::Full) && (!config.plain || config.mtproxy.is_some()) {
            return Err(ConfigError::invalid("upstream.framing", "full cannot be obfuscated: set `plain`"));
        }
        let is_web = config.carrier != CarrierChoice::Tcp;
        if is_web && config.host.is_none() {
            return Err(ConfigError::invalid("upstream.host", "WebSocket needs the name of a host"));
        }
        if is_web && (config.plain || config.mtproxy.is_some()) {
            return Err(ConfigError::invalid(
                "upstream.carrier",
                "WebSocket needs obfuscation, and leads to no MTProxy",
            ));
        }
        check_features(config.carrier)?;
        let link = |text: &str| {
            ProxyLink::parse(text).map_err(|error| ConfigError::invalid("upstream.mtproxy", error))
        };
        Ok(Self {
            fallback: config.fallback.unwrap_or(FALLBACK),
            framing,
            is_plain: config.plain,
            carrier: config.carrier,
            #[cfg(feature = "websocket")]
            host: config.host.clone().unwrap_or_default(),
            #[cfg(feature = "websocket")]
            path: config.path.clone().unwrap_or_else(|| PATH.into()),
            proxy: config.proxy.as_ref().map(|text| proxy(text.as_str())).transpose()?,
            mtproxy: config.mtproxy.as_ref().map(|text| link(text.as_str())).transpose()?,
            patience,
        })
    }

    /// Connects to the first of these addresses that can be reached, for a client that uses `framing`.
    pub(crate) async fn connect(
        &self,
        dc: DcId,
        addresses: &[Address],
        framing: Framing,
        rng: &mut Drbg,
    ) -> Result<Datacenter, LinkError> {
        let options = Arc::new(self.dial_options(dc, framing)?);
        let own: Address;
        let addresses = match &self.mtproxy {
            Some(link) => {
                own = Address::of(&link.server, link.port);
                std::slice::from_ref(&own)
            }
            None => addresses,
        };
        let mut last = LinkError::Closed;
        for address in addresses {
            let opening = open(&options, address, rng);
            let late = LinkError::TimedOut { waiting_for: Wait::Connect, after: self.patience };
            match timeout(self.patience, opening).await.unwrap_or(Err(late)) {
                Ok(datacenter) => return Ok(datacenter),
                Err(error) => {
                    tracing::debug!(%dc, %address, %error, "datacenter not reached");
                    last = error;
                }
            }
        }
        Err(last)
    }

    fn dial_options(&self, dc: DcId, framing: Framing) -> Result<DialOptions, LinkError> {
        let framing = self.framing.unwrap_or(framing);
        let connector = match &self.mtproxy {
            Some(link) if link.secret.allows(framing) => {
                Connector::proxy(&link.secret, dc).with_framing(framing)?
            }
            Some(link) => Connector::proxy(&link.secret, dc),
            None if self.is_plain => Connector::plain(framing),
            None => Connector::obfuscated(framing, Some(dc))?,
        };
        let carrier = match self.carrier {
            CarrierChoice::Tcp => Carrier::Tcp,
            #[cfg(feature = "websocket")]
            CarrierChoice::Websocket => Carrier::WebSocket(self.endpoint(dc)),
            #[cfg(all(feature = "websocket", feature = "tls"))]
            CarrierChoice::WebsocketTls => {
                Carrier::WebSocketTls(self.endpoint(dc), chappe_net::TlsOptions::default())
            }
            #[cfg(not(all(feature = "websocket", feature = "tls")))]
            _ => Carrier::Tcp,
        };
        Ok(DialOptions::new(connector).with_carrier(carrier).with_proxy(self.proxy.clone()))
    }

    #[cfg(feature = "websocket")]
    fn endpoint(&self, dc: DcId) -> chappe_net::Endpoint {
        let host = self.host.replace("{dc}", &dc.number().to_string());
        chappe_net::Endpoint { host, path: self.path.clone() }
    }
}

/// Refuses a carrier that was left out when the program was built.
fn check_features(carrier: CarrierChoice) -> Result<(), ConfigError> {
    let is_there = match carrier {
        CarrierChoice::Tcp => true,
        CarrierChoice::Websocket => cfg!(feature = "websocket"),
        CarrierChoice::WebsocketTls => cfg!(all(feature = "websocket", feature = "tls")),
    };
    if is_there {
        Ok(())
    } else {
        Err(ConfigError::invalid("upstream.carrier", "it was left out of this build"))
    }
}

/// Reads the address of a proxy.
fn proxy(text: &str) -> Result<Proxy, ConfigError> {
    const KEY: &str = "upstream.proxy";
    if text.starts_with("tg:") || text.starts_with("https:") {
        return Proxy::from_link(text).map_err(|error| ConfigError::invalid(KEY, error));
    }
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let (credentials, host) = match rest.rsplit_once('@') {
        Some((credentials, host)) => (credentials.split_once(':'), host),
        None => (None, rest),
    };
    let host = address(KEY, host.trim_end_matches('/'))?.to_string();
    let proxy = match scheme {
        "socks5" => Proxy::socks5(host),
        "socks4" => Proxy::socks4(host),
        "http" => Proxy::http_connect(host),
        _ => {
            return Err(ConfigError::invalid(
                KEY,
                "it is neither socks5://, socks4://, http:// nor tg://socks",
            ));
        }
    };
    let proxy = match credentials {
        Some((name, password)) => proxy.with_credentials(Credentials::new(name, password)),
        None if rest.contains('@') => return Err(ConfigError::invalid(KEY, "credentials are NAME:PASSWORD")),
        None => proxy,
    };
    proxy.check_credentials().map_err(|reason| ConfigError::invalid(KEY, reason))?;
    Ok(proxy)
}

/// Connects, and begins with every layer up to the first frame.
async fn open(
    options: &Arc<DialOptions>,
    address: &Address,
    rng: &mut Drbg,
) -> Result<Datacenter, LinkError> {
    let first =
        options.proxy.as_ref().map_or_else(|| address.to_string(), |proxy| proxy.address().to_owned());
    let mut socket = TcpStream::connect(first).await?;
    socket.set_nodelay(true)?;
    let mut opening = Opening::start(Arc::clone(options), address, UnixTime::now(), rng)?;
    let mut bytes = Vec::new();
    loop {
        let out = opening.take_output();
        socket.write_all(&out).await?;
        if opening.awaits().is_none() {
            break;
        }
        bytes.clear();
        bytes.reserve(ONE_READ);
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        opening.handle(&bytes, UnixTime::now(), rng)?;
    }
    let (connection, read, stack) = opening.into_parts()?;
    Ok(Datacenter { socket, connection, read, stack })
}
