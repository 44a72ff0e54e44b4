//! The beginning of a client's connection, until its secret is known.

use std::time::{Duration, SystemTime};

use chappe_carrier::LinkError;
use chappe_crypto::rng::Drbg;
use chappe_server::driver::ConnectionPermit;
use chappe_transport::{AcceptContext, AcceptRefusal, AcceptStep, Accepted, Acceptor, Framing, ReadBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::settings::Settings;

/// What a client turned out to be.
#[allow(clippy::large_enum_variant, reason = "made once for each connection, and matched at once")]
pub(crate) enum Client {
    /// It knows a secret. The buffer holds what it sent behind its header.
    Known(Accepted, ReadBuf),
    /// It speaks nothing that is served, or was silent for too long. If nothing was written to it, these are all bytes that
    /// it sent.
    Refused(Option<AcceptRefusal>, Option<Vec<u8>>),
}

/// Reads until it is known who the client is.
pub(crate) async fn accept(
    socket: &mut TcpStream,
    first: Vec<u8>,
    settings: &Settings,
    permit: &ConnectionPermit,
    rng: &mut Drbg,
) -> Result<Client, LinkError> {
    let patience = Duration::from_secs(settings.limits.first_bytes);
    let mut reading = Reading { buf: ReadBuf::new(&settings.accept.limits), has_answered: false };
    reading.buf.extend_from_slice(&first)?;
    let Ok(found) = timeout(patience, reading.run(socket, settings, permit, rng)).await else {
        let sent = reading.sent();
        return Ok(Client::Refused(None, sent));
    };
    Ok(match found? {
        Ok(accepted) => Client::Known(accepted, reading.buf),
        Err(refusal) => Client::Refused(Some(refusal), reading.sent()),
    })
}

struct Reading {
    buf: ReadBuf,
    /// Something was written to the client, which no other server would have.
    has_answered: bool,
}

impl Reading {
    async fn run(
        &mut self,
        socket: &mut TcpStream,
        settings: &Settings,
        permit: &ConnectionPermit,
        rng: &mut Drbg,
    ) -> Result<Result<Accepted, AcceptRefusal>, LinkError> {
        let mut acceptor = Acceptor::new();
        loop {
            let step = permit.with_replays(|replays| {
                let mut context =
                    AcceptContext { config: &settings.accept, unix_time: unix_time() as u32, replays };
                acceptor.handle(&mut self.buf, &mut context, rng)
            })?;
            match step {
                AcceptStep::Incomplete(next) => {
                    acceptor = next;
                    let count = socket.read(self.buf.space()?).await?;
                    if count == 0 {
                        return Err(LinkError::Closed);
                    }
                    self.buf.commit(count);
                }
                AcceptStep::Answer { bytes, next } => {
                    self.has_answered = true;
                    socket.write_all(&bytes).await?;
                    acceptor = next;
                }
                // No framing without a tag can be obfuscated, so the relay always knows where a frame of a client begins.
                AcceptStep::Ready(accepted) if accepted.connection.framing() != Framing::Full => {
                    return Ok(Ok(accepted));
                }
                AcceptStep::Refused(refusal) => return Ok(Err(refusal)),
                _ => return Ok(Err(AcceptRefusal::NotAllowed)),
            }
        }
    }

    /// Returns everything that the client sent, if it was not answered.
    fn sent(&self) -> Option<Vec<u8>> {
        (!self.has_answered).then(|| self.buf.raw().to_vec())
    }
}

/// Returns the time in seconds.
pub(crate) fn unix_time() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}
