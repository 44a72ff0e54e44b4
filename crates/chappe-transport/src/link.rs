//! Links to a proxy: `tg://proxy?server=…&port=…&secret=…` and `tg://socks?server=…&port=…&user=…&pass=…`, and their
//! `https://t.me/` forms, with or without the scheme.
//!
//! Links are untrusted input. No text makes the parser panic.

use alloc::string::String;
use core::fmt::{self, Write as _};

use zeroize::Zeroizing;

use crate::secret::{ProxySecret, SecretError};

/// Maximum length of a link in bytes.
const MAX_LINK: usize = 4096;

/// Maximum length of a server name in bytes.
const MAX_SERVER: usize = 255;

/// Hosts of `/proxy` and `/socks` links, also with `www.` in front.
const HOSTS: [&str; 3] = ["t.me", "telegram.me", "telegram.dog"];

/// The address and the secret of a proxy.
#[derive(Clone, Debug)]
pub struct ProxyLink {
    /// Host name or address.
    pub server: String,
    /// TCP port.
    pub port: u16,
    /// Secret of the proxy.
    pub secret: ProxySecret,
}

impl ProxyLink {
    /// Parses a link to an MTProxy.
    ///
    /// # Errors
    ///
    /// Says which part is missing or wrong.
    pub fn parse(link: &str) -> Result<Self, SecretError> {
        let query = Query::of(link, "proxy")?;
        let (server, port) = query.address()?;
        let secret = query.required("secret")?;
        Ok(Self { server, port, secret: ProxySecret::parse(&secret)? })
    }

    /// Returns the link that apps open: `tg://proxy?…`.
    pub fn to_tg(&self) -> Zeroizing<String> {
        self.to_text("tg://proxy")
    }

    /// Returns the link that browsers open, too: `https://t.me/proxy?…`.
    pub fn to_https(&self) -> Zeroizing<String> {
        self.to_text("https://t.me/proxy")
    }

    fn to_text(&self, page: &str) -> Zeroizing<String> {
        let secret = self.secret.to_hex();
        // Allocated at full size: a text that grows leaves its old memory behind without wiping it.
        let mut text = Zeroizing::new(String::with_capacity(64 + 3 * self.server.len() + secret.len()));
        text.push_str(page);
        text.push_str("?server=");
        for byte in self.server.bytes() {
            // RFC 3986 allows these in a query.
            if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        let _ = write!(text, "&port={}&secret=", self.port);
        text.push_str(&secret);
        text
    }
}

/// The address of a SOCKS5 proxy, and the credentials for it.
#[derive(Clone)]
pub struct SocksLink {
    /// Host name or address.
    pub server: String,
    /// TCP port.
    pub port: u16,
    /// The name, if the proxy asks for one.
    pub user: Option<String>,
    /// The password; empty if there is a name and no password.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for SocksLink {
    /// Omits the password (`SEC-05`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocksLink")
            .field("server", &self.server)
            .field("port", &self.port)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl SocksLink {
    /// Parses a link to a SOCKS5 proxy.
    ///
    /// # Errors
    ///
    /// Says which part is missing or wrong.
    pub fn parse(link: &str) -> Result<Self, SecretError> {
        let query = Query::of(link, "socks")?;
        let (server, port) = query.address()?;
        let user = query.value("user")?.filter(|user| !user.is_empty()).map(|user| (*user).clone());
        Ok(Self { server, port, user, password: query.value("pass")?.unwrap_or_default() })
    }
}

/// The parameters of a link.
struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// Finds the parameters of a link to `page`.
    fn of(link: &'a str, page: &str) -> Result<Self, SecretError> {
        if link.len() > MAX_LINK {
            return Err(SecretError::Link);
        }
        let (path, query) = link.trim().split_once('?').ok_or(SecretError::Link)?;
        let (scheme, path) = path.split_once(':').unwrap_or(("https", path));
        let path = path.trim_start_matches('/').trim_end_matches('/');
        let known = if scheme.eq_ignore_ascii_case("tg") {
            path.eq_ignore_ascii_case(page)
        } else {
            let is_web = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
            is_web && path.split_once('/').is_some_and(|(host, found)| is_host(host) && found == page)
        };
        let query = query.split('#').next().unwrap_or_default();
        if known { Ok(Self(query)) } else { Err(SecretError::Link) }
    }

    /// Returns a parameter. Of several with the same name, the first counts.
    fn value(&self, name: &'static str) -> Result<Option<Zeroizing<String>>, SecretError> {
        // A link that was copied from the source of a page has `&amp;` between its parameters.
        let pairs = self.0.split('&').map(|pair| pair.strip_prefix("amp;").unwrap_or(pair));
        let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name));
        value.map(|(_, value)| percent_decoded(value).ok_or(SecretError::Part { part: name })).transpose()
    }

    /// Returns a parameter that is not empty.
    fn required(&self, part: &'static str) -> Result<Zeroizing<String>, SecretError> {
        self.value(part)?.filter(|value| !value.is_empty()).ok_or(SecretError::Missing { part })
    }

    fn address(&self) -> Result<(String, u16), SecretError> {
        let server = self.required("server")?;
        if server.len() > MAX_SERVER || server.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(SecretError::Part { part: "server" });
        }
        let port = self.required("port")?.parse().ok().filter(|port| *port != 0).ok_or(SecretError::Port)?;
        Ok(((*server).clone(), port))
    }
}

fn is_host(host: &str) -> bool {
    let bare = host.get(..4).filter(|start| start.eq_ignore_ascii_case("www.")).map_or(host, |_| &host[4..]);
    HOSTS.iter().any(|known| bare.eq_ignore_ascii_case(known))
}

/// Decodes `%xx`. A plus sign is kept, because base64 secrets contain it.
fn percent_decoded(text: &str) -> Option<Zeroizing<String>> {
    // Allocated at full size: a text that grows leaves its old memory behind without wiping it.
    let mut bytes = Zeroizing::new(alloc::vec::Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let (high, low) = (digit()?, digit()?);
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    core::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.into()))
}
