//! Links to a proxy: `tg://proxy?server=…&port=…&secret=…` and its `https://t.me/proxy` form.
//!
//! Links are untrusted input. No text makes the parser panic.

use alloc::string::String;
use alloc::vec::Vec;

use crate::secret::{ProxySecret, SecretError};

/// Maximum length of a link in bytes.
const MAX_LINK: usize = 4096;

/// Maximum length of a server name in bytes.
const MAX_SERVER: usize = 255;

/// Hosts of `/proxy` links.
const HOSTS: [&str; 4] = ["t.me", "telegram.me", "telegram.dog", "www.t.me"];

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
    /// Parses a link.
    ///
    /// # Errors
    ///
    /// Fails if a part is missing or wrong.
    pub fn parse(link: &str) -> Result<Self, SecretError> {
        let query = query(link)?;
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value).ok_or(SecretError::Link)
        };
        let server = percent_decoded(value("server")?)?;
        if server.is_empty()
            || server.len() > MAX_SERVER
            || server.chars().any(|c| c.is_control() || c == ' ')
        {
            return Err(SecretError::Link);
        }
        let port = value("port")?.parse().ok().filter(|port| *port != 0).ok_or(SecretError::Port)?;
        let secret = ProxySecret::parse(&percent_decoded(value("secret")?)?)?;
        Ok(Self { server, port, secret })
    }
}

/// Returns the query of a proxy link.
fn query(link: &str) -> Result<&str, SecretError> {
    if link.len() > MAX_LINK {
        return Err(SecretError::Link);
    }
    let (scheme, rest) = link.trim().split_once(':').ok_or(SecretError::Link)?;
    let (path, query) = rest.split_once('?').ok_or(SecretError::Link)?;
    let path = path.trim_start_matches('/').trim_end_matches('/');
    let known = match scheme.to_ascii_lowercase().as_str() {
        "tg" => path == "proxy",
        "http" | "https" => path.split_once('/').is_some_and(|(host, page)| {
            page == "proxy" && HOSTS.iter().any(|known| host.eq_ignore_ascii_case(known))
        }),
        _ => false,
    };
    let query = query.split('#').next().unwrap_or_default();
    if known { Ok(query) } else { Err(SecretError::Link) }
}

/// Decodes `%xx`. A plus sign is kept, because base64 secrets contain it.
fn percent_decoded(text: &str) -> Result<String, SecretError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let (high, low) = (digit().ok_or(SecretError::Link)?, digit().ok_or(SecretError::Link)?);
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| SecretError::Link)
}
