//! A client's new connection.

use chappe_crypto::rng::Drbg;
use chappe_framing::UnixTime;
use chappe_transport::{Connect, Limits, ReadBuf};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

use super::stream::{Reader, Writer, split, write};
use crate::error::{LinkError, Wait};
use crate::link::join;
use crate::options::DialOptions;

/// Makes a TCP connection and starts the transport of `options` over it.
///
/// # Errors
///
/// The operating system refuses, a time-out passed, or the answer under fake TLS is not the proxy's.
pub async fn dial(
    address: impl ToSocketAddrs,
    options: &DialOptions,
    rng: &mut Drbg,
) -> Result<(Reader, Writer), LinkError> {
    let connecting = timeout(options.connect_timeout, TcpStream::connect(address)).await;
    let late = LinkError::TimedOut { waiting_for: Wait::Connect, after: options.connect_timeout };
    let mut socket = connecting.map_err(|_| late)??;
    socket.set_nodelay(true)?;

    let mut first = Vec::new();
    let mut connect = options.connector.start(UnixTime::now().to_tl_int() as u32, rng, &mut first)?;
    write(&mut socket, &first, options.write_timeout).await?;
    let mut buf = ReadBuf::new(&Limits::DEFAULT);
    let answered = timeout(options.hello_timeout, async {
        loop {
            match connect {
                Connect::Ready(connection) => return Ok::<_, LinkError>(connection),
                Connect::FakeTls(state) => {
                    let count = socket.read(buf.space()?).await?;
                    if count == 0 {
                        return Err(LinkError::Closed);
                    }
                    buf.commit(count);
                    connect = state.handle(&mut buf)?;
                }
            }
        }
    });
    let late = LinkError::TimedOut { waiting_for: Wait::FirstBytes, after: options.hello_timeout };
    let connection = answered.await.map_err(|_| late)??;
    let (outgoing, ingoing) = join(connection, buf);
    Ok(split(socket, outgoing, ingoing, options.write_timeout))
}
