//! What stands in front of a proxy, and what it stands in front of: a load balancer that names the client, and the site to
//! which refused clients are handed on.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use chappe_carrier::proxy_protocol::{Announced, parse};
use chappe_carrier::{Address, LinkError, Wait};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes of one read of a header. Both versions of the PROXY protocol fit into a few.
const ONE_READ: usize = 1024;

/// Bytes that each direction of a relay holds: a slow reader stops its writer.
const RELAYED: usize = 16 * 1024;

/// How long the connection to the site may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the header of the PROXY protocol in at most `patience`. Returns the client's address and the bytes behind the header.
///
/// # Errors
///
/// The first bytes are no header, do not come in time, or the connection ends.
pub async fn read_proxy_header(
    socket: &mut TcpStream,
    peer: SocketAddr,
    patience: Duration,
) -> Result<(SocketAddr, Vec<u8>), LinkError> {
    let reading = async {
        let mut bytes = Vec::with_capacity(ONE_READ);
        loop {
            let header = parse(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let Some((announced, used)) = header {
                let client = match announced {
                    Announced::Client(client) => client,
                    Announced::Unknown => peer,
                };
                return Ok((client, bytes.split_off(used)));
            }
            // `parse` bounds the length.
            if socket.read_buf(&mut bytes).await? == 0 {
                return Err(LinkError::Closed);
            }
        }
    };
    let expired = LinkError::TimedOut { waiting_for: Wait::FirstBytes, after: patience };
    timeout(patience, reading).await.unwrap_or(Err(expired))
}

/// Relays between a client and a site, beginning with the bytes that the client has sent, until both have ended or `limit`
/// has passed. Each direction holds 16 KiB.
///
/// # Errors
///
/// The site cannot be reached, or one of the connections breaks.
pub async fn hand_on(
    mut client: TcpStream,
    first: &[u8],
    site: &Address,
    limit: Duration,
) -> Result<(), LinkError> {
    let late = |waiting_for, after| LinkError::TimedOut { waiting_for, after };
    let connecting = TcpStream::connect(site.to_string());
    let mut site =
        timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| late(Wait::Connect, CONNECT_TIMEOUT))??;
    let relaying = async {
        site.set_nodelay(true)?;
        site.write_all(first).await?;
        copy_bidirectional_with_sizes(&mut client, &mut site, RELAYED, RELAYED).await.map(drop)
    };
    timeout(limit, relaying).await.map_err(|_| late(Wait::Anything, limit))?.map_err(LinkError::Io)
}
