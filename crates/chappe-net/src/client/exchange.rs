//! The exchange that creates an `auth_key`, over some connection; who waits is the driver's business.

use std::time::{Duration, Instant};

use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, Now};
use chappe_handshake::{ClientHandshake, Finished, Progress};
use chappe_transport::Incoming;

use super::{CreateKeyError, Stage, Step};

/// One exchange on one connection.
pub(crate) struct Exchange<'h> {
    handshake: &'h mut ClientHandshake,
    asked: Instant,
}

impl<'h> Exchange<'h> {
    /// Begins, or goes on where another connection was lost: the last question is asked again.
    pub(crate) fn on_new_connection(handshake: &'h mut ClientHandshake) -> Self {
        handshake.resend();
        Self { handshake, asked: Instant::now() }
    }

    /// Writes the question that waits, if any, and says whether there was one.
    pub(crate) fn poll_transmit(&mut self, frame: &mut FrameBuf) -> bool {
        let is_waiting = self.handshake.poll_transmit(Now::from_system(), frame);
        if is_waiting {
            self.asked = Instant::now();
        }
        is_waiting
    }

    /// Returns how long the driver may wait; an error once the deadline has passed.
    pub(crate) fn patience(&mut self) -> Result<Duration, CreateKeyError> {
        let now = Now::from_system();
        self.handshake.handle_timeout(now)?;
        match self.handshake.poll_timeout() {
            Some(deadline) => Ok(deadline.since(now.mono)),
            None => Err(chappe_handshake::Error::Misuse(chappe_handshake::ApiMisuse::Over).into()),
        }
    }

    /// Handles what came in, and tells `show` about each step.
    pub(crate) fn handle(
        &mut self,
        incoming: Incoming<'_>,
        rng: &mut Drbg,
        show: &mut impl FnMut(Step),
    ) -> Result<Option<Finished>, CreateKeyError> {
        let frame = match incoming {
            Incoming::Envelope { payload, .. } => payload,
            Incoming::Error(code) => return Err(CreateKeyError::Refused(code)),
            // Nobody asked for one: an unknown token is to be ignored (`SEC-133`).
            Incoming::QuickAck(_) => return Ok(None),
        };
        let arrived = Instant::now();
        let progress = self.handshake.handle_frame(Now::from_system(), frame, rng)?;
        if let Some(stage) = Stage::after(&progress) {
            show(Step { stage, waited: arrived - self.asked, worked: arrived.elapsed() });
        }
        match progress {
            Progress::Done(finished) => Ok(Some(finished)),
            _ => Ok(None),
        }
    }
}
