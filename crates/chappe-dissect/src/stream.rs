//! A connection: recognises its transport, then splits both directions into envelopes.

use alloc::vec::Vec;

use chappe_crypto::Side;
use chappe_transport::http::{self, RequestHead};
use chappe_transport::parts::{
    ClientHello, Detected, Joined, Obfuscation, RecordReader, check_client_hello, check_server_answer,
    detect, join,
};
use chappe_transport::{ConnectionLimits, ProxySecret, SecretKey, TransportError};

use crate::half::{Half, Unwrapper};
use crate::record::{SeenCarrier, Transport, Unreadable};
use crate::search::Search;
use crate::websocket::WebSocketReader;

/// Length of an obfuscation header.
const HEADER_LEN: usize = 64;

/// How often an incomplete answer of a fake-TLS server is looked at: each look computes digests.
const MAX_LOOKS: u32 = 256;

/// Bytes of a direction that wait for the transport to be recognised.
const MAX_WAITING: usize = 128 * 1024;

/// Whether the first byte of a connection was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Beginning {
    /// The connection was seen from its first byte on.
    Seen,
    /// The connection had begun before.
    Missed,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) client: Half,
    pub(crate) server: Half,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The transport is told by the first bytes of the client.
    FirstBytes(Beginning),
    /// A hello of fake TLS was seen: the answer, then records.
    Hello { secret: usize, random: [u8; 32], looks: u32 },
    /// Inside of fake TLS or WebSocket: an obfuscation header.
    Header { carrier: SeenCarrier, secret: Option<usize> },
    /// An upgrade to WebSocket was requested.
    Upgrade,
    /// Everything is known.
    Open,
    /// Nothing can be read.
    Over,
}

/// The result of a step.
enum Progress {
    /// More bytes are needed.
    Waiting,
    /// Something was recognised, and the next step can be tried.
    Next(Stage),
    /// The transport is known.
    Open(Transport),
}

impl Stream {
    pub(crate) fn new(beginning: Beginning, limits: ConnectionLimits) -> Self {
        Self {
            client: Half::new(Side::Client, limits),
            server: Half::new(Side::Server, limits),
            stage: Stage::FirstBytes(beginning),
        }
    }

    pub(crate) const fn half(&mut self, from: Side) -> &mut Half {
        match from {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    pub(crate) const fn memory(&self) -> usize {
        self.client.memory() + self.server.memory()
    }

    /// Gives the connection up and frees its memory.
    pub(crate) fn end(&mut self) {
        self.client.kill();
        self.server.kill();
        self.stage = Stage::Over;
    }

    /// Recognises the transport as far as the bytes allow; returns it once.
    ///
    /// # Errors
    ///
    /// Nothing will be read of the connection, except that after [`Unreadable::NoBeginning`] known keys are searched for.
    pub(crate) fn recognise(
        &mut self,
        secrets: &[ProxySecret],
        limits: &ConnectionLimits,
    ) -> Result<Option<Transport>, Unreadable> {
        let result = self.recognised(secrets, limits);
        if result.is_err() && !matches!(self.stage, Stage::Open) {
            self.end();
        }
        result
    }

    fn recognised(
        &mut self,
        secrets: &[ProxySecret],
        limits: &ConnectionLimits,
    ) -> Result<Option<Transport>, Unreadable> {
        loop {
            let step = match &mut self.stage {
                Stage::Open | Stage::Over => return Ok(None),
                Stage::FirstBytes(beginning) => {
                    let beginning = *beginning;
                    let found = self.first_bytes(beginning, secrets, limits);
                    match (found, beginning) {
                        (Err(_), Beginning::Missed) => return self.search(),
                        (found, _) => found?,
                    }
                }
                Stage::Hello { secret, random, looks } => {
                    *looks += 1;
                    let (secret, random, looks) = (*secret, *random, *looks);
                    self.answer(secret, &random, looks, secrets, limits)?
                }
                Stage::Upgrade => self.upgrade(limits)?,
                Stage::Header { carrier, secret } => {
                    let (carrier, secret) = (*carrier, *secret);
                    self.header(carrier, secret, secrets)?
                }
            };
            match step {
                Progress::Waiting if self.client.raw().len().max(self.server.raw().len()) > MAX_WAITING => {
                    return Err(Unreadable::Unrecognised);
                }
                Progress::Waiting => return Ok(None),
                Progress::Next(stage) => self.stage = stage,
                Progress::Open(transport) => {
                    self.stage = Stage::Open;
                    return Ok(Some(transport));
                }
            }
        }
    }

    /// Looks for frames of known keys, since nothing else tells what the middle of a stream is.
    fn search(&mut self) -> Result<Option<Transport>, Unreadable> {
        self.client.search(Search::any());
        self.server.search(Search::any());
        self.stage = Stage::Open;
        Err(Unreadable::NoBeginning)
    }

    fn first_bytes(
        &mut self,
        beginning: Beginning,
        secrets: &[ProxySecret],
        limits: &ConnectionLimits,
    ) -> Result<Progress, Unreadable> {
        let input = self.client.raw();
        match detect(input) {
            // What a server sends first belongs to another protocol.
            Detected::Incomplete { .. } if input.is_empty() && !self.server.raw().is_empty() => {
                if beginning == Beginning::Missed {
                    Err(Unreadable::NoBeginning)
                } else {
                    Ok(Progress::Waiting)
                }
            }
            Detected::Incomplete { .. } => Ok(Progress::Waiting),
            // A short prefix occurs in the middle of a stream by chance.
            Detected::Plain { .. } if beginning == Beginning::Missed => Err(Unreadable::NoBeginning),
            Detected::Plain { framing, prefix_len } => {
                self.client.consume(prefix_len);
                self.client.open(Unwrapper::None, None, Some(framing), 0)?;
                self.server.open(Unwrapper::None, None, Some(framing), 0)?;
                Ok(Progress::Open(Transport {
                    carrier: SeenCarrier::Tcp,
                    framing: Some(framing),
                    is_obfuscated: false,
                    secret: None,
                    dc: None,
                }))
            }
            Detected::Http => self.http(limits),
            Detected::ClientHello => self.hello(secrets, limits),
            Detected::Obfuscated => self.obfuscated(SeenCarrier::Tcp, None, secrets),
        }
    }

    fn http(&mut self, limits: &ConnectionLimits) -> Result<Progress, Unreadable> {
        let malformed = |error| Unreadable::Malformed(TransportError::from(error));
        let Some(head) = RequestHead::parse(self.client.raw(), limits).map_err(malformed)? else {
            return Ok(Progress::Waiting);
        };
        if head.asks_for_websocket() {
            let len = head.len();
            self.client.consume(len);
            return Ok(Progress::Next(Stage::Upgrade));
        }
        let path = head.path().rsplit_once('/').map_or("", |(_, name)| name);
        let is_ours =
            [http::PATH, http::WEB_PATH, http::WEB_TEST_PATH].iter().any(|known| known[1..] == *path);
        if !is_ours {
            return Err(Unreadable::OtherHttp);
        }
        self.client.open(Unwrapper::None, None, None, 0)?;
        self.server.open(Unwrapper::None, None, None, 0)?;
        Ok(Progress::Open(Transport {
            carrier: SeenCarrier::Http,
            framing: None,
            is_obfuscated: false,
            secret: None,
            dc: None,
        }))
    }

    /// Waits for the answer to an upgrade, which the server sends before its first frame.
    fn upgrade(&mut self, limits: &ConnectionLimits) -> Result<Progress, Unreadable> {
        let malformed = |error| Unreadable::Malformed(TransportError::from(error));
        match http::status_line(self.server.raw(), limits).map_err(malformed)? {
            None => Ok(Progress::Waiting),
            Some((101, len)) => {
                self.server.consume(len);
                Ok(Progress::Next(Stage::Header { carrier: SeenCarrier::WebSocket, secret: None }))
            }
            Some(_) => Err(Unreadable::OtherHttp),
        }
    }

    fn hello(&mut self, secrets: &[ProxySecret], limits: &ConnectionLimits) -> Result<Progress, Unreadable> {
        let (record, used) = match join(self.client.raw(), limits.max_client_hello) {
            Joined::Incomplete => return Ok(Progress::Waiting),
            Joined::Malformed => return Err(Unreadable::Tls),
            Joined::Hello { record, used } => (record, used),
        };
        let hello = ClientHello::new_checked(&record).map_err(|_| Unreadable::Tls)?;
        let signed = |secret: &ProxySecret| {
            secret.domain().is_some() && check_client_hello(&record, secret.key()).is_some()
        };
        let secret = secrets.iter().position(signed).ok_or(Unreadable::Tls)?;
        let random = *hello.random();
        self.client.consume(used);
        Ok(Progress::Next(Stage::Hello { secret, random, looks: 0 }))
    }

    /// Waits for the whole answer to a hello. The client sends its next bytes when it has it.
    fn answer(
        &mut self,
        secret: usize,
        random: &[u8; 32],
        looks: u32,
        secrets: &[ProxySecret],
        limits: &ConnectionLimits,
    ) -> Result<Progress, Unreadable> {
        let key = secrets.get(secret).map(ProxySecret::key).ok_or(Unreadable::FakeTlsAnswer)?;
        if self.client.raw().is_empty() {
            return Ok(Progress::Waiting);
        }
        match check_server_answer(self.server.raw(), key, random, limits) {
            Ok(Some(len)) => {
                self.server.consume(len);
                Ok(Progress::Next(Stage::Header { carrier: SeenCarrier::FakeTls, secret: Some(secret) }))
            }
            // The last packet of the answer can be missing so far, also where a record ends.
            _ if looks < MAX_LOOKS && self.server.raw().len() < limits.max_server_hello => {
                Ok(Progress::Waiting)
            }
            _ => Err(Unreadable::FakeTlsAnswer),
        }
    }

    /// Reads the obfuscation header inside of fake TLS or WebSocket.
    fn header(
        &mut self,
        carrier: SeenCarrier,
        secret: Option<usize>,
        secrets: &[ProxySecret],
    ) -> Result<Progress, Unreadable> {
        // The header is split off again if it is incomplete, so a copy is unwrapped.
        let mut copy = self.client.raw().to_vec();
        let unwrapped = match carrier {
            SeenCarrier::FakeTls => {
                RecordReader::new(Side::Client).unwrap(&mut copy).map_err(Unreadable::Malformed)?
            }
            _ => WebSocketReader::default().unwrap(&mut copy).map_err(|_| Unreadable::WebSocket)?,
        };
        if unwrapped < HEADER_LEN {
            return Ok(Progress::Waiting);
        }
        copy.truncate(unwrapped);
        self.open_obfuscated(carrier, secret, &copy, secrets)
    }

    fn obfuscated(
        &mut self,
        carrier: SeenCarrier,
        secret: Option<usize>,
        secrets: &[ProxySecret],
    ) -> Result<Progress, Unreadable> {
        let header = self.client.raw()[..HEADER_LEN.min(self.client.raw().len())].to_vec();
        self.open_obfuscated(carrier, secret, &header, secrets)
    }

    /// Decrypts an obfuscation header: with the secret of fake TLS, or without a secret and with each.
    fn open_obfuscated(
        &mut self,
        carrier: SeenCarrier,
        secret: Option<usize>,
        header: &[u8],
        secrets: &[ProxySecret],
    ) -> Result<Progress, Unreadable> {
        let header = header.first_chunk::<HEADER_LEN>().ok_or(Unreadable::Unrecognised)?;
        let candidates: Vec<Option<usize>> = match secret {
            Some(secret) => Vec::from([Some(secret)]),
            None => core::iter::once(None).chain((0..secrets.len()).map(Some)).collect(),
        };
        let key = |index: Option<usize>| -> Option<&SecretKey> { secrets.get(index?).map(ProxySecret::key) };
        let accepted = candidates.into_iter().find_map(|index| {
            let (streams, framing, dc) = Obfuscation::accept(header, key(index))?;
            Some((streams, framing, dc, index))
        });
        let (streams, framing, dc, secret) = accepted.ok_or(Unreadable::Unrecognised)?;
        let Obfuscation { outgoing, incoming } = streams;
        let unwrap = |from| match carrier {
            SeenCarrier::FakeTls => Unwrapper::Records(RecordReader::new(from)),
            SeenCarrier::WebSocket => Unwrapper::WebSocket(WebSocketReader::default()),
            SeenCarrier::Tcp | SeenCarrier::Http => Unwrapper::None,
        };
        self.client.open(unwrap(Side::Client), Some(incoming), Some(framing), HEADER_LEN)?;
        self.server.open(unwrap(Side::Server), Some(outgoing), Some(framing), 0)?;
        let (framing, dc) = (Some(framing), Some(dc));
        Ok(Progress::Open(Transport { carrier, framing, is_obfuscated: true, secret, dc }))
    }
}
