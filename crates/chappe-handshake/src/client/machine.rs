//! The client's half as a machine over frames: requests out, answers in, one deadline.

use alloc::boxed::Box;
use alloc::vec::Vec;
use chappe_framing::{
    FrameBuf, FrameError, MalformedFrame, MsgIdGenerator, MsgOrigin, PlainMessage, UnixTime, plain,
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
use crate::Error;

/// How long an exchange may take from the first request on, unless the caller sets another limit.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// One exchange on the client's side, for a driver that moves frames.
///
/// * Getters: [`last_request`](Self::last_request), [`is_over`](Self::is_over),
///   [`primes`](Self::primes).
/// * Input: [`handle_frame`](Self::handle_frame), [`handle_timeout`](Self::handle_timeout).
/// * Commands: [`resend`](Self::resend), after the connection was lost.
/// * Output: [`poll_transmit`](Self::poll_transmit), [`poll_timeout`](Self::poll_timeout). Poll both
///   after each input and command.
///
/// After an error the exchange is over and its secrets are wiped.
pub struct ClientHandshake {
    options: ClientOptions,
    primes: PrimeCache,
    msg_ids: MsgIdGenerator,
    state: State,
    request: Vec<u8>,
    is_request_waiting: bool,
    last_answer: Option<[u8; 32]>,
    deadline: UnixTime,
}

enum State {
    ResPq(ExpectResPq),
    ServerDhParams(ExpectServerDhParams),
    DhGen(Box<ExpectDhGen>),
    Over,
}

/// How far a frame brought the exchange.
#[derive(Debug)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one key per exchange, and it is not kept in this type"
)]
pub enum Progress {
    /// `resPQ` was in order, `pq` is factored; `req_DH_params` waits to be sent.
    ServerKnown,
    /// `server_DH_params_ok` was in order; `set_client_DH_params` waits to be sent.
    ParamsAgreed,
    /// The server wants another attempt; `set_client_DH_params` waits to be sent.
    RetryAsked,
    /// There is a key.
    Done(Finished),
    /// The same answer came a second time and was ignored.
    Repeated,
}

impl ClientHandshake {
    /// Begins an exchange; its first request waits to be sent.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidExpiry`] if the options ask for an impossible lifetime.
    pub fn begin(
        options: ClientOptions,
        now: UnixTime,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, Error> {
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
            deadline: now.saturating_add(HANDSHAKE_TIMEOUT),
        })
    }

    /// Takes over what is known about primes from an earlier exchange.
    #[must_use]
    pub fn with_primes(self, primes: PrimeCache) -> Self {
        Self { primes, ..self }
    }

    /// Sets the time by which the exchange must be done (SEC-43).
    #[must_use]
    pub fn with_deadline(self, deadline: UnixTime) -> Self {
        Self { deadline, ..self }
    }

    /// Returns the object of the last request, without its envelope.
    pub fn last_request(&self) -> &[u8] {
        &self.request
    }

    /// Says whether the exchange gave its key or failed.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Returns what is known about primes, for later exchanges.
    pub const fn primes(&self) -> &PrimeCache {
        &self.primes
    }

    /// Handles a frame of the server.
    ///
    /// # Errors
    ///
    /// Any error but [`Error::Over`] ends the exchange: close the connection. [`Error::is_fatal`]
    /// says whether starting over makes sense.
    pub fn handle_frame(
        &mut self,
        now: UnixTime,
        frame: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Progress, Error> {
        let progress = self.advance(now, frame, rng);
        // A request that was not sent yet belongs to an exchange that is over.
        self.is_request_waiting &= progress.is_ok();
        progress
    }

    fn advance(
        &mut self,
        now: UnixTime,
        frame: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Progress, Error> {
        // On failure the state stays taken out: its secrets are gone with it.
        let state = mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return Err(Error::Over);
        }
        let message = PlainMessage::new_checked(frame, Side::Server)?;
        let answer = hash::sha256(&[message.body()]);
        if self.last_answer == Some(answer) {
            self.state = state;
            return Ok(Progress::Repeated);
        }
        let progress = match state {
            State::ResPq(state) => self.on_res_pq(state, &message, rng),
            State::ServerDhParams(state) => self.on_server_dh_params(state, &message, now, rng),
            State::DhGen(state) => self.on_dh_gen(*state, &message, rng),
            State::Over => Err(Error::Over),
        }?;
        self.last_answer = Some(answer);
        Ok(progress)
    }

    /// Ends the exchange if its deadline has passed.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if it has.
    pub fn handle_timeout(&mut self, now: UnixTime) -> Result<(), Error> {
        if self.is_over() || now < self.deadline {
            return Ok(());
        }
        self.state = State::Over;
        self.is_request_waiting = false;
        Err(Error::TimedOut)
    }

    /// Lets the last request be sent once more, byte for byte (SEC-42): the connection was lost, or
    /// no answer came. The server repeats its answer, on whatever connection it is asked.
    pub const fn resend(&mut self) {
        self.is_request_waiting = !self.is_over();
    }

    /// Writes the request that waits, if any, into `buf`; says whether there was one.
    pub fn poll_transmit(&mut self, now: UnixTime, buf: &mut FrameBuf) -> bool {
        if !mem::take(&mut self.is_request_waiting) {
            return false;
        }
        let msg_id = self.msg_ids.next(now, MsgOrigin::Client);
        plain::write_bytes(buf, msg_id, &self.request).expect("requests are a few hundred bytes long");
        true
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub const fn poll_timeout(&self) -> Option<UnixTime> {
        if self.is_over() { None } else { Some(self.deadline) }
    }

    fn on_res_pq(
        &mut self,
        state: ExpectResPq,
        message: &PlainMessage<'_>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Progress, Error> {
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
    ) -> Result<Progress, Error> {
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
    ) -> Result<Progress, Error> {
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

    fn send(&mut self, request: &impl Serializable, state: State) -> Result<(), Error> {
        self.request.zeroize();
        request.serialize(&mut self.request)?;
        self.is_request_waiting = true;
        self.state = state;
        Ok(())
    }
}

/// Reads the awaited answer; another object of the handshake is told apart from damaged bytes.
fn read<T: chappe_tl::Deserializable>(message: &PlainMessage<'_>) -> Result<T, Error> {
    use chappe_tl::deserialize::Error as TlError;
    match message.object() {
        Err(FrameError::Malformed(MalformedFrame::Tl(TlError::UnexpectedConstructor { id, .. })))
            if id == message.constructor_id() =>
        {
            Err(Error::UnexpectedAnswer { id })
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
