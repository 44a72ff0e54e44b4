//! Creation of an `auth_key` over a blocking connection.

use std::net::SocketAddr;

use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, Now};
use chappe_handshake::{ClientHandshake, ClientOptions, Finished};
use chappe_transport::AckRequest;

use super::{Stream, dial};
use crate::client::{CreateKeyError, Exchange, MAX_CONNECTIONS, Step};
use crate::options::DialOptions;
use chappe_carrier::{LinkError, Wait};

/// Dials, creates an `auth_key`, and returns it with the connection it was created on.
///
/// If the connection is lost on the way, another is made and the exchange goes on there (`SEC-42`): five at
/// most, until its deadline of [`HANDSHAKE_TIMEOUT`](chappe_handshake::HANDSHAKE_TIMEOUT). `show` is told of
/// every step.
///
/// # Errors
///
/// Says who is to blame; see [`CreateKeyError`]. A first connection that cannot be made is not tried again.
pub fn dial_with_new_key(
    address: SocketAddr,
    dialling: &DialOptions,
    options: ClientOptions,
    rng: &mut Drbg,
    mut show: impl FnMut(Step),
) -> Result<(Stream, Finished), CreateKeyError> {
    let mut stream = dial(address, dialling, rng)?;
    let mut handshake = ClientHandshake::begin(options, Now::from_system(), rng)?;
    let mut connections = 1;
    loop {
        match create_key(&mut stream, &mut handshake, rng, &mut show) {
            Ok(finished) => return Ok((stream, finished)),
            Err(error) if error.can_resume() && connections < MAX_CONNECTIONS => {
                connections += 1;
                tracing::debug!(%address, %error, "handshake goes on over a new connection");
                handshake.handle_timeout(Now::from_system())?;
                stream = dial(address, dialling, rng)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Creates an `auth_key` over a connection, or goes on with an exchange whose connection was lost.
///
/// ```no_run
/// use chappe_crypto::rng::Drbg;
/// use chappe_handshake::{ClientHandshake, ClientOptions};
/// use chappe_net::{DialOptions, blocking};
/// use chappe_transport::{Connector, Framing};
///
/// let mut rng = Drbg::from_os()?;
/// let options = DialOptions::new(Connector::plain(Framing::Abridged));
/// let mut stream = blocking::dial("149.154.167.51:443".parse()?, &options, &mut rng)?;
/// let now = chappe_framing::Now::from_system();
/// let mut handshake = ClientHandshake::begin(ClientOptions::production(2), now, &mut rng)?;
/// let key = blocking::create_key(&mut stream, &mut handshake, &mut rng, |step| println!("{step:?}"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Says who is to blame. If [`CreateKeyError::can_resume`] says so, dial again and call again with the same
/// `handshake`: its last question is asked once more, byte for byte.
pub fn create_key(
    stream: &mut Stream,
    handshake: &mut ClientHandshake,
    rng: &mut Drbg,
    mut show: impl FnMut(Step),
) -> Result<Finished, CreateKeyError> {
    let mut exchange = Exchange::on_new_connection(handshake);
    let mut frame = FrameBuf::new();
    loop {
        if exchange.poll_transmit(&mut frame) {
            stream.send(&mut frame, AckRequest::No, rng)?;
        }
        let patience = exchange.patience()?;
        match stream.receive(patience, |incoming| exchange.handle(incoming, rng, &mut show)) {
            Ok(handled) => {
                if let Some(finished) = handled? {
                    return Ok(finished);
                }
            }
            // The deadline passed, or nearly: `patience` says which.
            Err(LinkError::TimedOut { waiting_for: Wait::Frame, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
