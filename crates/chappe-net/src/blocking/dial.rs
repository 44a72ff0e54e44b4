//! A client's new connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use chappe_transport::{Connect, Limits, ReadBuf};

use super::stream::{Stream, late};
use crate::error::{LinkError, Wait};
use crate::options::DialOptions;

/// Makes a TCP connection and starts the transport of `options` over it.
///
/// # Errors
///
/// The operating system refuses, a time-out passed, or the answer under fake TLS is not the proxy's.
pub fn dial(address: SocketAddr, options: &DialOptions, rng: &mut Drbg) -> Result<Stream, LinkError> {
    let patience = options.connect_timeout;
    let mut socket = TcpStream::connect_timeout(&address, patience)
        .map_err(|error| late(error, Wait::Connect, patience))?;
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(options.write_timeout))?;

    let mut first = Vec::new();
    let mut connect = options.connector.start(UnixTime::now().to_tl_int() as u32, rng, &mut first)?;
    socket.write_all(&first).map_err(|error| late(error, Wait::Write, options.write_timeout))?;
    let mut buf = ReadBuf::new(&Limits::DEFAULT);
    let patience = options.hello_timeout;
    loop {
        match connect {
            Connect::Ready(connection) => {
                return Ok(Stream::new(socket, connection, buf, options.write_timeout));
            }
            Connect::FakeTls(state) => {
                socket.set_read_timeout(Some(patience))?;
                let read = socket.read(buf.space()?);
                match read.map_err(|error| late(error, Wait::FirstBytes, patience))? {
                    0 => return Err(LinkError::Closed),
                    count => buf.commit(count),
                }
                connect = state.handle(&mut buf)?;
            }
        }
    }
}
