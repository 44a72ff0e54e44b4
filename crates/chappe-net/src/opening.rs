//! The beginning of a client's connection, from the first byte to the first frame; who waits is the driver's
//! business.
//!
//! ```text
//! loop {
//!     /* write what `output` gives */
//!     let Some(wait) = opening.awaits() else { break };
//!     /* read into `space`, then `commit` */
//! }
//! let (outgoing, ingoing) = opening.finish();
//! ```

use core::mem;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use chappe_carrier::proxy::{Negotiation, ProxyError};
use chappe_carrier::{
    Endpoint, FrameReader, FrameWriter, HttpLane, LinkError, ONE_READ, Stack, Wait, join_over,
};
use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use chappe_transport::{ConnectStep, Connection, ConnectionLimits, ExpectServerHello, ReadBuf};
#[cfg(feature = "websocket")]
use chappe_transport::{TransportError, websocket};
#[cfg(feature = "websocket")]
use rand_core::Rng as _;
use zeroize::Zeroizing;

use crate::options::DialOptions;

/// A connection that was just made, to the datacenter or to what stands in between.
#[derive(Debug)]
pub(crate) struct Opening<'o> {
    options: &'o DialOptions,
    stage: Stage,
    /// Wiped: the answer to a proxy can contain a password.
    out: Zeroizing<Vec<u8>>,
    stack: Stack,
    /// Bytes of the stream; until the proxy is done, of the socket.
    buf: ReadBuf,
    /// Bytes of the socket, where they are not those of the stream.
    raw: Vec<u8>,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one for each connection, on the stack")]
enum Stage {
    /// The proxy has not said yet that bytes go through.
    Proxy(Negotiation),
    /// TLS has not proved yet who the server is.
    #[cfg(feature = "tls")]
    Tls,
    /// The server has not said yet that it goes over to WebSocket.
    #[cfg(feature = "websocket")]
    Upgrade([u8; 16]),
    /// The answer under fake TLS is missing.
    Hello(ExpectServerHello),
    Ready(Connection),
    /// Requests of HTTP can be sent.
    Http(Endpoint),
    /// Only while one stage becomes another, or after an error.
    Over,
}

impl<'o> Opening<'o> {
    /// Begins; `target` is the datacenter's address, or an `MTProxy`'s.
    pub(crate) fn start(
        options: &'o DialOptions,
        target: SocketAddr,
        now: UnixTime,
        rng: &mut Drbg,
    ) -> Result<Self, LinkError> {
        let buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
        let (stack, raw) = (Stack::default(), Vec::new());
        let mut opening = Self { options, stage: Stage::Over, out: Zeroizing::default(), stack, buf, raw };
        match &options.proxy {
            None => opening.start_carrier(now, rng)?,
            Some(proxy) => {
                opening.stage = Stage::Proxy(Negotiation::start(proxy, target, &mut opening.out)?);
            }
        }
        Ok(opening)
    }

    /// Returns what is to be written now.
    pub(crate) fn output(&mut self) -> Zeroizing<Vec<u8>> {
        mem::take(&mut self.out)
    }

    /// Returns what is to be waited for, or `None` once the connection stands.
    pub(crate) fn awaits(&self) -> Option<Wait> {
        match self.stage {
            Stage::Proxy(_) => Some(Wait::Proxy),
            #[cfg(feature = "tls")]
            Stage::Tls => Some(Wait::Carrier),
            #[cfg(feature = "websocket")]
            Stage::Upgrade(_) => Some(Wait::Carrier),
            Stage::Hello(_) | Stage::Over => Some(Wait::FirstBytes),
            Stage::Ready(_) | Stage::Http(_) => None,
        }
    }

    /// Returns how long that may take.
    pub(crate) fn patience(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Proxy => self.options.proxy_timeout,
            Wait::Carrier => self.options.carrier_timeout,
            _ => self.options.hello_timeout,
        }
    }

    /// Returns room to read into.
    pub(crate) fn space(&mut self) -> Result<&mut [u8], LinkError> {
        if self.stack.is_empty() {
            return Ok(self.buf.space()?);
        }
        self.raw.resize(ONE_READ, 0);
        Ok(&mut self.raw)
    }

    /// Looks at `count` bytes that were read; none means that the peer closed the connection.
    pub(crate) fn commit(&mut self, count: usize, now: UnixTime, rng: &mut Drbg) -> Result<(), LinkError> {
        if count == 0 {
            return Err(match self.stage {
                Stage::Proxy(_) => ProxyError::Closed.into(),
                _ => LinkError::Closed,
            });
        }
        if self.stack.is_empty() {
            self.buf.commit(count);
        } else {
            let raw = mem::take(&mut self.raw);
            self.stack.receive(&raw[..count.min(raw.len())], &mut self.buf, &mut self.out)?;
            self.raw = raw;
        }
        self.advance(now, rng)
    }

    /// Returns what sends requests, for an HTTP carrier.
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] if something is still awaited, or the carrier is another.
    pub(crate) fn finish_http(self) -> Result<HttpLane, LinkError> {
        match self.stage {
            Stage::Http(endpoint) => Ok(HttpLane::new(endpoint, self.stack, self.buf)),
            _ => Err(LinkError::Closed),
        }
    }

    /// Looks at what has arrived so far.
    fn advance(&mut self, now: UnixTime, rng: &mut Drbg) -> Result<(), LinkError> {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Proxy(mut negotiation) => {
                if negotiation.handle(&mut self.buf, &mut self.out)? {
                    self.start_carrier(now, rng)?;
                } else {
                    self.stage = Stage::Proxy(negotiation);
                }
            }
            #[cfg(feature = "tls")]
            Stage::Tls if self.stack.is_handshaking() => self.stage = Stage::Tls,
            #[cfg(feature = "tls")]
            Stage::Tls => self.start_upgrade(now, rng)?,
            #[cfg(feature = "websocket")]
            Stage::Upgrade(key) => self.on_upgrade(key, now, rng)?,
            Stage::Hello(state) => {
                let connect = state.handle(&mut self.buf)?;
                self.on_connect(connect);
            }
            other => self.stage = other,
        }
        Ok(())
    }

    /// Returns both halves.
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] if something is still awaited.
    pub(crate) fn finish(self) -> Result<(FrameWriter, FrameReader), LinkError> {
        match self.stage {
            Stage::Ready(connection) => Ok(join_over(connection, self.buf, self.stack)),
            _ => Err(LinkError::Closed),
        }
    }

    /// Begins with what stands between the socket and the stream.
    fn start_carrier(&mut self, now: UnixTime, rng: &mut Drbg) -> Result<(), LinkError> {
        #[cfg(feature = "tls")]
        if let Some((endpoint, options)) = self.options.carrier.tls() {
            self.stack.start_tls(options, &endpoint.host, &mut self.out)?;
            self.stage = Stage::Tls;
            return Ok(());
        }
        self.start_upgrade(now, rng)
    }

    fn start_upgrade(&mut self, now: UnixTime, rng: &mut Drbg) -> Result<(), LinkError> {
        if let Some(endpoint) = self.options.carrier.http() {
            self.stage = Stage::Http(endpoint.clone());
            return Ok(());
        }
        #[cfg(feature = "websocket")]
        if let Some(Endpoint { host, path }) = self.options.carrier.websocket() {
            let mut key = [0; 16];
            rng.fill_bytes(&mut key);
            let mut request = Vec::new();
            websocket::request_into(&mut request, host, path, &key).map_err(TransportError::from)?;
            self.stack.send(&request, &mut self.out)?;
            self.stage = Stage::Upgrade(key);
            return Ok(());
        }
        self.start_transport(now, rng)
    }

    #[cfg(feature = "websocket")]
    fn on_upgrade(&mut self, key: [u8; 16], now: UnixTime, rng: &mut Drbg) -> Result<(), LinkError> {
        let answer = websocket::check_response(self.buf.raw(), &key, &ConnectionLimits::DEFAULT);
        let Some(head) = answer.map_err(TransportError::from)? else {
            self.stage = Stage::Upgrade(key);
            return Ok(());
        };
        // What stands behind the head are frames already.
        let frames = self.buf.raw()[head..].to_vec();
        self.buf.consume_raw(head + frames.len());
        self.stack.start_websocket_client(&ConnectionLimits::DEFAULT, rng.fork());
        self.stack.receive_early(&frames, &mut self.buf, &mut self.out)?;
        self.start_transport(now, rng)
    }

    fn start_transport(&mut self, now: UnixTime, rng: &mut Drbg) -> Result<(), LinkError> {
        let unix_time = now.to_tl_int() as u32;
        let mut first = Vec::new();
        let connect = self.options.connector.start(unix_time, rng, &mut first)?;
        if !first.is_empty() {
            self.stack.send(&first, &mut self.out)?;
        }
        self.on_connect(connect);
        Ok(())
    }

    fn on_connect(&mut self, connect: ConnectStep) {
        self.stage = match connect {
            ConnectStep::Ready(connection) => Stage::Ready(connection),
            ConnectStep::FakeTls(state) => Stage::Hello(state),
        };
    }
}

/// What it means that `wait` was in vain.
pub(crate) fn in_vain(waiting_for: Wait, after: Duration) -> LinkError {
    match waiting_for {
        Wait::Proxy => ProxyError::TimedOut { after }.into(),
        _ => LinkError::TimedOut { waiting_for, after },
    }
}

/// What it means that the connection broke while `waiting_for` something.
pub(crate) fn broken(waiting_for: Wait, error: io::Error) -> LinkError {
    match waiting_for {
        Wait::Proxy => ProxyError::Unreachable(error).into(),
        _ => error.into(),
    }
}

/// What it means that no connection was made.
pub(crate) fn unreachable(options: &DialOptions, error: LinkError) -> LinkError {
    match (&options.proxy, error) {
        (Some(_), LinkError::Io(error)) => ProxyError::Unreachable(error).into(),
        (Some(_), LinkError::TimedOut { after, .. }) => {
            let text = format!("no connection for {after:?}");
            ProxyError::Unreachable(io::Error::new(io::ErrorKind::TimedOut, text)).into()
        }
        (_, error) => error,
    }
}
