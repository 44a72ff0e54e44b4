//! A server's new connections: every transport on one port, with limits.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use chappe_transport::accept::Disguise;
use chappe_transport::{Accept, AcceptContext, Acceptor, Connection, DcId, ErrorCode, ReadBuf, Refusal};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::time::timeout;

use super::stream::{Reader, Writer, split, write};
use crate::error::{LinkError, Wait};
use crate::gate::{Gate, Place};
use crate::link::join;
use crate::options::ListenOptions;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    gate: Arc<Gate>,
}

impl Listener {
    /// Binds a socket.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub async fn bind(address: impl ToSocketAddrs, options: ListenOptions) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, gate: Arc::new(Gate::new(options)) })
    }

    /// Returns the address that was bound, with its port where 0 was asked for.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for a connection. May be cancelled.
    ///
    /// What it speaks is found out by [`NewConnection::detect`], in a task of its own, so that a slow client
    /// keeps nobody waiting.
    ///
    /// # Errors
    ///
    /// What the operating system says, or [`LinkError::TooMany`]; accepting may go on after either.
    pub async fn accept(&self) -> Result<NewConnection, LinkError> {
        let (socket, peer) = self.socket.accept().await?;
        let place = self.gate.admit(peer.ip())?;
        socket.set_nodelay(true)?;
        Ok(NewConnection { socket, peer, place })
    }
}

/// A connection of which nothing was read yet.
#[derive(Debug)]
pub struct NewConnection {
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
}

/// A connection whose transport is known.
#[derive(Debug)]
pub struct Accepted {
    /// What the client sends.
    pub reader: Reader,
    /// What is sent to it.
    pub writer: Writer,
    /// Its address.
    pub peer: SocketAddr,
    /// The datacenter that it named in its obfuscation header, if it sent one.
    pub dc: Option<DcId>,
    /// How it hides.
    pub disguise: Disguise,
    /// Its place among the connections that the limits allow.
    pub place: Place,
}

impl NewConnection {
    /// Returns the client's address.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Reads until it is known which transport the client speaks.
    ///
    /// # Errors
    ///
    /// The client was silent for too long (`SEC-136`), left, or speaks nothing that is served.
    pub async fn detect(self, rng: &mut Drbg) -> Result<Accepted, LinkError> {
        let Self { mut socket, peer, place } = self;
        let options = place.options();
        let detecting = timeout(options.first_bytes_timeout, detect(&mut socket, &place, rng));
        let late = LinkError::TimedOut { waiting_for: Wait::FirstBytes, after: options.first_bytes_timeout };
        let (found, buf) = detecting.await.map_err(|_| late)??;
        let (outgoing, ingoing) = join(found.connection, buf);
        let (reader, writer) = split(socket, outgoing, ingoing, options.write_timeout);
        Ok(Accepted { reader, writer, peer, dc: found.dc, disguise: found.disguise, place })
    }
}

/// What [`detect`] found.
struct Found {
    connection: Connection,
    dc: Option<DcId>,
    disguise: Disguise,
}

async fn detect(
    socket: &mut TcpStream,
    place: &Place,
    rng: &mut Drbg,
) -> Result<(Found, ReadBuf), LinkError> {
    let options = place.options();
    let mut buf = ReadBuf::new(&options.accept.limits);
    let mut acceptor = Acceptor::new();
    loop {
        let count = socket.read(buf.space()?).await?;
        if count == 0 {
            return Err(LinkError::Closed);
        }
        buf.commit(count);
        loop {
            let accept = place.with_replays(|replays| {
                let unix_time = UnixTime::now().to_tl_int() as u32;
                let mut context = AcceptContext { config: &options.accept, unix_time, replays };
                acceptor.handle(&mut buf, &mut context, rng)
            })?;
            match accept {
                Accept::Incomplete(next) => {
                    acceptor = next;
                    break;
                }
                Accept::Answer { bytes, next } => {
                    write(socket, &bytes, options.write_timeout).await?;
                    acceptor = next;
                }
                Accept::Ready(ready) => {
                    let found =
                        Found { connection: ready.connection, dc: ready.dc, disguise: ready.disguise };
                    return Ok((found, buf));
                }
                Accept::Http | Accept::WebSocket(_) => {
                    let mut answer = Vec::new();
                    let not_served = ErrorCode::from_raw(-404);
                    chappe_transport::http::error_response_into(
                        &mut answer,
                        not_served,
                        chappe_transport::http::Cors::Omit,
                    );
                    write(socket, &answer, options.write_timeout).await?;
                    return Err(LinkError::Refused(Refusal::NotAllowed));
                }
                Accept::Refused(refusal) => return Err(LinkError::Refused(refusal)),
            }
        }
    }
}
