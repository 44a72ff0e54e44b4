//! Creation of an `auth_key` over a tokio connection.

use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, Now};
use chappe_handshake::{ClientHandshake, ClientOptions, Finished};
use chappe_transport::AckRequest;
use tokio::net::ToSocketAddrs;
use tokio::time::timeout;

use super::{Reader, Writer, dial};
use crate::client::{CreateKeyError, Exchange, MAX_CONNECTIONS, Step};
use crate::options::DialOptions;

/// Dials, creates an `auth_key`, and returns it with the connection it was created on.
///
/// If the connection is lost on the way, another is made and the exchange goes on there (`SEC-42`): five at
/// most, until its deadline of [`HANDSHAKE_TIMEOUT`](chappe_handshake::HANDSHAKE_TIMEOUT). `show` is told of
/// every step.
///
/// # Errors
///
/// Says who is to blame; see [`CreateKeyError`]. A first connection that cannot be made is not tried again.
pub async fn dial_with_new_key(
    address: impl ToSocketAddrs + Copy,
    dialling: &DialOptions,
    options: ClientOptions,
    rng: &mut Drbg,
    mut show: impl FnMut(Step),
) -> Result<(Reader, Writer, Finished), CreateKeyError> {
    let (mut reader, mut writer) = dial(address, dialling, rng).await?;
    let mut handshake = ClientHandshake::begin(options, Now::from_system(), rng)?;
    let mut connections = 1;
    loop {
        match create_key(&mut reader, &mut writer, &mut handshake, rng, &mut show).await {
            Ok(finished) => return Ok((reader, writer, finished)),
            Err(error) if error.can_resume() && connections < MAX_CONNECTIONS => {
                connections += 1;
                tracing::debug!(%error, "handshake goes on over a new connection");
                handshake.handle_timeout(Now::from_system())?;
                (reader, writer) = dial(address, dialling, rng).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Creates an `auth_key` over a connection, or goes on with an exchange whose connection was lost.
///
/// Must not be cancelled while it writes: drop the connection then, and call again over a new one.
///
/// # Errors
///
/// Says who is to blame. If [`CreateKeyError::can_resume`] says so, dial again and call again with the same
/// `handshake`: its last question is asked once more, byte for byte.
pub async fn create_key(
    reader: &mut Reader,
    writer: &mut Writer,
    handshake: &mut ClientHandshake,
    rng: &mut Drbg,
    mut show: impl FnMut(Step),
) -> Result<Finished, CreateKeyError> {
    let mut exchange = Exchange::on_new_connection(handshake);
    let mut frame = FrameBuf::new();
    loop {
        if exchange.poll_transmit(&mut frame) {
            writer.send(&mut frame, AckRequest::No, rng).await?;
        }
        while let Some(incoming) = reader.take()? {
            if let Some(finished) = exchange.handle(incoming, rng, &mut show)? {
                return Ok(finished);
            }
            if exchange.poll_transmit(&mut frame) {
                writer.send(&mut frame, AckRequest::No, rng).await?;
            }
        }
        // Otherwise the deadline passed, or nearly: `patience` says which.
        if let Ok(read) = timeout(exchange.patience()?, reader.read_more()).await {
            read?;
        }
    }
}
