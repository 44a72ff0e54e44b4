//! The driver over `std::net`: threads wait.

use std::net::SocketAddr;
use std::sync::Arc;

use chappe_carrier::LinkError;
use chappe_crypto::rng::Drbg;
use chappe_handshake::{ClientHandshake, ClientOptions, Finished};
use chappe_session::Now;

use crate::block_on::block_on;
use crate::client::{Client, ConnectError, ConnectOptions, CreateKeyError, Step};
use crate::create_key;
use crate::driver::blocking::{spawn, waker};
use crate::options::DialOptions;
use crate::stream::Stream;

/// Connects, makes a key if the store has none, and returns the client once the datacenter has answered.
///
/// # Errors
///
/// The error states who failed; see [`ConnectError::blame`]. Several attempts were made, as
/// [`BackOff::first_attempts`](crate::BackOff::first_attempts) says, unless the error shows that they would fail alike.
pub fn connect(options: ConnectOptions) -> Result<Client, Arc<ConnectError>> {
    block_on(start(options)?.connected())
}

/// Starts a client and does not wait for it; see [`Client::ready`].
///
/// # Errors
///
/// The operating system gives no thread or no randomness.
pub fn start(options: ConnectOptions) -> Result<Client, ConnectError> {
    let (signal, wake) = waker();
    let (client, driver) = Client::start(options, Box::new(Now::from_system), wake)?;
    spawn(driver, signal).map_err(ConnectError::System)?;
    Ok(client)
}

/// Makes a connection, through the proxy of `options` if there is one, and starts the transport over it.
///
/// # Errors
///
/// An option cannot work, the operating system refuses, a time-out passed, the proxy cannot be used, or the answer under fake
/// TLS is not the `MTProxy`'s.
pub fn dial(address: SocketAddr, options: &DialOptions, rng: &mut Drbg) -> Result<Stream, LinkError> {
    block_on(open(address, options, rng))
}

async fn open(address: SocketAddr, options: &DialOptions, rng: &mut Drbg) -> Result<Stream, LinkError> {
    let (signal, wake) = waker();
    let (stream, driver) = Stream::start(address, options, rng, Box::new(Now::from_system), wake)?;
    spawn(driver, signal)?;
    stream.connected().await
}

/// Dials, creates an `auth_key`, and returns it with the connection it was created on.
///
/// If the connection is lost on the way, another is made and the exchange goes on there (`SEC-42`): five at
/// most, until its deadline of [`HANDSHAKE_TIMEOUT`](chappe_handshake::HANDSHAKE_TIMEOUT). `show` is told of
/// every step.
///
/// # Errors
///
/// The error states who is to blame; see [`CreateKeyError`]. A first connection that cannot be made is not tried again.
pub fn dial_with_new_key(
    address: SocketAddr,
    dialling: &DialOptions,
    options: ClientOptions,
    rng: &mut Drbg,
    show: impl FnMut(Step),
) -> Result<(Stream, Finished), CreateKeyError> {
    let dial = async |rng: &mut Drbg| open(address, dialling, rng).await;
    block_on(create_key::dial_with_new_key(address, dial, options, rng, show))
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
/// The error states who is to blame. If [`CreateKeyError::can_resume`] allows it, dial again and call again with the same
/// `handshake`: its last question is asked once more, byte for byte.
pub fn create_key(
    stream: &mut Stream,
    handshake: &mut ClientHandshake,
    rng: &mut Drbg,
    show: impl FnMut(Step),
) -> Result<Finished, CreateKeyError> {
    block_on(create_key::create_key(stream, handshake, rng, show))
}
