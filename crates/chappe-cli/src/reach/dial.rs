//! How connections are made: carriers, framings, proxies.

use core::fmt;
use std::time::Duration;

use chappe::authentication::{DcId, Environment};
use chappe::net::{Address, Carrier, Credentials, DialOptions, Endpoint, Proxy, TlsOptions};
use chappe::transport::{Connector, Framing, ProxyLink, websocket};
use clap::ValueEnum;

use crate::failure::{Blame, Failure, OrBlame as _, Result};

/// How connections are made.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Dial {
    /// How messages are framed
    #[arg(long, value_enum, value_name = "FRAMING", default_value = "intermediate")]
    transport: Transport,
    /// What carries the connection; `wss` and `https` are inside TLS
    #[arg(long, value_enum, value_name = "CARRIER", default_value = "tcp")]
    carrier: CarrierKind,
    /// Leaves the obfuscation of TCP out
    #[arg(long)]
    plain: bool,
    /// Goes through the MTProxy of this link, such as tg://proxy?server=…
    #[arg(long, value_name = "LINK", env = "CHAPPE_MTPROXY", hide_env_values = true)]
    mtproxy: Option<String>,
    /// Goes through this proxy: socks5://[USER:PASSWORD@]HOST:PORT, socks4://… or http://…
    #[arg(long, value_name = "URL", env = "CHAPPE_PROXY", hide_env_values = true)]
    proxy: Option<String>,
    /// Uses IPv4 addresses only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Uses IPv6 addresses only
    #[arg(short = '6', long)]
    ipv6: bool,
    /// How long each step may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..3600))]
    timeout: u64,
}

/// The framings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Abridged,
    Intermediate,
    Padded,
    Full,
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CarrierKind {
    Tcp,
    Ws,
    Wss,
    Http,
    Https,
}

/// One way to a datacenter.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    carrier: CarrierKind,
    connector: Connector,
    endpoint: Option<Endpoint>,
    through: Option<&'static str>,
}

impl Dial {
    /// Returns the link of the proxy, if one is given.
    pub(crate) fn mtproxy(&self) -> Result<Option<ProxyLink>> {
        let parse = |link: &String| {
            ProxyLink::parse(link).or_blame(Blame::Input, "the link of the MTProxy cannot be read")
        };
        self.mtproxy.as_ref().map(parse).transpose()
    }

    /// Returns whether a SOCKS or HTTP proxy is given.
    pub(crate) const fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// Returns whether an address is of the family that is asked for.
    pub(crate) const fn allows(&self, address: &Address) -> bool {
        match address {
            Address::Socket(address) => !(self.ipv4 && address.is_ipv6() || self.ipv6 && address.is_ipv4()),
            _ => true,
        }
    }

    /// Returns how long each step may take.
    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Returns the way that the options name.
    pub(crate) fn way(&self, dc: DcId, address: &Address) -> Result<Way> {
        let framing = self.transport.framing();
        if let Some(link) = self.mtproxy()? {
            if self.carrier != CarrierKind::Tcp {
                return Err(Failure::input("an MTProxy is reached by TCP: leave --carrier out"));
            }
            let connector = Connector::proxy(&link.secret, dc);
            let through = Some("MTProxy");
            return Ok(Way { carrier: CarrierKind::Tcp, connector, endpoint: None, through });
        }
        let is_plain = self.plain || framing == Framing::Full;
        Way::new(self.carrier, framing, is_plain, dc, address)
    }

    /// Returns every way to an address: each framing over TCP, and each other carrier.
    pub(crate) fn all_ways(dc: DcId, address: &Address) -> Vec<Way> {
        use CarrierKind::{Http, Https, Tcp, Ws, Wss};
        use Framing::{Abridged, Full, Intermediate, PaddedIntermediate as Padded};
        let ways = [
            (Tcp, Intermediate, false),
            (Tcp, Padded, false),
            (Tcp, Abridged, false),
            (Tcp, Intermediate, true),
            (Tcp, Abridged, true),
            (Tcp, Full, true),
            (Ws, Intermediate, false),
            (Wss, Intermediate, false),
            (Http, Intermediate, true),
            (Https, Intermediate, true),
        ];
        let make = |(carrier, framing, plain)| Way::new(carrier, framing, plain, dc, address).ok();
        ways.into_iter().filter_map(make).collect()
    }

    /// Returns the options of a connection.
    pub(crate) fn options(&self, way: &Way) -> Result<DialOptions> {
        let proxy = self.proxy.as_deref().map(proxy).transpose()?;
        let timeout = self.timeout();
        Ok(DialOptions::new(way.connector.clone())
            .with_carrier(way.carrier())
            .with_proxy(proxy)
            .with_connect_timeout(timeout)
            .with_proxy_timeout(timeout)
            .with_carrier_timeout(timeout)
            .with_hello_timeout(timeout)
            .with_write_timeout(timeout))
    }
}

impl Transport {
    const fn framing(self) -> Framing {
        match self {
            Self::Abridged => Framing::Abridged,
            Self::Intermediate => Framing::Intermediate,
            Self::Padded => Framing::PaddedIntermediate,
            Self::Full => Framing::Full,
        }
    }
}

impl Way {
    fn new(
        carrier: CarrierKind,
        framing: Framing,
        is_plain: bool,
        dc: DcId,
        address: &Address,
    ) -> Result<Self> {
        let is_websocket = matches!(carrier, CarrierKind::Ws | CarrierKind::Wss);
        if is_websocket && framing == Framing::Full {
            return Err(Failure::input("a WebSocket carries obfuscated framings, and `full` is none"));
        }
        let connector = if is_plain && !is_websocket {
            Connector::plain(framing)
        } else {
            Connector::obfuscated(framing, Some(dc)).or_blame(Blame::Input, "the transport cannot be used")?
        };
        Ok(Self { carrier, connector, endpoint: endpoint(carrier, dc, address), through: None })
    }

    /// Returns what carries the connection.
    pub(crate) const fn carrier_kind(&self) -> CarrierKind {
        self.carrier
    }

    /// Returns whether TLS is on the way.
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self.carrier, CarrierKind::Wss | CarrierKind::Https)
    }

    /// Returns the address to dial: for the web hosts of public datacenters their name, otherwise `address`.
    pub(crate) fn address(&self, address: &Address) -> Address {
        match &self.endpoint {
            Some(endpoint) if endpoint.host.ends_with(WEB_DOMAIN) => {
                let port =
                    if matches!(self.carrier, CarrierKind::Wss | CarrierKind::Https) { 443 } else { 80 };
                Address::of(&endpoint.host, port)
            }
            _ => address.clone(),
        }
    }

    fn carrier(&self) -> Carrier {
        let endpoint = self.endpoint.clone();
        match (self.carrier, endpoint) {
            (CarrierKind::Ws, Some(endpoint)) => Carrier::WebSocket(endpoint),
            (CarrierKind::Wss, Some(endpoint)) => Carrier::WebSocketTls(endpoint, TlsOptions::default()),
            (CarrierKind::Http, Some(endpoint)) => Carrier::Http(endpoint),
            (CarrierKind::Https, Some(endpoint)) => Carrier::Https(endpoint, TlsOptions::default()),
            _ => Carrier::Tcp,
        }
    }
}

impl fmt::Display for CarrierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Ws => "WebSocket",
            Self::Wss => "WebSocket in TLS",
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        })
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.carrier, CarrierKind::Http | CarrierKind::Https) {
            return self.carrier.fmt(f);
        }
        let framing = match self.connector.framing() {
            Framing::Abridged => "abridged",
            Framing::Intermediate => "intermediate",
            Framing::PaddedIntermediate => "padded",
            Framing::Full => "full",
        };
        let hidden = if self.connector.is_obfuscated() { ", obfuscated" } else { "" };
        let through = self.through.map(|through| format!(", {through}")).unwrap_or_default();
        write!(f, "{}, {framing}{hidden}{through}", self.carrier)
    }
}

/// Where the public datacenters have their web hosts.
const WEB_DOMAIN: &str = ".web.telegram.org";

/// Returns the host and path of a carrier. The public datacenters have names for it; another one is asked by its address.
fn endpoint(carrier: CarrierKind, dc: DcId, address: &Address) -> Option<Endpoint> {
    let is_public = |address: &Address| match address {
        Address::Socket(address) => !address.ip().is_loopback() && matches!(address.port(), 80 | 443 | 5222),
        _ => false,
    };
    let name = u8::try_from(dc.number()).ok().filter(|_| is_public(address));
    let host = name.and_then(|number| websocket::host(number, websocket::HostPurpose::Main));
    let is_tls = matches!(carrier, CarrierKind::Wss | CarrierKind::Https);
    let host = match (host, address) {
        (Some(host), _) => host,
        // TLS checks a name, which has no port.
        (None, Address::Name(name)) if is_tls => {
            name.rsplit_once(':').map_or(name.as_str(), |(host, _)| host).into()
        }
        (None, Address::Socket(address)) if is_tls => address.ip().to_string(),
        (None, address) => address.to_string(),
    };
    let mut endpoint = match carrier {
        CarrierKind::Tcp => return None,
        CarrierKind::Ws | CarrierKind::Wss => Endpoint::websocket(host),
        CarrierKind::Http | CarrierKind::Https => Endpoint::http(host),
    };
    if dc.environment() == Environment::Test && matches!(carrier, CarrierKind::Ws | CarrierKind::Wss) {
        endpoint.path = websocket::TEST_PATH.into();
    }
    Some(endpoint)
}

/// Reads the URL of a proxy.
fn proxy(url: &str) -> Result<Proxy> {
    // The URL may hold a password, so it is not repeated.
    let wrong = |what: &str| Failure::input(format!("the URL of the proxy cannot be read: {what}"));
    if url.starts_with("tg://") || url.starts_with("https://t.me/") {
        return Proxy::from_link(url).or_blame(Blame::Input, "the link of the proxy cannot be read");
    }
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it has no scheme, such as socks5://"))?;
    let rest = rest.trim_end_matches('/');
    let (user, address) = rest.rsplit_once('@').map_or((None, rest), |(user, address)| (Some(user), address));
    let has_port =
        address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if !has_port {
        return Err(wrong("it does not end with HOST:PORT"));
    }
    let proxy = match scheme {
        "socks5" | "socks5h" | "socks" => Proxy::socks5(address),
        "socks4" | "socks4a" => Proxy::socks4(address),
        "http" => Proxy::http_connect(address),
        _ => return Err(wrong("the scheme is none of socks5, socks4 and http")),
    };
    Ok(match user {
        Some(user) => {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            proxy.with_credentials(Credentials::new(percent_decoded(name), percent_decoded(password)))
        }
        None => proxy,
    })
}

/// Replaces `%41` by `A`, as URLs write special characters.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let byte = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{percent_decoded, proxy};
    use chappe::net::{Credentials, Proxy};

    #[test]
    fn urls_of_proxies_are_read() {
        let read = |url| proxy(url).ok();
        assert_eq!(read("socks5://[::1]:1080"), Some(Proxy::socks5("[::1]:1080")));
        let credentials = Credentials::new("me", "p@ss:word");
        let expected = Proxy::http_connect("proxy.example:3128").with_credentials(credentials);
        assert_eq!(read("http://me:p%40ss%3Aword@proxy.example:3128/"), Some(expected));
        for wrong in ["", "proxy.example:1080", "socks5://proxy.example", "ftp://a:1", "socks5://:1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_failure_about_a_proxy_does_not_repeat_its_password() {
        let failure = proxy("ftp://me:hunter2@host:1").expect_err("the scheme is unknown");
        assert!(!failure.to_string().contains("hunter2"));
    }

    #[test]
    fn a_percent_sign_without_digits_stays() {
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%4"), "%4");
        assert_eq!(percent_decoded("%zz%41"), "%zzA");
    }
}
