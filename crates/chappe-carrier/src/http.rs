//! HTTP on the client's side: one request at a time on each of a few connections.
//!
//! A session that waits for news keeps a request open (`http_wait`), so calls need other connections. An HTTP carrier
//! therefore has up to [`LANES`] of them. The protocol attaches no meaning to the connection that carries a payload or
//! its answer.
//!
//! Spec: <https://core.telegram.org/mtproto/transports#http>.

use chappe_transport::http::{Persistence, Response, request_head_into};
use chappe_transport::{ConnectionLimits, ReadBuf, TransportErrorCode};

use crate::endpoint::Endpoint;
use crate::error::LinkError;
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
        Self { endpoint, stack, buf }
    }

    /// Returns the bytes to write for a payload.
    ///
    /// # Errors
    ///
    /// The endpoint is not a valid host and path, or TLS is closed.
    pub fn request(&mut self, payload: &[u8]) -> Result<Vec<u8>, LinkError> {
        let mut request = Vec::with_capacity(payload.len() + 256);
        let Endpoint { host, path } = &self.endpoint;
        request_head_into(&mut request, host, path, payload.len())?;
        request.extend_from_slice(payload);
        if self.stack.is_empty() {
            return Ok(request);
        }
        let mut out = Vec::with_capacity(request.len() + 256);
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
        let response = Response::parse(self.buf.raw(), &ConnectionLimits::DEFAULT);
        let response = response.map_err(chappe_transport::TransportError::from)?;
        let Some(Response { outcome, used, persistence }) = response else { return Ok(None) };
        let outcome = outcome.map(|body| body.map(|body| self.buf.raw()[body].to_vec()));
        self.buf.consume_raw(used);
        Ok(Some(HttpAnswer { outcome, persistence }))
    }
}

/// Returns whether a request may be sent again over a new connection after `error` came instead of an answer.
///
/// A server may close an idle connection at the moment of a request. Repeating is safe: a payload that arrives twice has
/// the same `msg_id`, and the server ignores the second.
pub const fn may_repeat(error: &LinkError) -> bool {
    matches!(error, LinkError::Closed | LinkError::Io(_))
}
