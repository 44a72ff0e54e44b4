//! The driver over tokio: a task waits.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use chappe_carrier::LinkError;
use chappe_crypto::rng::Drbg;
use chappe_handshake::{ClientHandshake, ClientOptions, Finished};
use tokio::runtime::Handle;

use crate::client::{Client, ConnectError, ConnectOptions, CreateKeyError, Step};
use crate::create_key;
use crate::driver::tokio::{clock, spawn, waker};
use crate::options::DialOptions;
use crate::stream::Stream;
use crate::validate::InvalidOption;

/// Connects, makes a key if the store has none, and gives the client once the datacenter has answered.
///
/// May be cancelled.
///
/// # Errors
///
/// The error states who failed; see [`ConnectError::blame`]. Several attempts were made, as
/// [`BackOff::first_attempts`](crate::BackOff::first_attempts) says, unless the error shows that they would fail alike.
pub async fn connect(options: ConnectOptions) -> Result<Client, Arc<ConnectError>> {
    start(options)?.connected().await
}

/// Starts a client and does not wait for it; see [`Client::ready`].
///
/// # Errors
///
/// There is no runtime, or the operating system gives no randomness.
pub fn start(options: ConnectOptions) -> Result<Client, ConnectError> {
    check_runtime().map_err(ConnectError::InvalidOption)?;
    let runtime = runtime().map_err(ConnectError::System)?;
    let (notify, wake) = waker();
    let (client, driver) = Client::start(options, clock(), wake)?;
    spawn(&runtime, driver, notify);
    Ok(client)
}

/// Makes a connection, through the proxy of `options` if there is one, and starts the transport over it.
///
/// # Errors
///
/// An option cannot work, the operating system refuses, a time-out passed, the proxy cannot be used, or the answer under fake
/// TLS is not the `MTProxy`'s.
pub async fn dial(address: SocketAddr, options: &DialOptions, rng: &mut Drbg) -> Result<Stream, LinkError> {
    check_runtime().map_err(io::Error::from)?;
    let runtime = runtime()?;
    let (notify, wake) = waker();
    let (stream, driver) = Stream::start(address, options, rng, clock(), wake)?;
    spawn(&runtime, driver, notify);
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
pub async fn dial_with_new_key(
    address: SocketAddr,
    dialling: &DialOptions,
    options: ClientOptions,
    rng: &mut Drbg,
    show: impl FnMut(Step),
) -> Result<(Stream, Finished), CreateKeyError> {
    let dial = async |rng: &mut Drbg| dial(address, dialling, rng).await;
    create_key::dial_with_new_key(address, dial, options, rng, show).await
}

/// Creates an `auth_key` over a connection, or goes on with an exchange whose connection was lost.
///
/// Must not be cancelled: drop the connection then, and call again over a new one.
///
/// # Errors
///
/// The error states who is to blame. If [`CreateKeyError::can_resume`] allows it, dial again and call again with the same
/// `handshake`: its last question is asked once more, byte for byte.
pub async fn create_key(
    stream: &mut Stream,
    handshake: &mut ClientHandshake,
    rng: &mut Drbg,
    show: impl FnMut(Step),
) -> Result<Finished, CreateKeyError> {
    create_key::create_key(stream, handshake, rng, show).await
}

fn runtime() -> io::Result<Handle> {
    Handle::try_current().map_err(io::Error::other)
}

/// Checks that there is a runtime, with time and I/O. Tokio has no question for that: it panics where one of them is missing.
fn check_runtime() -> Result<(), InvalidOption> {
    let missing = |what: &str| {
        let reason = format!("tokio has no {what} here: call `connect` in a runtime built with `enable_all`");
        InvalidOption::new("runtime", reason)
    };
    tokio::runtime::Handle::try_current().map_err(|_| missing("runtime"))?;
    catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).map_err(|_| missing("time"))?;
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) else {
        // Without a socket nothing can be tried; dialling will say why there is none.
        return Ok(());
    };
    let tried = catch_unwind(move || {
        socket.set_nonblocking(true).and_then(|()| tokio::net::UdpSocket::from_std(socket)).map(drop)
    });
    tried.map_or_else(|_| Err(missing("I/O")), |_| Ok(()))
}
