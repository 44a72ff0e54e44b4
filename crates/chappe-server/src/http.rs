//! HTTP on the server's side: one request, one response.
//!
//! Spec: <https://core.telegram.org/mtproto/transports#http>.

use core::time::Duration;

use chappe_session::{HttpWait, MonoTime};
use chappe_transport::http::{self, Cors, HttpError, Persistence, Request};
use chappe_transport::{ConnectionLimits, ReadBuf, TransportError, TransportErrorCode};

/// Requests and responses of one connection.
#[derive(Debug)]
pub(crate) struct HttpSide {
    pub(crate) buf: ReadBuf,
    limits: ConnectionLimits,
    open: Option<Open>,
}

/// A request that has no response yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    persistence: Persistence,
    cors: Cors,
    /// Until when the response may be held back, by `http_wait`.
    until: Option<MonoTime>,
}

impl HttpSide {
    pub(crate) const fn new(buf: ReadBuf, limits: ConnectionLimits) -> Self {
        Self { buf, limits, open: None }
    }

    /// Returns whether a request has no response yet.
    pub(crate) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Passes the next request to `handle`, if it is complete and the one before has its response. Returns whether there was
    /// one. The response to a preflight request of a browser is appended to `out`.
    pub(crate) fn next_request(
        &mut self,
        out: &mut Vec<u8>,
        handle: impl FnOnce(&mut [u8]),
    ) -> Result<bool, TransportError> {
        if self.is_open() {
            return Ok(false);
        }
        let Some(Request { head, body }) = Request::parse(self.buf.raw(), &self.limits)? else {
            return Ok(false);
        };
        let cors = if head.origin().is_some() { Cors::Allow } else { Cors::Omit };
        let persistence = head.persistence();
        let used = body.end;
        match (head.method(), is_ours(head.path())) {
            ("POST", true) if !body.is_empty() => {
                self.open = Some(Open { persistence, cors, until: None });
                handle(&mut self.buf.raw_mut()[body]);
            }
            ("OPTIONS", true) => http::response_head_into(out, 0, persistence, Cors::Allow),
            _ => return Err(HttpError::MalformedHead.into()),
        }
        self.buf.consume_raw(used);
        Ok(true)
    }

    /// Returns what has arrived of the body of an incomplete request.
    pub(crate) fn partial_payload(&self) -> &[u8] {
        const END: &[u8] = b"\r\n\r\n";
        let raw = self.buf.raw();
        let end = raw.windows(END.len()).position(|part| part == END);
        end.map_or(&[], |end| &raw[end + END.len()..])
    }

    /// Allows the response to be held back.
    pub(crate) fn hold(&mut self, now: MonoTime, wait: HttpWait) {
        if let Some(open) = &mut self.open {
            let longest = Duration::from_millis(u64::from(wait.max_wait.unsigned_abs()));
            open.until = Some(now + longest);
        }
    }

    /// Returns until when the response may be held back.
    pub(crate) fn held_until(&self) -> Option<MonoTime> {
        self.open.and_then(|open| open.until)
    }

    /// Returns whether a response is due even if it is empty.
    pub(crate) fn is_due(&self, now: MonoTime) -> bool {
        self.open.is_some_and(|open| open.until.is_none_or(|until| until <= now))
    }

    /// Appends the response with this payload, which may be empty. Returns whether the connection can carry another request.
    pub(crate) fn respond(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Persistence {
        let Some(Open { persistence, cors, .. }) = self.open.take() else {
            return Persistence::KeepAlive;
        };
        http::response_head_into(out, payload.len(), persistence, cors);
        out.extend_from_slice(payload);
        persistence
    }

    /// Appends the response with an error, after which the connection is closed.
    pub(crate) fn fail(&mut self, code: TransportErrorCode, out: &mut Vec<u8>) {
        let cors = self.open.take().map_or(Cors::Omit, |open| open.cors);
        http::error_response_into(out, code, cors);
    }
}

fn is_ours(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    [http::PATH, http::WEB_PATH, http::WEB_TEST_PATH].contains(&path)
}
