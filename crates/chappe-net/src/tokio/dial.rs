//! A client's new connection.

use std::io;
use std::net::SocketAddr;

use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, ToSocketAddrs, lookup_host};
use tokio::time::timeout;

use super::http;
use super::stream::{Reader, Writer, split, write};
use crate::opening::{Opening, broken, in_vain, unreachable};
use crate::options::DialOptions;
use chappe_carrier::Proxy;
use chappe_carrier::{LinkError, Wait};

/// Makes a connection, through the proxy of `options` if there is one, and starts the transport over it.
///
/// Of several addresses the first that answers is taken; through a proxy, the first.
///
/// # Errors
///
/// The operating system refuses, a time-out passed, the proxy is of no use, or the answer under fake TLS is not
/// the `MTProxy`'s.
pub async fn dial(
    address: impl ToSocketAddrs,
    options: &DialOptions,
    rng: &mut Drbg,
) -> Result<(Reader, Writer), LinkError> {
    let target = match &options.proxy {
        None => None,
        Some(_) => Some(lookup_host(&address).await?.next().ok_or_else(no_address)?),
    };
    let (socket, target) = match target {
        None => connect(address, options).await?,
        Some(target) => (connect_to_proxy(options).await?, target),
    };
    let (socket, opening) = pass_all(socket, target, options, rng).await?;
    if options.carrier.http().is_some() {
        let (lanes, payloads) = http::start(socket, opening.finish_http()?, target, options, rng);
        return Ok((Reader::over_http(lanes), Writer::over_http(payloads, options.write_timeout)));
    }
    let (outgoing, ingoing) = opening.finish()?;
    Ok(split(socket, outgoing, ingoing, options.write_timeout))
}

/// Makes a connection to `target`, as far as it can come without the transport.
pub(super) async fn open<'o>(
    target: SocketAddr,
    options: &'o DialOptions,
    rng: &mut Drbg,
) -> Result<(TcpStream, Opening<'o>), LinkError> {
    let socket = match options.proxy {
        None => connect(target, options).await?.0,
        Some(_) => connect_to_proxy(options).await?,
    };
    pass_all(socket, target, options, rng).await
}

/// Goes through all stages of a new connection.
async fn pass_all<'o>(
    mut socket: TcpStream,
    target: SocketAddr,
    options: &'o DialOptions,
    rng: &mut Drbg,
) -> Result<(TcpStream, Opening<'o>), LinkError> {
    socket.set_nodelay(true)?;
    let mut opening = Opening::start(options, target, UnixTime::now(), rng)?;
    write(&mut socket, &opening.output(), options.write_timeout).await?;
    while let Some(wait) = opening.awaits() {
        let patience = opening.patience(wait);
        let passed = timeout(patience, pass(&mut socket, &mut opening, wait, options, rng)).await;
        passed.map_err(|_| in_vain(wait, patience))??;
    }
    Ok((socket, opening))
}

async fn connect_to_proxy(options: &DialOptions) -> Result<TcpStream, LinkError> {
    let address = options.proxy.as_ref().map_or("", Proxy::address);
    let connected = connect(address, options).await;
    Ok(connected.map_err(|error| unreachable(options, error))?.0)
}

/// Reads and writes until something else than `wait` is awaited.
async fn pass(
    socket: &mut TcpStream,
    opening: &mut Opening<'_>,
    wait: Wait,
    options: &DialOptions,
    rng: &mut Drbg,
) -> Result<(), LinkError> {
    while opening.awaits() == Some(wait) {
        let count = socket.read(opening.space()?).await.map_err(|error| broken(wait, error))?;
        opening.commit(count, UnixTime::now(), rng)?;
        write(socket, &opening.output(), options.write_timeout).await?;
    }
    Ok(())
}

/// Connects to the first of several addresses that answers, and says which one that is.
async fn connect(
    addresses: impl ToSocketAddrs,
    options: &DialOptions,
) -> Result<(TcpStream, SocketAddr), LinkError> {
    let connecting = async {
        let mut last = no_address();
        for address in lookup_host(addresses).await? {
            match TcpStream::connect(address).await {
                Ok(socket) => return Ok((socket, address)),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    let connected = timeout(options.connect_timeout, connecting).await;
    let late = LinkError::TimedOut { waiting_for: Wait::Connect, after: options.connect_timeout };
    Ok(connected.map_err(|_| late)??)
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}
