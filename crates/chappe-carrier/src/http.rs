//! HTTP on the client's side: one request at a time on each of a few connections.
//!
//! A session that waits for news keeps a request open (`http_wait`), so calls need other connections. An HTTP carrier
//! therefore has up to [`LANES`] of them. The protocol attaches no meaning to the connection that carries a payload or
//! its answer.
//!
//! Spec: <https://core.telegram.org/mtproto/transports#http>.

use core::mem;

use chappe_transport::http::{Persistence, Response, request_head_into};
use chappe_transport::{ConnectionLimits, Incoming, ReadBuf, TransportErrorCode};

use crate::endpoint::Endpoint;
use crate::error::LinkError;
use crate::stack::{ONE_READ, Stack};

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
    raw: Vec<u8>,
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
        Self { endpoint, stack, buf, raw: Vec::new() }
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

    /// Returns room to read into.
    ///
    /// # Errors
    ///
    /// The response is longer than a frame may be.
    pub fn space(&mut self) -> Result<&mut [u8], LinkError> {
        if self.stack.is_empty() {
            return Ok(self.buf.space()?);
        }
        self.raw.resize(ONE_READ, 0);
        Ok(&mut self.raw)
    }

    /// Handles `count` bytes that were read into [`space`](Self::space); 0 means that the peer closed the connection.
    /// Returns the answer once it is complete. Bytes that TLS has to send are appended to `out`.
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] at the end of the stream; otherwise the response or TLS is malformed.
    pub fn commit(&mut self, count: usize, out: &mut Vec<u8>) -> Result<Option<HttpAnswer>, LinkError> {
        if count == 0 {
            return Err(LinkError::Closed);
        }
        if self.stack.is_empty() {
            self.buf.commit(count);
        } else {
            let raw = mem::take(&mut self.raw);
            self.stack.receive(&raw[..count.min(raw.len())], &mut self.buf, out)?;
            self.raw = raw;
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

/// The answer that arrived over the lanes and was not taken yet.
#[derive(Debug, Default)]
pub struct HttpInbox {
    next: Option<Result<Vec<u8>, TransportErrorCode>>,
    current: Vec<u8>,
}

impl HttpInbox {
    /// Keeps an answer. The one before must have been taken.
    pub fn put(&mut self, outcome: Result<Vec<u8>, TransportErrorCode>) {
        self.next = Some(outcome);
    }

    /// Returns the answer that arrived.
    pub fn take(&mut self) -> Option<Incoming<'_>> {
        Some(match self.next.take()? {
            Ok(payload) => {
                self.current = payload;
                Incoming::Envelope { payload: &mut self.current, ack: chappe_transport::AckRequest::No }
            }
            Err(code) => Incoming::Error(code),
        })
    }
}
