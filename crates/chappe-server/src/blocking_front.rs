//! What stands in front of a proxy and behind it, for the blocking listener.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::thread;
use std::time::{Duration, Instant};

use chappe_carrier::proxy_protocol::{Announced, parse};
use chappe_carrier::{Address, LinkError, Wait};

/// Bytes of one read of a header. Both versions of the PROXY protocol fit into a few.
const ONE_READ: usize = 1024;

/// Bytes that each direction of a relay holds: a slow reader stops its writer.
const RELAYED: usize = 16 * 1024;

/// How long the connection to the site may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a thread that reads looks whether it is to end.
pub(crate) const POLL: Duration = Duration::from_millis(200);

/// Reads the header of the PROXY protocol. Returns the client's address and the bytes behind the header.
pub(crate) fn read_proxy_header(
    mut socket: &TcpStream,
    peer: SocketAddr,
    patience: Duration,
) -> Result<(SocketAddr, Vec<u8>), LinkError> {
    let deadline = Instant::now() + patience;
    let mut bytes = Vec::new();
    loop {
        let header = parse(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let Some((announced, used)) = header {
            let client = match announced {
                Announced::Client(client) => client,
                Announced::Unknown => peer,
            };
            return Ok((client, bytes.split_off(used)));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(LinkError::TimedOut { waiting_for: Wait::FirstBytes, after: patience });
        }
        socket.set_read_timeout(Some(left))?;
        let mut read = [0; ONE_READ];
        // `parse` bounds the length.
        match socket.read(&mut read) {
            Ok(0) => return Err(LinkError::Closed),
            Ok(count) => bytes.extend_from_slice(&read[..count]),
            Err(error) => return Err(LinkError::from_io(error, Wait::FirstBytes, patience)),
        }
    }
}

/// Relays between a client and a site, beginning with the bytes that the client has sent, until both have ended, `limit` has
/// passed or `is_over` returns true.
pub(crate) fn hand_on(
    client: &TcpStream,
    first: &[u8],
    site: &Address,
    limit: Duration,
    is_over: impl Fn() -> bool + Sync,
) -> io::Result<()> {
    let deadline = Instant::now() + limit;
    let mut site = connect(site)?;
    site.set_nodelay(true)?;
    site.set_write_timeout(client.write_timeout()?)?;
    site.write_all(first)?;
    for socket in [client, &site] {
        socket.set_read_timeout(Some(POLL))?;
    }
    let is_over = || is_over() || Instant::now() >= deadline;
    thread::scope(|scope| {
        thread::Builder::new()
            .name("chappe-reading".into())
            .spawn_scoped(scope, || copy(client, &site, is_over))?;
        copy(&site, client, is_over);
        Ok(())
    })
}

fn connect(site: &Address) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in site.to_string().to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Copies one direction. The end of it ends the sending half of the other socket, and an error ends both.
fn copy(mut from: &TcpStream, mut to: &TcpStream, is_over: impl Fn() -> bool) {
    let mut bytes = [0; RELAYED];
    loop {
        let copied = match from.read(&mut bytes) {
            Ok(0) => {
                // It may be closed already.
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(count) => to.write_all(&bytes[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                if is_over() {
                    Err(error)
                } else {
                    Ok(())
                }
            }
            Err(error) => Err(error),
        };
        if copied.is_err() {
            // They may be closed already.
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
    }
}
