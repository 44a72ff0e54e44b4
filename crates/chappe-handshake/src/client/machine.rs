//! The client's half of an exchange, over frames: requests out, answers in, one deadline.

use alloc::boxed::Box;
use alloc::vec::Vec;
use chappe_framing::{
    FrameBuf, FrameError, MalformedFrame, MonoTime, MsgIdGenerator, MsgOrigin, Now, PlainMessage, UnixTime,
    write_plain_bytes,
};
use core::fmt;
use core::mem;
use core::time::Duration;

use chappe_crypto::dh::PrimeCache;
use chappe_crypto::{Side, hash};
use chappe_tl::Serializable;
use chappe_tl_mtproto::enums;
use rand_core::CryptoRng;
use zeroize::Zeroize;

use super::{ClientOptions, ExpectDhGen, ExpectResPq, ExpectServerDhParams, Finished, Outcome, Retry};
use crate::{ApiMisuse, HandshakeError, InvalidAnswer};

/// Time limit of an exchange, counted from the first request, unless the caller sets another one (SEC-43).
///
/// The server forgets an exchange after ten minutes. 30 seconds is enough for six messages over a slow network and for the
/// test of an unknown prime.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// One exchange on the client's side, for a driver that carries frames.
///
/// * Getters: [`last_request`](Self::last_request), [`is_over`](Self::is_over),
///   [`primes`](Self::primes).
/// * Input: [`handle_frame`](Self::handle_frame), [`handle_timeout`](Self::handle_timeout).
/// * Commands: [`resend`](Self::resend), after the connection was lost.
/// * Output: [`poll_transmit`](Self::poll_transmit), [`poll_timeout`](Self::poll_timeout). Poll both after each input
///   and command.
///
/// After an error the exchange is over and its secrets are wiped.
///
/// Deadlines use the monotonic clock, so a step of the wall clock neither ends an exchange nor keeps it alive (SEC-177).
pub struct ClientHandshake {
    options: ClientOptions,
    primes: PrimeCache,
    msg_ids: MsgIdGenerator,
    state: State,
    request: Vec<u8>,
    is_request_waiting: bool,
    last_answer: Option<[u8; 32]>,
    deadline: MonoTime,
}

enum State {
    ResPq(ExpectResPq),
    ServerDhParams(ExpectServerDhParams),
    DhGen(Box<ExpectDhGen>),
    Over,
}

/// The effect of a frame on the exchange.
#[derive(Debug)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "an exchange returns one value of the large variant")]
pub enum Progress {
    /// `resPQ` was accepted and `pq` is factored. `req_DH_params` waits to be sent.
    ServerKnown,
    /// `server_DH_params_ok` was accepted. `set_client_DH_params` waits to be sent.
    ParamsAgreed,
    /// The server asked for another attempt. `set_client_DH_params` waits to be sent.
    RetryAsked,
    /// The exchange created a key.
    Done(Finished),
    /// The same answer arrived a second time and was ignored.
    Repeated,
}

impl ClientHandshake {
    /// Begins an exchange. Its first request waits to be sent.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse::InvalidExpiry`] if the options ask for an impossible lifetime.
    pub fn begin(
        options: ClientOptions,
        now: Now,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, HandshakeError> {
        options.expires_in()?;
        let (request, state) = ExpectResPq::begin(rng);
        Ok(Self {
            options,
            primes: PrimeCache::default(),
            msg_ids: MsgIdGenerator::new(),
            state: State::ResPq(state),
            request: request.try_to_bytes()?,
            is_request_waiting: true,
            last_answer: None,
            deadline: now.mono + HANDSHAKE_TIMEOUT,
        })
    }

    /// Takes over the tested primes of an earlier exchange.
    #[must_use]
    pub fn with_primes(self, primes: PrimeCache) -> Self {
        Self { primes, ..self }
    }

    /// Sets the time at which the exchange ends if it is not done (SEC-43).
    #[must_use]
    pub fn with_deadline(self, deadline: MonoTime) -> Self {
        Self { deadline, ..self }
    }

    /// Returns the object of the last request, without its envelope.
    pub fn last_request(&self) -> &[u8] {
        &self.request
    }

    /// Returns whether the exchange returned its key or failed.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Returns the tested primes, for later exchanges.
    pub const fn primes(&self) -> &PrimeCache {
        &self.primes
    }

    /// Handles a frame of the server.
    ///
    /// # Errors
    ///
    /// Every error ends the exchange: close the connection. [`HandshakeError::is_fatal`] returns whether starting over would
    /// fail the same way.
    pub fn handle_frame(
        &mut self,
        now: Now,
        frame: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Progress, HandshakeError> {
        let progress = self.advance(now, frame, rng);
        // After an error, a request that was not sent yet belongs to an exchange that is over.
        self.is_request_waiting &= progress.is_ok();
        progress
    }

    fn advance(
        &mut self,
        now: Now,
        frame: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Progress, HandshakeError> {
        // On failure the state is dropped here, which wipes its secrets.
        let state = mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return Err(ApiMisuse::Over.into());
        }
        let message = PlainMessage::new_checked(frame, Side::Server)?;
        let answer = hash::sha256(&[message.body()]);
        // A resent request makes the server repeat its answer (SEC-42); the second copy must not fail the exchange.
        if self.last_answer == Some(answer) {
            self.state = state;
            return Ok(Progress::Repeated);
        }
        let progress = match state {
            State::ResPq(state) => self.on_res_pq(state, &message, rng),
            State::ServerDhParams(state) => self.on_server_dh_params(state, &message, now.unix, rng),
            State::DhGen(state) => self.on_dh_gen(*state, &message, rng),
            State::Over => Err(ApiMisuse::Over.into()),
        }?;
        self.last_answer = Some(answer);
        Ok(progress)
    }

    /// Ends the exchange if its deadline has passed.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::TimedOut`] if it has passed.
    pub fn handle_timeout(&mut self, now: Now) -> Result<(), HandshakeError> {
        if self.is_over() || now.mono < self.deadline {
            return Ok(());
        }
        self.state = State::Over;
        self.is_request_waiting = false;
        Err(HandshakeError::TimedOut)
    }

    /// Schedules the last request to be sent again, byte for byte (SEC-42).
    ///
    /// Call it when the connection was lost or no answer arrived. The server repeats its answer on any connection.
    pub const fn resend(&mut self) {
        self.is_request_waiting = !self.is_over();
    }

    /// Writes the request that waits into `buf`. Returns whether there was one.
    pub fn poll_transmit(&mut self, now: Now, buf: &mut FrameBuf) -> bool {
        if !mem::take(&mut self.is_request_waiting) {
            return false;
        }
        let msg_id = self.msg_ids.next(now.unix, MsgOrigin::Client);
        write_plain_bytes(buf, msg_id, &self.request).expect("requests are a few hundred bytes long");
        true
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) must be called.
    pub const fn poll_timeout(&self) -> Option<MonoTime> {
        if self.is_over() { None } else { Some(self.deadline) }
    }

    fn on_res_pq(
        &mut self,
        state: ExpectResPq,
        message: &PlainMessage<'_>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Progress, HandshakeError> {
        let answer: enums::ResPq = read(message)?;
        let (request, next) = state.handle(answer, &self.options, rng)?;
        self.send(&request, State::ServerDhParams(next))?;
        Ok(Progress::ServerKnown)
    }

    fn on_server_dh_params(
        &mut self,
        state: ExpectServerDhParams,
        message: &PlainMessage<'_>,
        now: UnixTime,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Progress, HandshakeError> {
        let answer: enums::ServerDhParams = read(message)?;
        let (request, next) = state.handle(answer, now, &mut self.primes, rng)?;
        self.send(&request, State::DhGen(Box::new(next)))?;
        Ok(Progress::ParamsAgreed)
    }

    fn on_dh_gen(
        &mut self,
        state: ExpectDhGen,
        message: &PlainMessage<'_>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Progress, HandshakeError> {
        let answer: enums::SetClientDhParamsAnswer = read(message)?;
        match state.handle(answer, rng)? {
            Outcome::Done(finished) => {
                self.is_request_waiting = false;
                Ok(Progress::Done(finished))
            }
            Outcome::Retry(retry) => {
                let Retry { request, state } = *retry;
                self.send(&request, State::DhGen(Box::new(state)))?;
                Ok(Progress::RetryAsked)
            }
        }
    }

    fn send(&mut self, request: &impl Serializable, state: State) -> Result<(), HandshakeError> {
        self.request.zeroize();
        request.serialize(&mut self.request)?;
        self.is_request_waiting = true;
        self.state = state;
        Ok(())
    }
}

/// Reads the awaited answer. Another object of the handshake is [`InvalidAnswer::Unexpected`], not damaged bytes.
fn read<T: chappe_tl::Deserializable>(message: &PlainMessage<'_>) -> Result<T, HandshakeError> {
    use chappe_tl::DecodeError;
    match message.object() {
        Err(FrameError::Malformed(MalformedFrame::Tl(DecodeError::UnexpectedConstructor { id, .. })))
            if id == message.constructor_id() =>
        {
            Err(InvalidAnswer::Unexpected { id }.into())
        }
        other => Ok(other?),
    }
}

impl fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let awaited = match self.state {
            State::ResPq(_) => "resPQ",
            State::ServerDhParams(_) => "server_DH_params",
            State::DhGen(_) => "dh_gen",
            State::Over => "nothing",
        };
        f.debug_struct("ClientHandshake").field("awaits", &awaited).finish_non_exhaustive()
    }
}
