//! A server with a router, and a client on a socket that sends many calls at once.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chappe_crypto::{AuthKey, rng::Drbg, rsa::PrivateKey};
use chappe_framing::{FrameBuf, RpcResult, UnixTime};
use chappe_handshake::ServerOptions;
use chappe_server::{
    Engine, EngineOptions, KeyState, KeyStatus, ListenOptions, Reply, Router, tokio::Server,
};
use chappe_session::{EncryptedSession, server::ServerConfig};
use chappe_tl::Blob;

/// `echo number:long = long;`
const ECHO: u32 = 0x4444_4444;

/// The key of all clients.
pub fn key() -> AuthKey {
    AuthKey::from_bytes([9; 256])
}

/// An engine that answers `echo`, and knows so many keys.
pub fn engine(sessions_per_key: usize) -> Result<Arc<Engine>> {
    let mut rng = Drbg::from_os()?;
    let mut handshake = ServerOptions::lenient(vec![PrivateKey::generate(&mut rng)?]);
    handshake.rate = None;
    let mut options = EngineOptions::new(handshake, ServerConfig::default());
    options.budgets.sessions_per_key = sessions_per_key;
    options.budgets.sessions_begun_at_once = u32::MAX;
    let router = Router::new().on_raw(ECHO, |call| async move { Ok(Reply::from(call.body)) });
    let engine = Engine::new(options, router.into_handler(), &mut rng)?;
    engine.add_key(KeyState::new(key(), KeyStatus::Permanent));
    Ok(engine)
}

/// A listening server and the runtime that it needs.
pub struct Running {
    pub server: Server,
    _runtime: tokio::runtime::Runtime,
}

impl Running {
    pub fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listening = Server::listen("127.0.0.1:0", ListenOptions::datacenter(), engine(4096)?);
        let server = runtime.block_on(listening)?;
        Ok(Self { server, _runtime: runtime })
    }

    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }
}

/// A client with a connection over intermediate frames.
pub struct Client {
    socket: TcpStream,
    session: EncryptedSession,
    rng: Drbg,
    frame: FrameBuf,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.write_all(&[0xee; 4])?;
        let mut rng = Drbg::from_os()?;
        let session = EncryptedSession::with_rng(key(), 0, 0, &mut rng);
        let mut client = Self { socket, session, rng, frame: FrameBuf::new() };
        // The first is answered with the right salt.
        client.send(1)?;
        client.receive()?;
        client.call()?;
        Ok(client)
    }

    /// Makes one call and waits for its answer. Returns how long that took.
    pub fn call(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.send(1)?;
        while self.receive()? == 0 {}
        Ok(begun.elapsed())
    }

    /// Sends so many calls, each in a frame of its own, in one write, and waits for all answers.
    pub fn calls(&mut self, count: usize) -> Result<()> {
        self.send(count)?;
        let mut left = count;
        while left > 0 {
            left = left.saturating_sub(self.receive()?);
        }
        Ok(())
    }

    fn send(&mut self, count: usize) -> Result<()> {
        let mut bytes = Vec::new();
        for number in 0..count as u64 {
            let body = [&ECHO.to_le_bytes()[..], &number.to_le_bytes()].concat();
            self.frame.clear();
            self.session.pack_into(&Blob(body), UnixTime::now(), &mut self.rng, &mut self.frame)?;
            bytes.extend((self.frame.len() as u32).to_le_bytes());
            bytes.extend(self.frame.as_slice());
        }
        Ok(self.socket.write_all(&bytes)?)
    }

    /// Receives a frame. Returns how many answers are in it.
    fn receive(&mut self) -> Result<usize> {
        let mut len = [0; 4];
        self.socket.read_exact(&mut len)?;
        let len = u32::from_le_bytes(len) as usize;
        ensure!((24..1 << 24).contains(&len), "the server has ended the connection");
        let mut frame = vec![0; len];
        self.socket.read_exact(&mut frame)?;
        let mut answers = 0;
        self.session.unpack_each(UnixTime::now(), &mut frame, |message| {
            answers += usize::from(RpcResult::new_checked(message.body).is_ok());
        })?;
        // Answers that are not acknowledged stay with the server.
        self.frame.clear();
        if self.session.pack_acks_into(UnixTime::now(), &mut self.rng, &mut self.frame)?.is_some() {
            let len = (self.frame.len() as u32).to_le_bytes();
            self.socket.write_all(&[&len, self.frame.as_slice()].concat())?;
        }
        Ok(answers)
    }
}
