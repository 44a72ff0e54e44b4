//! HTTP on the client's side: one request at a time on each of a few connections.
//!
//! A session that waits for news keeps a request open (`http_wait`), so calls need other connections. An HTTP carrier
//! therefore has up to [`LANES`] of them. The protocol attaches no meaning to the connection that carries a payload or
//! its answer.
//!
//! Spec: <https://core.telegram.org/mtproto/transports#http>.

use chappe_transport::http::{Persistence, Response, forwarded_head_into, request_head_into, status_line};
use chappe_transport::{ConnectionLimits, ReadBuf, TransportErrorCode};
use zeroize::Zeroizing;

use crate::address::Address;
use crate::endpoint::Endpoint;
use crate::error::LinkError;
use crate::proxy::{Proxy, ProxyError, http_connect};
use crate::stack::Stack;

/// Connections of one carrier: one for the request that waits for news, three for calls.
pub const LANES: usize = 4;

/// Payloads that may wait for a free lane. A caller with more has to wait.
pub const QUEUE: usize = 16;

/// One HTTP connection, after proxies and TLS.
#[derive(Debug)]
pub struct HttpLane {
    endpoint: Endpoint,
    stack: Stack,
    buf: ReadBuf,
    forward: Option<Forward>,
}

/// What requests to a proxy need that forwards them.
struct Forward {
    /// Where to.
    host: String,
    /// The value of the field `Proxy-Authorization`.
    authorization: Option<Zeroizing<String>>,
}

impl core::fmt::Debug for Forward {
    /// Omits the password (`SEC-05`).
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Forward").field("host", &self.host).finish_non_exhaustive()
    }
}

/// The result of a request.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The payload. `None` for an empty response, an error for a status other than 200.
    pub outcome: Result<Option<Vec<u8>>, TransportErrorCode>,
    /// Whether the connection can carry another request.
    pub persistence: Persistence,
}

impl HttpLane {
    /// Takes a connection on which requests can be sent; `buf` holds what was read and not yet handled.
    pub const fn new(endpoint: Endpoint, stack: Stack, buf: ReadBuf) -> Self {
        Self { endpoint, stack, buf, forward: None }
    }

    /// Sends the requests to a proxy that forwards them to `target`, if it is of this kind.
    #[must_use]
    pub fn through(mut self, proxy: &Proxy, target: &Address) -> Self {
        if let Proxy::HttpForward { credentials, .. } = proxy {
            let authorization = credentials.as_ref().map(|credentials| {
                let basic = http_connect::basic(credentials);
                Zeroizing::new(["Basic ", &basic].concat())
            });
            self.forward = Some(Forward { host: target.to_string(), authorization });
        }
        self
    }

    /// Returns the bytes to write for a payload.
    ///
    /// # Errors
    ///
    /// The endpoint is not a valid host and path, or TLS is closed.
    pub fn request(&mut self, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, LinkError> {
        let Endpoint { host, path } = &self.endpoint;
        // A buffer that grows leaves copies of a password behind.
        let authorization = self.forward.as_ref().and_then(|forward| forward.authorization.as_ref());
        let head = 256 + host.len() + path.len() + authorization.map_or(0, |text| text.len());
        let mut request = Zeroizing::new(Vec::with_capacity(payload.len() + head));
        match &self.forward {
            None => request_head_into(&mut request, host, path, payload.len())?,
            Some(Forward { host, .. }) => {
                let authorization = authorization.map(|text| text.as_str());
                forwarded_head_into(&mut request, host, path, authorization, payload.len())?;
            }
        }
        request.extend_from_slice(payload);
        if self.stack.is_empty() {
            return Ok(request);
        }
        let mut out = Zeroizing::new(Vec::with_capacity(request.len() + 256));
        self.stack.send(&request, &mut out)?;
        Ok(out)
    }

    /// Handles bytes that were read. What TLS answers is appended to `out`.
    ///
    /// # Errors
    ///
    /// The bytes are no answer of HTTP, or a layer beneath is broken.
    pub fn handle(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Option<HttpAnswer>, LinkError> {
        if self.stack.is_empty() {
            self.buf.extend_from_slice(bytes)?;
        } else {
            self.stack.receive(bytes, &mut self.buf, out)?;
        }
        if let Some(forward) = &self.forward {
            check_proxy(self.buf.raw(), forward)?;
        }
        let response = Response::parse(self.buf.raw(), &ConnectionLimits::DEFAULT);
        let response = response.map_err(chappe_transport::TransportError::from)?;
        let Some(Response { outcome, used, persistence }) = response else { return Ok(None) };
        let outcome = outcome.map(|body| body.map(|body| self.buf.raw()[body].to_vec()));
        self.buf.consume_raw(used);
        Ok(Some(HttpAnswer { outcome, persistence }))
    }
}

/// Looks for an answer of the proxy itself. Statuses of datacenters are others.
fn check_proxy(answer: &[u8], forward: &Forward) -> Result<(), LinkError> {
    let line =
        status_line(answer, &ConnectionLimits::DEFAULT).map_err(chappe_transport::TransportError::from)?;
    match line {
        Some((407, head_len)) => {
            let has_credentials = forward.authorization.is_some();
            Err(http_connect::on_unauthorized(&answer[..head_len], has_credentials).into())
        }
        Some((status @ (405 | 501..=504), _)) => Err(ProxyError::HttpRefused { status }.into()),
        _ => Ok(()),
    }
}

/// Returns whether a request may be sent again over a new connection after `error` came instead of an answer.
///
/// A server may close an idle connection at the moment of a request. Repeating is safe: a payload that arrives twice has
/// the same `msg_id`, and the server ignores the second.
pub const fn may_repeat(error: &LinkError) -> bool {
    matches!(error, LinkError::Closed | LinkError::Io(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credentials;

    fn lane(proxy: &Proxy) -> HttpLane {
        let buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
        let endpoint = Endpoint::http("venus.web.telegram.org");
        HttpLane::new(endpoint, Stack::default(), buf).through(proxy, &Address::of("149.154.167.50", 80))
    }

    #[test]
    fn a_forwarded_request_names_the_target_and_who_asks() {
        let open = lane(&Proxy::http_forward("proxy:3128")).request(b"body").expect("it can be sent");
        let expected = "POST http://149.154.167.50:80/api HTTP/1.1\r\nHost: 149.154.167.50:80\r\n\
            Content-Length: 4\r\nConnection: keep-alive\r\n\r\nbody";
        assert_eq!(String::from_utf8_lossy(&open), expected);
        let known =
            Proxy::http_forward("proxy:3128").with_credentials(Credentials::new("Aladdin", "open sesame"));
        let lane = &mut lane(&known);
        let asked = lane.request(b"body").expect("it can be sent");
        let asked = String::from_utf8_lossy(&asked).into_owned();
        assert!(
            asked.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\nbody"),
            "{asked}"
        );
        assert!(!format!("{lane:?}").contains("QWxhZGRp"));
        // Any other proxy is no concern of a lane: it made the connection.
        let tunnel = self::lane(&Proxy::http_connect("proxy:3128")).request(b"").expect("it can be sent");
        assert!(tunnel.starts_with(b"POST /api HTTP/1.1\r\nHost: venus.web.telegram.org\r\n"));
    }

    #[test]
    fn what_the_proxy_says_itself_is_told_from_the_datacenter() {
        let answer = |proxy: &Proxy, answer: &[u8]| lane(proxy).handle(answer, &mut Vec::new());
        let open = Proxy::http_forward("proxy:3128");
        let known = open.clone().with_credentials(Credentials::new("a", "b"));
        let head = b"HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Digest realm=\"a\"\r\nContent-Length: 0\r\n\r\n";
        let refused = answer(&open, head);
        let digest = crate::AuthScheme::Digest;
        assert!(
            matches!(refused, Err(LinkError::Proxy(ProxyError::UnsupportedScheme { scheme })) if scheme == digest)
        );
        let head = b"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(answer(&open, head), Err(LinkError::Proxy(ProxyError::NoCommonMethod))));
        assert!(matches!(answer(&known, head), Err(LinkError::Proxy(ProxyError::CredentialsRefused))));
        let head = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n";
        assert!(matches!(
            answer(&open, head),
            Err(LinkError::Proxy(ProxyError::HttpRefused { status: 504 }))
        ));
        let head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        let found = answer(&open, head).expect("the datacenter answers").expect("it is complete");
        assert_eq!(found.outcome, Err(TransportErrorCode::UnknownAuthKey));
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback";
        let found = answer(&open, head).expect("the datacenter answers").expect("it is complete");
        assert_eq!(found.outcome, Ok(Some(b"back".to_vec())));
    }
}
