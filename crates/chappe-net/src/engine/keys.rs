//! Creation of keys on the connection in use.

use chappe_crypto::dh::PrimeCache;
use chappe_crypto::rng::Drbg;
use chappe_framing::{FrameBuf, FrameError, PeerMisbehaved};
use chappe_handshake::{ClientHandshake, ClientOptions, Finished, HandshakeError, KeyKind, Progress};
use chappe_session::{MonoTime, Now};

use crate::client::MAX_CONNECTIONS;

/// One exchange at most, which outlives the connection it began on (`SEC-42`).
#[derive(Debug, Default)]
pub(super) struct KeyWork {
    exchange: Option<Exchange>,
    primes: PrimeCache,
}

#[derive(Debug)]
struct Exchange {
    handshake: ClientHandshake,
    kind: KeyKind,
    connections: usize,
}

impl KeyWork {
    /// Begins an exchange; if one is under way already, that goes on.
    pub(super) fn begin(
        &mut self,
        options: &ClientOptions,
        kind: KeyKind,
        now: Now,
        rng: &mut Drbg,
    ) -> Result<(), HandshakeError> {
        if self.exchange.as_ref().is_some_and(|exchange| exchange.kind == kind) {
            return Ok(());
        }
        let options = options.clone().with_kind(kind);
        let handshake = ClientHandshake::begin(options, now, rng)?.with_primes(self.primes.clone());
        self.exchange = Some(Exchange { handshake, kind, connections: 1 });
        Ok(())
    }

    /// Goes on over a new connection, unless too many were used up.
    pub(super) fn on_connected(&mut self) {
        let Some(exchange) = self.exchange.as_mut() else { return };
        exchange.connections += 1;
        exchange.handshake.resend();
        if exchange.connections > MAX_CONNECTIONS {
            self.exchange = None;
        }
    }

    /// Gives the exchange up.
    pub(super) fn abandon(&mut self) {
        self.exchange = None;
    }

    pub(super) fn poll_transmit(&mut self, now: Now, out: &mut FrameBuf) -> bool {
        self.exchange.as_mut().is_some_and(|exchange| exchange.handshake.poll_transmit(now, out))
    }

    /// Takes a plain frame; returns the key, and what kind it is, when it is made.
    ///
    /// Fails if the frame is no answer of an exchange that is under way.
    pub(super) fn handle_frame(
        &mut self,
        now: Now,
        frame: &[u8],
        rng: &mut Drbg,
    ) -> Result<Option<(Finished, KeyKind)>, HandshakeError> {
        // Anybody on the way can write such a frame (`SEC-75`): it must not pass for a sign of life.
        let exchange = self
            .exchange
            .as_mut()
            .ok_or(HandshakeError::Frame(FrameError::Misbehaved(PeerMisbehaved::PlainNotAllowed)))?;
        match exchange.handshake.handle_frame(now, frame, rng) {
            Ok(Progress::Done(finished)) => {
                let kind = exchange.kind;
                self.primes = exchange.handshake.primes().clone();
                self.exchange = None;
                Ok(Some((finished, kind)))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                self.exchange = None;
                Err(error)
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Now) -> Result<(), HandshakeError> {
        let Some(exchange) = self.exchange.as_mut() else {
            return Ok(());
        };
        exchange.handshake.handle_timeout(now).inspect_err(|_| self.exchange = None)
    }

    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        self.exchange.as_ref()?.handshake.poll_timeout()
    }
}
