//! Creation of an `auth_key` over a connection, step by step.

use std::net::SocketAddr;

use chappe_carrier::LinkError;
use chappe_crypto::rng::Drbg;
use chappe_framing::FrameBuf;
use chappe_handshake::{ClientHandshake, ClientOptions, Finished, Progress};
use chappe_session::{MonoTime, Now};
use chappe_transport::{AckRequest, Incoming};

use crate::client::{CreateKeyError, MAX_CONNECTIONS, Stage, Step};
use crate::stream::Stream;

/// Dials, creates an `auth_key`, and returns it with the connection it was created on.
///
/// If the connection is lost on the way, another is made and the exchange goes on there (`SEC-42`).
pub(crate) async fn dial_with_new_key(
    address: SocketAddr,
    dial: impl AsyncFn(&mut Drbg) -> Result<Stream, LinkError>,
    options: ClientOptions,
    rng: &mut Drbg,
    mut show: impl FnMut(Step),
) -> Result<(Stream, Finished), CreateKeyError> {
    let mut stream = dial(rng).await?;
    let clock = stream.clock();
    let mut handshake = ClientHandshake::begin(options, clock(), rng)?;
    let mut connections = 1;
    loop {
        match create_key(&mut stream, &mut handshake, rng, &mut show).await {
            Ok(finished) => return Ok((stream, finished)),
            Err(error) if error.can_resume() && connections < MAX_CONNECTIONS => {
                connections += 1;
                tracing::debug!(%address, %error, "handshake goes on over a new connection");
                handshake.handle_timeout(clock())?;
                stream = dial(rng).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Creates an `auth_key` over a connection, or goes on with an exchange whose connection was lost.
pub(crate) async fn create_key(
    stream: &mut Stream,
    handshake: &mut ClientHandshake,
    rng: &mut Drbg,
    mut show: impl FnMut(Step),
) -> Result<Finished, CreateKeyError> {
    // The last question is asked again where another connection was lost.
    handshake.resend();
    let (clock, mut frame) = (stream.clock(), FrameBuf::new());
    let mut asked = clock().mono;
    loop {
        if handshake.poll_transmit(clock(), &mut frame) {
            asked = clock().mono;
            stream.send(&mut frame, AckRequest::No)?;
        }
        let now = clock();
        if let Some(incoming) = stream.take()? {
            if let Some(finished) = handle(incoming, handshake, &clock, asked, rng, &mut show)? {
                return Ok(finished);
            }
            continue;
        }
        handshake.handle_timeout(now)?;
        let over = chappe_handshake::HandshakeError::Misuse(chappe_handshake::ApiMisuse::Over);
        let deadline = handshake.poll_timeout().ok_or(over)?;
        stream.read_more(deadline.since(now.mono)).await?;
    }
}

/// Handles what came in, and shows the step that it made.
fn handle(
    incoming: Incoming<'_>,
    handshake: &mut ClientHandshake,
    clock: impl Fn() -> Now,
    asked: MonoTime,
    rng: &mut Drbg,
    show: &mut impl FnMut(Step),
) -> Result<Option<Finished>, CreateKeyError> {
    let frame = match incoming {
        Incoming::Envelope { payload, .. } => payload,
        Incoming::Error(code) => return Err(CreateKeyError::Refused(code)),
        // None was requested: an unknown token is ignored (SEC-133).
        Incoming::QuickAck(_) => return Ok(None),
    };
    let now = clock();
    let progress = handshake.handle_frame(now, frame, rng)?;
    if let Some(stage) = Stage::after(&progress) {
        show(Step { stage, waited: now.mono.since(asked), worked: clock().mono.since(now.mono) });
    }
    Ok(match progress {
        Progress::Done(finished) => Some(finished),
        _ => None,
    })
}
