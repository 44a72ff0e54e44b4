//! The beginning of a client's connection, from the first byte of a socket to the first frame.
//!
//! [`Opening`] takes what the socket read and gives what is to be written, through these stages: proxy, TLS, the change to
//! WebSocket, the answer under fake TLS. Not here: time-outs, which belong to the `Link` around it.

use core::mem;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use chappe_carrier::{
    Address, Endpoint, FrameReader, FrameWriter, HttpLane, LinkError, Stack, Wait, join_over,
};
use chappe_carrier::{Negotiation, ProxyError};
use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use chappe_transport::{ConnectStep, Connection, ConnectionLimits, ExpectServerHello, ReadBuf};
#[cfg(feature = "websocket")]
use chappe_transport::{TransportError, websocket};
#[cfg(feature = "websocket")]
use rand_core::Rng as _;
use zeroize::Zeroizing;

use crate::options::DialOptions;

/// The beginning of a connection, from the first byte of a socket to the first frame, for your own sockets.
///
/// Connect to the proxy of the options or else to the target, write what [`take_output`](Self::take_output) returns, read, call
/// [`handle`](Self::handle), and so on until [`awaits`](Self::awaits) returns `None`. Write what is left, then take the
/// [parts](Self::into_parts).
#[derive(Debug)]
pub struct Opening {
    options: Arc<DialOptions>,
    /// The datacenter's address, for a proxy that forwards requests to it.
    target: Address,
    stage: Stage,
    /// Wiped: the answer to a proxy can contain a password.
    out: Zeroizing<Vec<u8>>,
    stack: Stack,
    /// Bytes of the stream; until the proxy is done, of the socket.
    buf: ReadBuf,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one for each connection, in a box")]
enum Stage {
    /// The proxy has not confirmed the connection yet.
    Proxy(Negotiation),
    /// The TLS handshake runs.
    #[cfg(feature = "tls")]
    Tls,
    /// The server has not confirmed the change to WebSocket yet.
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

/// What an opening leads to.
#[allow(clippy::large_enum_variant, reason = "taken apart at once")]
pub(super) enum Opened {
    Stream(FrameWriter, FrameReader),
    Http(HttpLane),
}

impl Opening {
    /// Begins; `target` is the datacenter's address, or an `MTProxy`'s.
    ///
    /// # Errors
    ///
    /// An option cannot work.
    pub fn start(
        options: Arc<DialOptions>,
        target: &Address,
        now: UnixTime,
        rng: &mut Drbg,
    ) -> Result<Self, LinkError> {
        let buf = ReadBuf::new(&ConnectionLimits::DEFAULT);
        let (stage, stack) = (Stage::Over, Stack::default());
        let target = target.clone();
        let mut opening = Self { options, target, stage, out: Zeroizing::default(), stack, buf };
        match &opening.options.proxy {
            None => opening.start_carrier(now, rng)?,
            Some(proxy) if proxy.forwards_requests() => opening.start_carrier(now, rng)?,
            Some(proxy) => {
                opening.stage = Stage::Proxy(Negotiation::start(proxy, &opening.target, &mut opening.out)?);
            }
        }
        Ok(opening)
    }

    /// Returns what is to be written now.
    pub fn take_output(&mut self) -> Zeroizing<Vec<u8>> {
        mem::take(&mut self.out)
    }

    /// Returns what is awaited and how long that may take, or `None` once the connection stands.
    pub fn awaits(&self) -> Option<(Wait, Duration)> {
        let options = &self.options;
        match self.stage {
            Stage::Proxy(_) => Some((Wait::Proxy, options.proxy_timeout)),
            #[cfg(feature = "tls")]
            Stage::Tls => Some((Wait::Carrier, options.carrier_timeout)),
            #[cfg(feature = "websocket")]
            Stage::Upgrade(_) => Some((Wait::Carrier, options.carrier_timeout)),
            Stage::Hello(_) | Stage::Over => Some((Wait::FirstBytes, options.hello_timeout)),
            Stage::Ready(_) | Stage::Http(_) => None,
        }
    }

    /// Returns whether the next bytes are an `MTProxy`'s, and not those of another proxy, TLS or an upgrade.
    pub(super) const fn awaits_stream(&self) -> bool {
        matches!(self.stage, Stage::Hello(_))
    }

    /// Handles bytes that were read.
    ///
    /// # Errors
    ///
    /// The peer, a proxy or a layer refuses, or its bytes are malformed.
    pub fn handle(&mut self, bytes: &[u8], now: UnixTime, rng: &mut Drbg) -> Result<(), LinkError> {
        if self.stack.is_empty() {
            self.buf.extend_from_slice(bytes)?;
        } else {
            self.stack.receive(bytes, &mut self.buf, &mut self.out)?;
        }
        self.advance(now, rng)
    }

    /// Handles the end of the socket, by the peer's will or by an error.
    pub(super) fn on_end(&self, error: Option<io::Error>) -> LinkError {
        match (&self.stage, error) {
            (Stage::Proxy(_), None) => ProxyError::Closed.into(),
            (Stage::Proxy(_), Some(error)) => ProxyError::Unreachable(error).into(),
            (_, None) => LinkError::Closed,
            (_, Some(error)) => error.into(),
        }
    }

    /// Returns the transport, the bytes of its stream that have arrived already, and the layers beneath.
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] if something is still awaited, or for HTTP, which is no stream.
    pub fn into_parts(self) -> Result<(Connection, ReadBuf, Stack), LinkError> {
        match self.stage {
            Stage::Ready(connection) => Ok((connection, self.buf, self.stack)),
            _ => Err(LinkError::Closed),
        }
    }

    /// Returns what sends and receives from now on.
    ///
    /// # Errors
    ///
    /// [`LinkError::Closed`] if something is still awaited.
    pub(super) fn finish(self) -> Result<Opened, LinkError> {
        match self.stage {
            Stage::Ready(connection) => {
                let (outgoing, ingoing) = join_over(connection, self.buf, self.stack);
                Ok(Opened::Stream(outgoing, ingoing))
            }
            Stage::Http(endpoint) => {
                let lane = HttpLane::new(endpoint, self.stack, self.buf);
                Ok(Opened::Http(match &self.options.proxy {
                    Some(proxy) => lane.through(proxy, &self.target),
                    None => lane,
                }))
            }
            _ => Err(LinkError::Closed),
        }
    }

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

    /// Begins with the layers between the socket and the stream.
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
        // The bytes behind the head are frames already.
        let frames = self.buf.raw()[head..].to_vec();
        self.buf.consume_raw(head + frames.len());
        self.stack.start_websocket_client(rng.fork());
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

/// Returns the error for a `wait` that took too long.
pub(super) fn timed_out(waiting_for: Wait, after: Duration) -> LinkError {
    match waiting_for {
        Wait::Proxy => ProxyError::TimedOut { after }.into(),
        _ => LinkError::TimedOut { waiting_for, after },
    }
}

/// Returns the error for a connection that could not be made: with a proxy, the proxy cannot be reached.
pub(super) fn unreachable(options: &DialOptions, error: LinkError) -> LinkError {
    match (&options.proxy, error) {
        (Some(_), LinkError::Io(error)) => ProxyError::Unreachable(error).into(),
        (Some(_), LinkError::TimedOut { after, .. }) => {
            let text = format!("no connection for {after:?}");
            ProxyError::Unreachable(io::Error::new(io::ErrorKind::TimedOut, text)).into()
        }
        (_, error) => error,
    }
}
