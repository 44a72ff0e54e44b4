//! A client's new connection.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Instant;

use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;

use super::http;
use super::stream::{Stream, after, late};
use crate::opening::{Opening, broken, in_vain, unreachable};
use crate::options::DialOptions;
use chappe_carrier::{LinkError, Wait};

/// Makes a connection, through the proxy of `options` if there is one, and starts the transport over it.
///
/// # Errors
///
/// The operating system refuses, a time-out passed, the proxy is of no use, or the answer under fake TLS is not
/// the `MTProxy`'s.
pub fn dial(address: SocketAddr, options: &DialOptions, rng: &mut Drbg) -> Result<Stream, LinkError> {
    let (socket, opening) = open(address, options, rng)?;
    if options.carrier.http().is_some() {
        let lane = opening.finish_http()?;
        let (lanes, payloads) = http::start(socket, lane, address, options, rng)?;
        return Ok(Stream::over_http(lanes, payloads, address, options.write_timeout));
    }
    let (outgoing, ingoing) = opening.finish()?;
    Stream::over_socket(socket, outgoing, ingoing, options.write_timeout)
}

/// Makes a connection to `target` and goes through all stages of it.
pub(super) fn open<'o>(
    target: SocketAddr,
    options: &'o DialOptions,
    rng: &mut Drbg,
) -> Result<(TcpStream, Opening<'o>), LinkError> {
    let mut socket = connect(target, options).map_err(|error| unreachable(options, error))?;
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(options.write_timeout))?;
    let mut opening = Opening::start(options, target, UnixTime::now(), rng)?;
    write(&mut socket, &mut opening, options)?;
    while let Some(wait) = opening.awaits() {
        let patience = opening.patience(wait);
        let deadline = after(patience);
        while opening.awaits() == Some(wait) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(in_vain(wait, patience));
            }
            socket.set_read_timeout(Some(left))?;
            let read = socket.read(opening.space()?);
            let count = read.map_err(|error| match late(error, wait, patience) {
                LinkError::TimedOut { .. } => in_vain(wait, patience),
                LinkError::Io(error) => broken(wait, error),
                error => error,
            })?;
            opening.commit(count, UnixTime::now(), rng)?;
            write(&mut socket, &mut opening, options)?;
        }
    }
    Ok((socket, opening))
}

/// Connects to the datacenter, or to the first address of the proxy that answers.
fn connect(address: SocketAddr, options: &DialOptions) -> Result<TcpStream, LinkError> {
    let addresses = match &options.proxy {
        None => vec![address],
        Some(proxy) => proxy.address().to_socket_addrs()?.collect(),
    };
    let patience = options.connect_timeout;
    let mut last = LinkError::Io(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in addresses {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = late(error, Wait::Connect, patience),
        }
    }
    Err(last)
}

fn write(socket: &mut TcpStream, opening: &mut Opening<'_>, options: &DialOptions) -> Result<(), LinkError> {
    let bytes = opening.output();
    socket.write_all(&bytes).map_err(|error| late(error, Wait::Write, options.write_timeout))
}
