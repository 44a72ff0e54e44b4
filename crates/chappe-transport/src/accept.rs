//! The server's side of a new connection: every transport on one port.
//!
//! Call [`Acceptor::handle`] after each read until it returns something other than [`AcceptStep::Incomplete`]. It sends
//! nothing by itself, waits for at most one hello or HTTP head, and leaves what it rejects in the buffer, so that a proxy
//! can forward the connection to a real site.

use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::Side;
use rand_core::CryptoRng;

use crate::detect::{Detected, detect};
use crate::error::{StreamRefusal, TransportError};
use crate::fake_tls::answer::AnswerProfile;
use crate::fake_tls::record::{RecordReader, RecordWriter};
use crate::fake_tls::server::{ClientHello, HelloNames, HelloRefusal, TimeWindow};
use crate::fake_tls::split::{self, Joined};
use crate::framing::Framing;
use crate::http::RequestHead;
use crate::limits::ConnectionLimits;
use crate::obfuscation::{self, HEADER_LEN, Obfuscation};
use crate::read_buf::ReadBuf;
use crate::replay::ReplayFilter;
use crate::secret::ProxySecret;
use crate::stream::Connection;
use crate::websocket::Upgrade;
use chappe_types::DcId;

/// The transports and clients that a server accepts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AcceptConfig {
    /// Secrets of a proxy, tried in order. Fake TLS is used with those that require it.
    pub secrets: Vec<ProxySecret>,
    /// Whether clients without a secret are accepted: plain framings, obfuscation, HTTP and WebSocket. Datacenters do
    /// so, proxies do not.
    pub without_secret: bool,
    /// Accepted clock error of fake-TLS clients.
    pub time_window: TimeWindow,
    /// The sites that fake-TLS clients may ask for.
    pub names: HelloNames,
    /// The shape of the answer to fake-TLS clients.
    pub answer: AnswerProfile,
    /// Bounds of each connection.
    pub limits: ConnectionLimits,
}

impl AcceptConfig {
    /// Returns the configuration of a datacenter: every transport except fake TLS, no secrets.
    pub const fn datacenter() -> Self {
        Self {
            secrets: Vec::new(),
            without_secret: true,
            time_window: TimeWindow::OFFICIAL,
            names: HelloNames::SecretOrNone,
            answer: AnswerProfile::DEFAULT,
            limits: ConnectionLimits::DEFAULT,
        }
    }

    /// Returns the configuration of a proxy: only clients that know one of the secrets.
    pub const fn proxy(secrets: Vec<ProxySecret>) -> Self {
        Self {
            secrets,
            without_secret: false,
            time_window: TimeWindow::OFFICIAL,
            names: HelloNames::SecretOrNone,
            answer: AnswerProfile::DEFAULT,
            limits: ConnectionLimits::DEFAULT,
        }
    }

    /// Replaces the sites that fake-TLS clients may ask for.
    #[must_use]
    pub fn with_names(mut self, names: HelloNames) -> Self {
        self.names = names;
        self
    }

    /// Replaces the shape of the answer to fake-TLS clients.
    #[must_use]
    pub fn with_answer(mut self, answer: AnswerProfile) -> Self {
        self.answer = answer;
        self
    }

    /// Replaces the bounds.
    #[must_use]
    pub const fn with_limits(mut self, limits: ConnectionLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// The input of each call besides the bytes.
#[derive(Debug)]
pub struct AcceptContext<'a> {
    /// The configuration.
    pub config: &'a AcceptConfig,
    /// The time in Unix seconds, for fake TLS.
    pub unix_time: u32,
    /// The beginnings of earlier connections. Proxies need them, datacenters do not (`SEC-145`).
    pub replays: Option<&'a mut ReplayFilter>,
}

/// An accepted connection.
#[derive(Debug)]
pub struct Accepted {
    /// Its two halves. Bytes that the client sent after the header are still in the buffer.
    pub connection: Connection,
    /// The datacenter in the obfuscation header. Without a secret it may be random: do not check it.
    pub dc: Option<DcId>,
    /// Index of the client's secret in [`AcceptConfig::secrets`].
    pub secret: Option<usize>,
    /// How the stream is disguised.
    pub disguise: Disguise,
}

/// How an accepted stream is disguised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disguise {
    /// Not at all.
    None,
    /// By obfuscation.
    Obfuscated,
    /// By obfuscation inside fake TLS.
    FakeTls,
}

/// What to do next with a connection.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "made once for each connection and taken apart at once")]
pub enum AcceptStep {
    /// Read more and call again. The server sets a time limit (`SEC-136`).
    Incomplete(Acceptor),
    /// Frames can be received.
    Ready(Accepted),
    /// Send these bytes, then continue with `next`.
    Answer {
        /// A fake-TLS server's answer.
        bytes: Vec<u8>,
        /// The state to continue with.
        next: Acceptor,
    },
    /// Plain HTTP: parse requests from the buffer's raw bytes. Nothing was consumed.
    Http,
    /// A WebSocket upgrade, whose head was consumed. Send [`Upgrade::response`], then append the content of each binary
    /// message to the buffer and continue with [`Acceptor::inside_websocket`].
    WebSocket(Upgrade),
    /// The connection was rejected. Nothing was consumed: forward the connection to the real site, or close it.
    Refused(AcceptRefusal),
}

/// Why a connection was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptRefusal {
    /// A fake-TLS hello failed a check (`SEC-149`).
    ClientHello(HelloRefusal),
    /// The first 64 bytes are no header for any of the secrets (`SEC-144`).
    UnknownProtocol,
    /// The header was seen before (`SEC-145`).
    Replayed,
    /// The configuration does not allow the transport.
    NotAllowed,
}

impl fmt::Display for AcceptRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientHello(rejection) => rejection.fmt(f),
            Self::UnknownProtocol => f.write_str("first bytes belong to no known transport"),
            Self::Replayed => f.write_str("obfuscation header was seen before"),
            Self::NotAllowed => f.write_str("transport is not allowed here"),
        }
    }
}

impl core::error::Error for AcceptRefusal {}

/// A new connection whose transport is not known yet.
#[derive(Debug, Default)]
#[must_use = "the connection ends here unless its bytes are handled"]
pub struct Acceptor {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    FirstBytes,
    /// Inside WebSocket messages: an obfuscation header and nothing else.
    Messages,
    /// Inside fake-TLS records, for the secret at this index.
    Records { secret: usize, reader: RecordReader },
}

impl Acceptor {
    /// Starts with the first byte of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts with the stream inside a WebSocket connection, where obfuscation is mandatory.
    pub fn inside_websocket() -> Self {
        Self { state: State::Messages }
    }

    /// Processes the bytes that have arrived.
    ///
    /// # Errors
    ///
    /// Fails where forwarding to a real site is no longer possible: for a bad HTTP head, or after a fake-TLS answer. Close
    /// the connection.
    pub fn handle<R: CryptoRng + ?Sized>(
        self,
        buf: &mut ReadBuf,
        context: &mut AcceptContext<'_>,
        rng: &mut R,
    ) -> Result<AcceptStep, TransportError> {
        match self.state {
            State::FirstBytes => first_bytes(buf, context, rng),
            State::Messages => Ok(obfuscated(buf, context)),
            State::Records { secret, reader } => inside_records(buf, context, secret, reader),
        }
    }
}

fn first_bytes<R: CryptoRng + ?Sized>(
    buf: &mut ReadBuf,
    context: &mut AcceptContext<'_>,
    rng: &mut R,
) -> Result<AcceptStep, TransportError> {
    let config = context.config;
    match detect(buf.raw()) {
        Detected::Incomplete { .. } => Ok(AcceptStep::Incomplete(Acceptor::new())),
        Detected::Obfuscated => Ok(obfuscated(buf, context)),
        Detected::ClientHello => client_hello(buf, context, rng),
        _ if !config.without_secret => Ok(AcceptStep::Refused(AcceptRefusal::NotAllowed)),
        Detected::Plain { framing, prefix_len } => {
            buf.consume_raw(prefix_len);
            let connection = Connection::plain(framing, Side::Server, config.limits);
            Ok(AcceptStep::Ready(Accepted { connection, dc: None, secret: None, disguise: Disguise::None }))
        }
        Detected::Http => http(buf, config),
    }
}

/// Waits for the whole head of a `GET`, which may request a WebSocket. Other methods cannot.
fn http(buf: &mut ReadBuf, config: &AcceptConfig) -> Result<AcceptStep, TransportError> {
    if !buf.raw().starts_with(b"GET ") {
        return Ok(AcceptStep::Http);
    }
    let Some(head) = RequestHead::parse(buf.raw(), &config.limits)? else {
        return Ok(AcceptStep::Incomplete(Acceptor::new()));
    };
    if !head.asks_for_websocket() {
        return Ok(AcceptStep::Http);
    }
    let (upgrade, used) = (Upgrade::from_request(&head)?, head.len());
    buf.consume_raw(used);
    Ok(AcceptStep::WebSocket(upgrade))
}

/// Tries the header without a secret, if that is allowed, and with each secret (`SEC-144`).
fn obfuscated(buf: &mut ReadBuf, context: &mut AcceptContext<'_>) -> AcceptStep {
    let config = context.config;
    let Some(header) = buf.raw().first_chunk::<HEADER_LEN>().copied() else {
        return AcceptStep::Incomplete(Acceptor { state: State::Messages });
    };
    let Some((streams, framing, dc, secret)) = open_header(&header, config) else {
        return AcceptStep::Refused(AcceptRefusal::UnknownProtocol);
    };
    if !is_new(obfuscation::identity(&header), context) {
        return AcceptStep::Refused(AcceptRefusal::Replayed);
    }
    buf.consume_raw(HEADER_LEN);
    let connection = Connection::obfuscated(framing, Side::Server, config.limits, streams);
    AcceptStep::Ready(Accepted { connection, dc: Some(dc), secret, disguise: Disguise::Obfuscated })
}

type Opened = (Obfuscation, Framing, DcId, Option<usize>);

fn open_header(header: &[u8; HEADER_LEN], config: &AcceptConfig) -> Option<Opened> {
    if config.without_secret
        && let Some((streams, framing, dc)) = Obfuscation::accept(header, None)
    {
        return Some((streams, framing, dc, None));
    }
    // Outside fake TLS, a secret that requires it is not valid.
    let usable = config.secrets.iter().enumerate().filter(|(_, secret)| secret.domain().is_none());
    usable.into_iter().find_map(|(index, secret)| {
        let (streams, framing, dc) = Obfuscation::accept(header, Some(secret.key()))?;
        secret.allows(framing).then_some((streams, framing, dc, Some(index)))
    })
}

fn is_new(beginning: &[u8], context: &mut AcceptContext<'_>) -> bool {
    let unix_time = context.unix_time;
    context.replays.as_mut().is_none_or(|replays| replays.insert(beginning, unix_time))
}

fn client_hello<R: CryptoRng + ?Sized>(
    buf: &mut ReadBuf,
    context: &mut AcceptContext<'_>,
    rng: &mut R,
) -> Result<AcceptStep, TransportError> {
    let config = context.config;
    let refused = |rejection| Ok(AcceptStep::Refused(AcceptRefusal::ClientHello(rejection)));
    let (record, used) = match split::join(buf.raw(), config.limits.max_client_hello) {
        Joined::Hello { used, .. } if buf.raw().len() > used => return refused(HelloRefusal::Malformed),
        Joined::Hello { record, used } => (record, used),
        Joined::Incomplete => return Ok(AcceptStep::Incomplete(Acceptor::new())),
        Joined::Malformed => return refused(HelloRefusal::Malformed),
    };
    let Ok(hello) = ClientHello::new_checked(&record) else {
        return refused(HelloRefusal::Malformed);
    };
    let secret = match hello.verify(&config.secrets, &config.names, context.unix_time, config.time_window) {
        Ok(secret) => secret,
        Err(rejection) => return refused(rejection),
    };
    if !is_new(&hello.random()[..16], context) {
        return refused(HelloRefusal::Replayed);
    }
    let mut bytes = Vec::new();
    hello.answer_into(&mut bytes, &config.answer, config.secrets[secret].key(), rng)?;
    buf.consume_raw(used);
    let state = State::Records { secret, reader: RecordReader::new(Side::Client) };
    Ok(AcceptStep::Answer { bytes, next: Acceptor { state } })
}

/// Unwraps records until the header is complete, and decrypts the bytes behind it at once.
fn inside_records(
    buf: &mut ReadBuf,
    context: &mut AcceptContext<'_>,
    secret: usize,
    mut reader: RecordReader,
) -> Result<AcceptStep, TransportError> {
    let config = context.config;
    buf.make_ready(|raw| reader.unwrap(raw))?;
    let Some(header) = buf.ready().first_chunk::<HEADER_LEN>().copied() else {
        return Ok(AcceptStep::Incomplete(Acceptor { state: State::Records { secret, reader } }));
    };
    let proxy_secret = config.secrets.get(secret).ok_or(StreamRefusal::UnknownProtocol)?;
    let opened = Obfuscation::accept(&header, Some(proxy_secret.key()));
    let (streams, framing, dc) = opened.ok_or(StreamRefusal::UnknownProtocol)?;
    if !proxy_secret.allows(framing) {
        return Err(StreamRefusal::NotAllowed.into());
    }
    if !is_new(obfuscation::identity(&header), context) {
        return Err(StreamRefusal::Replayed.into());
    }
    buf.take_ready(HEADER_LEN);
    let plain = Connection::obfuscated(framing, Side::Server, config.limits, streams);
    let mut connection = plain.inside_records(RecordWriter::server(), reader);
    connection.receiver.uncover(buf.ready_mut());
    let secret = Some(secret);
    Ok(AcceptStep::Ready(Accepted { connection, dc: Some(dc), secret, disguise: Disguise::FakeTls }))
}
