//! The table of exchanges as a machine over frames.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::Side;
use chappe_framing::{FrameBuf, MonoTime, MsgIdGenerator, MsgOrigin, Now, PlainMessage, write_plain_bytes};
use chappe_tl::{Identifiable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};
use rand_core::CryptoRng;

use super::exchange::{DhParamsSent, Exchange, Name, QueryHash, State};
use super::failed::Failed;
use super::first_step::FirstStep;
use super::primes::Factors;
use super::rate_limit::Meter;
use super::table::{Room, Table};
use super::work::{Made, Work, WorkDone};
use super::{KeyCandidate, PeerId, QueryRefusal, RefusalReason, ServerOptions, ServerOptionsError};

/// The exchanges of a server.
///
/// * Getters: [`len`](Self::len), [`options`](Self::options).
/// * Input: [`handle_frame`](Self::handle_frame), which writes the answer into the caller's buffer;
///   [`handle_timeout`](Self::handle_timeout). To have RSA and Diffie-Hellman done elsewhere:
///   [`begin_frame`](Self::begin_frame) and [`finish`](Self::finish).
/// * Output: [`poll_timeout`](Self::poll_timeout).
pub struct ServerHandshakes {
    options: Arc<ServerOptions>,
    first_step: Option<FirstStep>,
    table: Table,
    failed: Failed,
    meter: Meter,
    msg_ids: MsgIdGenerator,
}

/// The result of a frame.
#[derive(Debug)]
#[must_use]
pub enum QueryReply<'t> {
    /// The buffer holds the frame to send.
    Answer,
    /// The exchange reached its last step: decide, then send the content of the buffer.
    Key(KeyCandidate<'t>),
    /// No answer, except a transport error if the refusal has a code.
    Refuse(QueryRefusal),
}

/// The result of the cheap part of a frame.
#[derive(Debug)]
#[must_use]
pub enum FrameStep {
    /// The buffer holds the frame to send.
    Answer,
    /// Call [`Work::run`], which takes milliseconds, then [`ServerHandshakes::finish`].
    Work(Work),
    /// No answer, except a transport error if the refusal has a code.
    Refuse(QueryRefusal),
}

/// The destination of an answer.
pub(super) struct Answering<'t> {
    pub(super) msg_ids: &'t mut MsgIdGenerator,
    pub(super) out: &'t mut FrameBuf,
    pub(super) now: Now,
}

impl Answering<'_> {
    /// Writes the object of an answer as a plain message.
    pub(super) fn write(&mut self, object: &[u8]) {
        let msg_id = self.msg_ids.next(self.now.unix, MsgOrigin::Response);
        write_plain_bytes(self.out, msg_id, object).expect("answers are a few hundred bytes long");
    }
}

impl ServerHandshakes {
    /// Starts with an empty table.
    ///
    /// # Errors
    ///
    /// Fails if the options cannot work.
    pub fn new(options: ServerOptions) -> Result<Self, ServerOptionsError> {
        if options.keys.is_empty() {
            return Err(ServerOptionsError::NoKeys);
        }
        if options.max_exchanges == 0 {
            return Err(ServerOptionsError::NoRoom);
        }
        Ok(Self {
            options: Arc::new(options),
            first_step: None,
            table: Table::default(),
            failed: Failed::default(),
            meter: Meter::default(),
            msg_ids: MsgIdGenerator::new(),
        })
    }

    /// Computes first answers from a secret of 32 random bytes, instead of drawing and remembering them.
    ///
    /// First queries then need no memory, and the rate limit does not count them: a flood of them pushes out no exchange.
    /// The second query must come from the same [`PeerId`] as the first. Servers that share the secret and agree on peers
    /// continue each other's exchanges after the first step.
    #[must_use]
    pub fn with_first_step_secret(self, secret: [u8; 32]) -> Self {
        Self { first_step: Some(FirstStep::new(secret)), ..self }
    }

    /// Returns the number of exchanges in memory, finished ones included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns whether no exchange is in memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the options.
    pub fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Handles a plain frame of `peer`. Writes the answer, if there is one, into `out`.
    pub fn handle_frame<'t>(
        &'t mut self,
        now: Now,
        peer: PeerId,
        frame: &[u8],
        out: &'t mut FrameBuf,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> QueryReply<'t> {
        match self.begin_frame(now, peer, frame, out, rng) {
            FrameStep::Answer => QueryReply::Answer,
            FrameStep::Refuse(refusal) => QueryReply::Refuse(refusal),
            FrameStep::Work(work) => self.finish(now, work.run(rng), out),
        }
    }

    /// Handles a plain frame of `peer` up to where it costs RSA or Diffie-Hellman. Writes the answer, if there is one
    /// already, into `out`.
    pub fn begin_frame(
        &mut self,
        now: Now,
        peer: PeerId,
        frame: &[u8],
        out: &mut FrameBuf,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> FrameStep {
        self.handle_timeout(now);
        let message = match PlainMessage::new_checked(frame, Side::Client) {
            Ok(message) => message,
            Err(error) => return FrameStep::Refuse(RefusalReason::Frame(error).into()),
        };
        let work = match message.constructor_id() {
            functions::SetClientDhParams::CONSTRUCTOR_ID => self.on_set_client_dh_params(now, &message, out),
            functions::ReqDhParams::CONSTRUCTOR_ID => self.on_req_dh_params(now, peer, &message, out),
            _ => self.on_req_pq(now, peer, &message, out, rng).map(|()| None),
        };
        match work {
            Ok(None) => FrameStep::Answer,
            Ok(Some(work)) => FrameStep::Work(work),
            Err(reason) => FrameStep::Refuse(reason.into()),
        }
    }

    /// Takes in the result of work. Writes the answer, if there is one, into `out`.
    pub fn finish<'t>(&'t mut self, now: Now, done: WorkDone, out: &'t mut FrameBuf) -> QueryReply<'t> {
        let WorkDone { name, query, peer, made } = done;
        let finished = match made {
            Ok(Made::Params { answer, params }) => {
                self.finish_params(now.mono, name, query, peer, (answer, params)).map(|()| None)
            }
            Ok(Made::Key { key, retry_id }) => self.finish_key(&name, query, retry_id).map(|()| Some(key)),
            Err(reason) => {
                self.fail(name, now.mono);
                Err(reason)
            }
        };
        let mut answering = Answering { msg_ids: &mut self.msg_ids, out, now };
        let exchange = self.table.get_mut(&name).ok_or(RefusalReason::UnknownExchange);
        match (finished, exchange) {
            (Err(reason), _) | (_, Err(reason)) => QueryReply::Refuse(reason.into()),
            (Ok(key), Ok(exchange)) => {
                // The same query may have been answered meanwhile: it can come over two connections.
                if let Some(answer) = exchange.answer_to(query) {
                    answering.write(answer);
                    return QueryReply::Answer;
                }
                let Some(key) = key else { return QueryReply::Refuse(RefusalReason::Internal.into()) };
                let candidate = KeyCandidate { exchange, answering, query, key };
                // Key id zero marks plain messages on the wire, so no key may have it (SEC-56).
                if candidate.auth_key().id().is_zero() {
                    candidate.retry();
                    return QueryReply::Answer;
                }
                QueryReply::Key(candidate)
            }
        }
    }

    /// Removes exchanges that are older than the lifetime in the options.
    pub fn handle_timeout(&mut self, now: Now) {
        self.table.expire(now.mono, self.options.lifetime);
        self.failed.expire(now.mono, self.options.lifetime);
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) must be called.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.table.next_expiry(self.options.lifetime)
    }

    /// `req_pq_multi` or `req_pq`: starts an exchange, or repeats its first answer.
    fn on_req_pq(
        &mut self,
        now: Now,
        peer: PeerId,
        message: &PlainMessage<'_>,
        out: &mut FrameBuf,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), RefusalReason> {
        let nonce = match message.constructor_id() {
            functions::ReqPq::CONSTRUCTOR_ID => message.object().map(|query: functions::ReqPq| query.nonce),
            _ => message.object().map(|query: functions::ReqPqMulti| query.nonce),
        };
        let nonce = nonce.map_err(RefusalReason::Frame)?;
        let mut answering = Answering { msg_ids: &mut self.msg_ids, out, now };
        if let Some(first_step) = &self.first_step {
            let name = first_step.name(now.unix, peer, nonce);
            answering.write(&res_pq(&name, first_step.factors(&name), &self.options)?);
            return Ok(());
        }
        let query = QueryHash::of(&nonce);
        if let Some(answer) = self.table.started_by(&nonce).and_then(|exchange| exchange.answer_to(query)) {
            answering.write(answer);
            return Ok(());
        }
        charge(&mut self.meter, &self.options, now, peer)?;
        let mut server_nonce = [0; 16];
        rng.fill_bytes(&mut server_nonce);
        let factors = Factors::random(rng);
        let name = Name { nonce, server_nonce };
        let answer = res_pq(&name, factors, &self.options)?;
        answering.write(&answer);
        let exchange = Exchange::new(State::ResPqSent(factors), peer, now.mono, query, answer);
        self.table.insert(name, exchange, self.room());
        Ok(())
    }

    /// `req_DH_params`: repeats its answer, or returns the work that it needs.
    fn on_req_dh_params(
        &mut self,
        now: Now,
        peer: PeerId,
        message: &PlainMessage<'_>,
        out: &mut FrameBuf,
    ) -> Result<Option<Work>, RefusalReason> {
        let (query, bytes) =
            message.object_and_bytes::<functions::ReqDhParams>().map_err(RefusalReason::Frame)?;
        let (name, hash) = (Name::of_params(&query), QueryHash::of(bytes));
        let factors = match self.table.get_mut(&name) {
            Some(exchange) => {
                if let Some(answer) = exchange.answer_to(hash) {
                    Answering { msg_ids: &mut self.msg_ids, out, now }.write(answer);
                    return Ok(None);
                }
                match exchange.state {
                    State::ResPqSent(factors) => Some(factors),
                    State::DhParamsSent { .. } | State::Over => None,
                }
            }
            // The first answer may have been computed and not stored.
            None => Some(self.recall(now, peer, &name).ok_or(RefusalReason::UnknownExchange)?),
        };
        charge(&mut self.meter, &self.options, now, peer)?;
        let Some(factors) = factors.filter(|factors| factors.are(&query.p, &query.q)) else {
            self.fail(name, now.mono);
            return Err(match factors {
                None => RefusalReason::UnknownExchange,
                Some(_) => RefusalReason::WrongFactors,
            });
        };
        Ok(Some(Work::params(query, hash, factors, peer, now, &self.options)))
    }

    /// Returns the factors of an exchange whose first answer was computed.
    fn recall(&self, now: Now, peer: PeerId, name: &Name) -> Option<Factors> {
        let first_step = self.first_step.as_ref().filter(|_| !self.failed.contains(name))?;
        first_step.recall(now.unix, peer, name, self.options.lifetime)
    }

    /// `set_client_DH_params`: repeats its answer, or returns the work that it needs.
    fn on_set_client_dh_params(
        &mut self,
        now: Now,
        message: &PlainMessage<'_>,
        out: &mut FrameBuf,
    ) -> Result<Option<Work>, RefusalReason> {
        let (query, bytes) =
            message.object_and_bytes::<functions::SetClientDhParams>().map_err(RefusalReason::Frame)?;
        let (name, hash) = (Name::of_client_params(&query), QueryHash::of(bytes));
        let exchange = self.table.get_mut(&name).ok_or(RefusalReason::UnknownExchange)?;
        if let Some(answer) = exchange.answer_to(hash) {
            Answering { msg_ids: &mut self.msg_ids, out, now }.write(answer);
            return Ok(None);
        }
        if let State::DhParamsSent { params, retry_id } = &exchange.state {
            return Ok(Some(Work::key(query, hash, exchange.peer, params, *retry_id, &self.options)));
        }
        self.fail(name, now.mono);
        Err(RefusalReason::UnknownExchange)
    }

    /// Stores the answer to `req_DH_params`.
    fn finish_params(
        &mut self,
        now: MonoTime,
        name: Name,
        query: QueryHash,
        peer: PeerId,
        (answer, params): (Vec<u8>, Arc<DhParamsSent>),
    ) -> Result<(), RefusalReason> {
        let state = State::DhParamsSent { params, retry_id: 0 };
        match self.table.get_mut(&name) {
            // A repeated query was answered while this work ran.
            Some(exchange) if exchange.answer_to(query).is_some() => {}
            Some(exchange) if matches!(exchange.state, State::ResPqSent(_)) => {
                exchange.advance(query, answer, state);
            }
            None if self.first_step.is_some() && !self.failed.contains(&name) => {
                let exchange = Exchange::new(state, peer, now, query, answer);
                self.table.insert(name, exchange, self.room());
            }
            // Another query under the same name was answered, or failed, meanwhile.
            Some(_) | None => {
                self.fail(name, now);
                return Err(RefusalReason::UnknownExchange);
            }
        }
        Ok(())
    }

    /// Checks that the exchange still waits for this key.
    fn finish_key(&mut self, name: &Name, query: QueryHash, started_with: i64) -> Result<(), RefusalReason> {
        let exchange = self.table.get_mut(name).ok_or(RefusalReason::UnknownExchange)?;
        match &exchange.state {
            _ if exchange.answer_to(query).is_some() => Ok(()),
            // After `dh_gen_retry` the key of an earlier attempt must not be accepted.
            State::DhParamsSent { retry_id, .. } if *retry_id == started_with => Ok(()),
            _ => Err(RefusalReason::UnknownExchange),
        }
    }

    /// Removes an exchange after a failed check: every later query with its name fails (SEC-57).
    fn fail(&mut self, name: Name, now: MonoTime) {
        self.table.forget(&name);
        if self.first_step.is_some() {
            self.failed.insert(name, now, self.options.max_exchanges);
        }
    }

    fn room(&self) -> Room {
        Room { all: self.options.max_exchanges, of_peer: self.options.max_exchanges_per_peer }
    }
}

fn charge(meter: &mut Meter, options: &ServerOptions, now: Now, peer: PeerId) -> Result<(), RefusalReason> {
    match &options.rate {
        Some(limit) if !meter.charge(limit, now.mono, peer) => Err(RefusalReason::TooOften),
        _ => Ok(()),
    }
}

/// Serialises `resPQ`, with the fingerprints of all keys.
fn res_pq(name: &Name, factors: Factors, options: &ServerOptions) -> Result<Vec<u8>, RefusalReason> {
    let own = options.keys.iter().map(|key| key.public_key().fingerprint().to_raw());
    let answer = enums::ResPq::ResPq(types::ResPq {
        nonce: name.nonce,
        server_nonce: name.server_nonce,
        pq: factors.pq_bytes(),
        server_public_key_fingerprints: own.collect(),
    });
    answer.try_to_bytes().map_err(|_| RefusalReason::Internal)
}

impl fmt::Debug for ServerHandshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandshakes").field("len", &self.len()).finish_non_exhaustive()
    }
}
