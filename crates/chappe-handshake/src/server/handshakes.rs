//! The table of exchanges as a machine over frames.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::{AuthKey, Side, dh};
use chappe_framing::{FrameBuf, MonoTime, MsgIdGenerator, MsgOrigin, Now, PlainMessage, plain};
use chappe_tl::{Identifiable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};
use rand_core::CryptoRng;

use super::candidate::AgreedKey;
use super::exchange::{DhParamsSent, Exchange, Name, QueryHash, State};
use super::inner_data::{self, CheckedInnerData};
use super::primes::Factors;
use super::rate_limit::Meter;
use super::table::Table;
use super::{Candidate, ConfigError, Peer, QueryRefusal, RefusalReason, ServerOptions};
use crate::inner;
use crate::nonces::Nonces;

/// The exchanges of a server.
///
/// * Getters: [`len`](Self::len), [`options`](Self::options).
/// * Input: [`handle_frame`](Self::handle_frame), which writes the answer into the caller's buffer;
///   [`handle_timeout`](Self::handle_timeout).
/// * Output: [`poll_timeout`](Self::poll_timeout).
pub struct ServerHandshakes {
    options: ServerOptions,
    table: Table,
    meter: Meter,
    msg_ids: MsgIdGenerator,
}

/// The result of a frame.
#[derive(Debug)]
#[must_use]
pub enum Reply<'t> {
    /// The buffer holds the frame to send.
    Answer,
    /// The exchange reached its last step: decide, then send the content of the buffer.
    Key(Candidate<'t>),
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
        plain::write_bytes(self.out, msg_id, object).expect("answers are a few hundred bytes long");
    }
}

impl ServerHandshakes {
    /// Starts with an empty table.
    ///
    /// # Errors
    ///
    /// Fails if the options cannot work.
    pub fn new(options: ServerOptions) -> Result<Self, ConfigError> {
        if options.keys.is_empty() {
            return Err(ConfigError::NoKeys);
        }
        if options.max_exchanges == 0 {
            return Err(ConfigError::NoRoom);
        }
        let (table, meter) = (Table::default(), Meter::default());
        Ok(Self { options, table, meter, msg_ids: MsgIdGenerator::new() })
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
    pub const fn options(&self) -> &ServerOptions {
        &self.options
    }

    /// Handles a plain frame of `peer`. Writes the answer, if there is one, into `out`.
    pub fn handle_frame<'t>(
        &'t mut self,
        now: Now,
        peer: Peer,
        frame: &[u8],
        out: &'t mut FrameBuf,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Reply<'t> {
        self.handle_timeout(now);
        let message = match PlainMessage::new_checked(frame, Side::Client) {
            Ok(message) => message,
            Err(error) => return Reply::Refuse(RefusalReason::Frame(error).into()),
        };
        let reply = match message.constructor_id() {
            functions::SetClientDhParams::CONSTRUCTOR_ID => {
                return self.on_set_client_dh_params(now, &message, out);
            }
            functions::ReqDhParams::CONSTRUCTOR_ID => self.on_req_dh_params(now, peer, &message, out, rng),
            _ => self.on_req_pq(now, peer, &message, out, rng),
        };
        match reply {
            Ok(()) => Reply::Answer,
            Err(reason) => Reply::Refuse(reason.into()),
        }
    }

    /// Removes exchanges that are older than the lifetime in the options.
    pub fn handle_timeout(&mut self, now: Now) {
        self.table.expire(now.mono, self.options.lifetime);
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) must be called.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.table.next_expiry(self.options.lifetime)
    }

    /// `req_pq_multi` or `req_pq`: starts an exchange, or repeats its first answer.
    fn on_req_pq(
        &mut self,
        now: Now,
        peer: Peer,
        message: &PlainMessage<'_>,
        out: &mut FrameBuf,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), RefusalReason> {
        let nonce = match message.constructor_id() {
            functions::ReqPq::CONSTRUCTOR_ID => message.object().map(|query: functions::ReqPq| query.nonce),
            _ => message.object().map(|query: functions::ReqPqMulti| query.nonce),
        };
        let nonce = nonce.map_err(RefusalReason::Frame)?;
        let query = QueryHash::of(&nonce);
        let mut answering = Answering { msg_ids: &mut self.msg_ids, out, now };
        if let Some(answer) = self.table.started_by(&nonce).and_then(|exchange| exchange.answer_to(query)) {
            answering.write(answer);
            return Ok(());
        }
        charge(&mut self.meter, &self.options, now, peer)?;
        let mut server_nonce = [0; 16];
        rng.fill_bytes(&mut server_nonce);
        let factors = Factors::random(rng);
        let answer = res_pq(nonce, server_nonce, factors, &self.options)?;
        answering.write(&answer);
        let exchange = Exchange::new(factors, now.mono, query, answer);
        self.table.insert(Name { nonce, server_nonce }, exchange, self.options.max_exchanges);
        Ok(())
    }

    /// `req_DH_params`: decrypts, checks, and answers with the server's public value.
    fn on_req_dh_params(
        &mut self,
        now: Now,
        peer: Peer,
        message: &PlainMessage<'_>,
        out: &mut FrameBuf,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), RefusalReason> {
        let (query, bytes) = message.object_and_bytes().map_err(RefusalReason::Frame)?;
        let (name, hash) = (Name::of_params(&query), QueryHash::of(bytes));
        let exchange = self.table.get_mut(&name).ok_or(RefusalReason::UnknownExchange)?;
        let mut answering = Answering { msg_ids: &mut self.msg_ids, out, now };
        if let Some(answer) = exchange.answer_to(hash) {
            answering.write(answer);
            return Ok(());
        }
        charge(&mut self.meter, &self.options, now, peer)?;
        match server_dh_params(&query, &exchange.state, &self.options, now, rng) {
            Ok((answer, state)) => {
                answering.write(&answer);
                exchange.advance(hash, answer, State::DhParamsSent(Box::new(state)));
                Ok(())
            }
            Err(reason) => {
                self.table.forget(&name);
                Err(reason)
            }
        }
    }

    /// `set_client_DH_params`: computes the key. The caller decides whether to accept it.
    fn on_set_client_dh_params<'t>(
        &'t mut self,
        now: Now,
        message: &PlainMessage<'_>,
        out: &'t mut FrameBuf,
    ) -> Reply<'t> {
        let (query, bytes) = match message.object_and_bytes::<functions::SetClientDhParams>() {
            Ok(query) => query,
            Err(error) => return Reply::Refuse(RefusalReason::Frame(error).into()),
        };
        let (name, hash) = (Name::of_client_params(&query), QueryHash::of(bytes));
        let agreed = match self.table.get_mut(&name) {
            None => Err(RefusalReason::UnknownExchange),
            Some(exchange) if exchange.answer_to(hash).is_some() => Ok(None),
            Some(exchange) => agreed_key(&query, &exchange.state, &self.options.group).map(Some),
        };
        if agreed.is_err() {
            self.table.forget(&name);
        }
        let mut answering = Answering { msg_ids: &mut self.msg_ids, out, now };
        let exchange = self.table.get_mut(&name).ok_or(RefusalReason::UnknownExchange);
        match (agreed, exchange) {
            (Err(reason), _) | (_, Err(reason)) => Reply::Refuse(reason.into()),
            (Ok(None), Ok(exchange)) => {
                answering.write(exchange.answer_to(hash).expect("this query was answered before"));
                Reply::Answer
            }
            (Ok(Some(key)), Ok(exchange)) => {
                let candidate = Candidate { exchange, answering, query: hash, key };
                // Key id zero marks plain messages on the wire, so no key may have it (SEC-56).
                if candidate.auth_key().id().is_zero() {
                    candidate.retry();
                    return Reply::Answer;
                }
                Reply::Key(candidate)
            }
        }
    }
}

fn charge(meter: &mut Meter, options: &ServerOptions, now: Now, peer: Peer) -> Result<(), RefusalReason> {
    match &options.rate {
        Some(limit) if !meter.charge(limit, now.mono, peer) => Err(RefusalReason::TooOften),
        _ => Ok(()),
    }
}

/// Serialises `resPQ`, with the fingerprints of all keys.
fn res_pq(
    nonce: [u8; 16],
    server_nonce: [u8; 16],
    factors: Factors,
    options: &ServerOptions,
) -> Result<Vec<u8>, RefusalReason> {
    let own = options.keys.iter().map(|key| key.public_key().fingerprint().to_raw());
    let fingerprints = own.collect();
    let answer = enums::ResPq::ResPq(types::ResPq {
        nonce,
        server_nonce,
        pq: factors.pq_bytes(),
        server_public_key_fingerprints: fingerprints,
    });
    answer.try_to_bytes().map_err(|_| RefusalReason::Internal)
}

/// Checks `req_DH_params`, chooses the server's exponent and serialises `server_DH_params_ok`.
fn server_dh_params(
    query: &functions::ReqDhParams,
    state: &State,
    options: &ServerOptions,
    now: Now,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(Vec<u8>, DhParamsSent), RefusalReason> {
    let State::ResPqSent(factors) = *state else {
        return Err(RefusalReason::UnknownExchange);
    };
    if !factors.are(&query.p, &query.q) {
        return Err(RefusalReason::WrongFactors);
    }
    let CheckedInnerData { new_nonce, asked } = inner_data::decrypt(query, factors, options, rng)?;
    let functions::ReqDhParams { nonce, server_nonce, .. } = *query;
    let nonces = Nonces { nonce, server_nonce, new_nonce };
    // Draws again until the public value passes the client's checks (SEC-55).
    let (exponent, g_a) = options.group.key_pair(rng).map_err(|_| RefusalReason::Internal)?;
    let inner = enums::ServerDhInnerData::ServerDhInnerData(types::ServerDhInnerData {
        nonce,
        server_nonce,
        g: options.group.generator(),
        dh_prime: options.group.prime().to_vec(),
        g_a: g_a.as_bytes().to_vec(),
        server_time: now.unix.to_tl_int(),
    });
    let encrypted_answer =
        inner::seal(&inner, &nonces.tmp_aes(), rng).map_err(|_| RefusalReason::Internal)?;
    let answer = enums::ServerDhParams::Ok(types::ServerDhParamsOk { nonce, server_nonce, encrypted_answer });
    let answer = answer.try_to_bytes().map_err(|_| RefusalReason::Internal)?;
    Ok((answer, DhParamsSent { nonces, exponent, asked, retry_id: 0 }))
}

/// Checks `set_client_DH_params` and computes the key.
fn agreed_key(
    query: &functions::SetClientDhParams,
    state: &State,
    group: &dh::Group,
) -> Result<AgreedKey, RefusalReason> {
    let State::DhParamsSent(params) = state else {
        return Err(RefusalReason::UnknownExchange);
    };
    let DhParamsSent { nonces, exponent, asked, retry_id } = &**params;
    let inner =
        inner::open(&query.encrypted_data, &nonces.tmp_aes()).map_err(|_| RefusalReason::BadClientData)?;
    let enums::ClientDhInnerData::ClientDhInnerData(inner) = inner;
    if !Name::of_client_params(query).is_of(&inner) {
        return Err(RefusalReason::InnerMismatch);
    }
    if inner.retry_id != *retry_id {
        return Err(RefusalReason::WrongRetryId);
    }
    let g_b = group.check_public(&inner.g_b).map_err(|_| RefusalReason::BadPublicValue)?;
    let auth_key = AuthKey::from_bytes(*group.shared_secret(exponent, &g_b));
    Ok(AgreedKey { auth_key, nonces: nonces.clone(), asked: *asked })
}

impl fmt::Debug for ServerHandshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandshakes").field("len", &self.len()).finish_non_exhaustive()
    }
}
