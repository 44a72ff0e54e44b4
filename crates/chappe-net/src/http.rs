//! HTTP on the client's side: one request at a time on each of a few connections.
//!
//! A session that waits for news keeps a request open (`http_wait`), so calls need other connections: an HTTP
//! carrier has [`LANES`] of them, made when they are needed. Which lane carries a payload, and over which an answer
//! comes, means nothing.
//!
//! Spec: <https://core.telegram.org/mtproto/transports#http>.

use core::mem;

use chappe_crypto::rng::Drbg;
use chappe_transport::http::{Persistence, Response, request_head_into};
use chappe_transport::{ConnectionLimits, Incoming, ReadBuf, TransportErrorCode};
use rand_core::Rng as _;

use crate::carrier::{ONE_READ, Stack};
use crate::error::LinkError;
use crate::options::Endpoint;

/// Connections of one carrier: one that waits for news, and three for calls.
pub(crate) const LANES: usize = 4;

/// Payloads that wait for a lane; a caller that has more waits.
pub(crate) const QUEUE: usize = 16;

/// One connection, once it is made.
#[derive(Debug)]
pub(crate) struct Lane {
    endpoint: Endpoint,
    stack: Stack,
    buf: ReadBuf,
    raw: Vec<u8>,
}

/// What a request led to.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The payload, if there is one.
    pub(crate) outcome: Result<Option<Vec<u8>>, TransportErrorCode>,
    /// Whether the connection can be used again.
    pub(crate) persistence: Persistence,
}

impl Lane {
    pub(crate) const fn new(endpoint: Endpoint, stack: Stack, buf: ReadBuf) -> Self {
        Self { endpoint, stack, buf, raw: Vec::new() }
    }

    /// Returns what to write for a payload.
    pub(crate) fn request(&mut self, payload: &[u8]) -> Result<Vec<u8>, LinkError> {
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
    pub(crate) fn space(&mut self) -> Result<&mut [u8], LinkError> {
        if self.stack.is_empty() {
            return Ok(self.buf.space()?);
        }
        self.raw.resize(ONE_READ, 0);
        Ok(&mut self.raw)
    }

    /// Looks at `count` bytes that were read; none means that the peer closed the connection. What TLS answers is
    /// appended to `out`.
    pub(crate) fn commit(&mut self, count: usize, out: &mut Vec<u8>) -> Result<Option<Answer>, LinkError> {
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
        Ok(Some(Answer { outcome, persistence }))
    }
}

/// Makes a generator for a lane.
pub(crate) fn fork(rng: &mut Drbg) -> Drbg {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    Drbg::from_seed(seed)
}

/// Says whether a request may be sent once more over a new connection, after `error` came before any answer: the
/// server may have closed the old one just then. A payload that comes twice is a repetition that it recognises.
pub(crate) const fn may_repeat(error: &LinkError) -> bool {
    matches!(error, LinkError::Closed | LinkError::Io(_))
}

/// What arrived over the lanes and was not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    next: Option<Result<Vec<u8>, TransportErrorCode>>,
    current: Vec<u8>,
}

impl Inbox {
    /// Keeps what a lane brought; the one before must have been taken.
    pub(crate) fn put(&mut self, outcome: Result<Vec<u8>, TransportErrorCode>) {
        self.next = Some(outcome);
    }

    /// Hands out what arrived.
    pub(crate) fn take(&mut self) -> Option<Incoming<'_>> {
        Some(match self.next.take()? {
            Ok(payload) => {
                self.current = payload;
                Incoming::Envelope { payload: &mut self.current, ack: chappe_transport::AckRequest::No }
            }
            Err(code) => Incoming::Error(code),
        })
    }
}
