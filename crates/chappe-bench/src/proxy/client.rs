//! Clients of a proxy.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use chappe_crypto::rng::Drbg;
use chappe_transport::{
    AckRequest, ConnectStep, Connection, ConnectionLimits, Connector, DcId, Framing, Incoming, ProxySecret,
    ReadBuf,
};

use super::datacenter::{CHUNK, ECHO, SEND, SINK};

/// Connections that are made at the same time.
const AT_ONCE: usize = 8;

/// The way of the bytes.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    Down,
    Up,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "to the client",
            Self::Up => "from the client",
        })
    }
}

pub(super) struct Client {
    socket: TcpStream,
    connection: Connection,
    buf: ReadBuf,
    out: Vec<u8>,
    rng: Drbg,
}

impl Client {
    /// Connects, and makes a call. Without a secret the stream is obfuscated as for a datacenter.
    pub(super) fn connect(address: &str, secret: Option<&str>) -> Result<Self> {
        let mut rng = Drbg::from_os()?;
        let dc = DcId::production(2);
        let connector = match secret {
            Some(secret) => Connector::proxy(&ProxySecret::parse(secret)?, dc),
            None => Connector::obfuscated(Framing::PaddedIntermediate, Some(dc))?,
        };
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let (mut out, mut buf) = (Vec::new(), ReadBuf::new(&ConnectionLimits::DEFAULT));
        let now = SystemTime::UNIX_EPOCH.elapsed()?.as_secs() as u32;
        let mut step = connector.start(now, &mut rng, &mut out)?;
        let connection = loop {
            match step {
                ConnectStep::Ready(connection) => break connection,
                ConnectStep::FakeTls(state) => {
                    socket.write_all(&out)?;
                    out.clear();
                    read(&mut socket, &mut buf)?;
                    step = state.handle(&mut buf)?;
                }
            }
        };
        let mut client = Self { socket, connection, buf, out, rng };
        client.call()?;
        Ok(client)
    }

    /// Sends an envelope and waits until it comes back.
    fn call(&mut self) -> Result<()> {
        let mut envelope = [0; 40];
        envelope[0] = ECHO;
        self.send(&envelope)?;
        let count = self.receive(envelope.len())?;
        ensure!(count == envelope.len(), "{count} bytes came back");
        Ok(())
    }

    fn send(&mut self, envelope: &[u8]) -> Result<()> {
        self.connection.sender.encode_into(&mut self.out, envelope, AckRequest::No, &mut self.rng)?;
        self.socket.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Reads envelopes of `bytes` in all.
    fn receive(&mut self, bytes: usize) -> Result<usize> {
        let mut count = 0;
        while count < bytes {
            match self.connection.receiver.receive(&mut self.buf)? {
                Some(Incoming::Envelope { payload, .. }) => count += payload.len(),
                Some(other) => anyhow::bail!("{other:?}"),
                None => read(&mut self.socket, &mut self.buf)?,
            }
        }
        Ok(count)
    }

    /// Passes so many bytes, and waits until all have arrived.
    pub(super) fn pass(&mut self, direction: Direction, bytes: usize) -> Result<()> {
        let chunks = bytes.div_ceil(CHUNK);
        match direction {
            Direction::Down => {
                let mut request = [0; 40];
                request[0] = SEND;
                request[8..12].copy_from_slice(&(chunks as u32).to_le_bytes());
                self.send(&request)?;
                // Of the frames with padding, whole blocks behind the head are the payload.
                let each = CHUNK - (CHUNK - 24) % 16;
                self.receive(chunks * each).map(drop)
            }
            Direction::Up => {
                let mut chunk = vec![0; CHUNK];
                chunk[0] = SINK;
                for _ in 0..chunks {
                    self.send(&chunk)?;
                }
                self.call()
            }
        }
    }
}

fn read(socket: &mut TcpStream, buf: &mut ReadBuf) -> Result<()> {
    let count = socket.read(buf.space()?)?;
    buf.commit(count);
    ensure!(count > 0, "the proxy closed the connection");
    Ok(())
}

/// Makes connections with a call each, a few at a time. Returns how long it took.
pub(super) fn connect_many(address: &str, secret: Option<&str>, count: usize) -> Result<Duration> {
    let start = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    (0..count / AT_ONCE).try_for_each(|_| Client::connect(address, secret).map(drop))
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread panicked")?)
    })?;
    Ok(start.elapsed())
}

/// Connections that do nothing.
pub(super) struct Idle(#[allow(dead_code, reason = "kept open")] Vec<TcpStream>);

impl Idle {
    /// Makes connections with a call each.
    pub(super) fn connect(address: &str, secret: &str, count: usize) -> Result<Self> {
        let clients = (0..count).map(|_| Ok(Client::connect(address, Some(secret))?.socket));
        clients.collect::<Result<_>>().map(Self)
    }
}
