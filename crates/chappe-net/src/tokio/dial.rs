//! A client's new connection.

use std::io;
use std::net::SocketAddr;

use chappe_crypto::rng::Drbg;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, ToSocketAddrs, lookup_host};
use tokio::time::timeout;

use super::stream::{Reader, Writer, split, write};
use crate::error::{LinkError, Wait};
use crate::opening::{Opening, broken, in_vain, unreachable};
use crate::options::DialOptions;

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
    let (mut socket, target) = match &options.proxy {
        None => connect(address, options).await?,
        Some(proxy) => {
            let target = lookup_host(address).await?.next().ok_or_else(no_address)?;
            let connected = connect(proxy.address(), options).await;
            (connected.map_err(|error| unreachable(options, error))?.0, target)
        }
    };
    socket.set_nodelay(true)?;
    let mut opening = Opening::start(options, target, rng)?;
    write(&mut socket, &opening.output(), options.write_timeout).await?;
    while let Some(wait) = opening.awaits() {
        let patience = opening.patience(wait);
        let passed = timeout(patience, pass(&mut socket, &mut opening, wait, options, rng)).await;
        passed.map_err(|_| in_vain(wait, patience))??;
    }
    let (outgoing, ingoing) = opening.finish()?;
    Ok(split(socket, outgoing, ingoing, options.write_timeout))
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
        opening.commit(count, rng)?;
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
