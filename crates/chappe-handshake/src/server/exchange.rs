//! One exchange in the table: its state, and the answers it gave.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::dh::Exponent;
use chappe_crypto::hash;
use chappe_framing::MonoTime;
use chappe_tl_mtproto::types;

use super::PeerId;
use super::primes::Factors;
use crate::nonces::Nonces;

/// The name of an exchange: the two nonces that every query after the first repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) nonce: [u8; 16],
    pub(super) server_nonce: [u8; 16],
}

pub(super) struct Exchange {
    pub(super) state: State,
    pub(super) started_at: MonoTime,
    /// Who started it.
    pub(super) peer: PeerId,
    /// Answered queries, by hash, with the object of the answer (SEC-58).
    answers: Vec<(QueryHash, Vec<u8>)>,
}

pub(super) enum State {
    /// `resPQ` was sent; `req_DH_params` is awaited.
    ResPqSent(Factors),
    /// `server_DH_params_ok` was sent; `set_client_DH_params` is awaited.
    DhParamsSent {
        params: Arc<DhParamsSent>,
        /// The expected `retry_id`: 0, or the auxiliary hash of the rejected key (SEC-53).
        retry_id: i64,
    },
    /// The last answer was sent. Only repeats are answered.
    Over,
}

pub(super) struct DhParamsSent {
    pub(super) nonces: Nonces,
    pub(super) exponent: Exponent,
    pub(super) asked: Asked,
}

/// The request of the client in its encrypted inner data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) dc: Option<i32>,
    pub(super) expires_in: Option<u32>,
}

/// SHA-256 of the bytes of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueryHash([u8; 32]);

impl QueryHash {
    /// Hashes the object of a query, without the tail that may follow it.
    pub(super) fn of(object: &[u8]) -> Self {
        Self(hash::sha256(&[object]))
    }
}

impl Exchange {
    /// Starts an exchange with an answer and the state after it.
    pub(super) fn new(state: State, peer: PeerId, now: MonoTime, query: QueryHash, answer: Vec<u8>) -> Self {
        let mut answers = Vec::with_capacity(3);
        answers.push((query, answer));
        Self { state, started_at: now, peer, answers }
    }

    /// Returns the answer to a query that was answered before.
    pub(super) fn answer_to(&self, query: QueryHash) -> Option<&[u8]> {
        self.answers.iter().find(|(hash, _)| *hash == query).map(|(_, answer)| answer.as_slice())
    }

    /// Stores an answer and the state after it.
    pub(super) fn advance(&mut self, query: QueryHash, answer: Vec<u8>, state: State) {
        self.answers.push((query, answer));
        self.state = state;
    }
}

impl Name {
    pub(super) const fn of_params(query: &chappe_tl_mtproto::functions::ReqDhParams) -> Self {
        Self { nonce: query.nonce, server_nonce: query.server_nonce }
    }

    pub(super) const fn of_client_params(query: &chappe_tl_mtproto::functions::SetClientDhParams) -> Self {
        Self { nonce: query.nonce, server_nonce: query.server_nonce }
    }

    pub(super) fn is_of(&self, inner: &types::ClientDhInnerData) -> bool {
        self.nonce == inner.nonce && self.server_nonce == inner.server_nonce
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::ResPqSent(_) => "resPQ sent",
            State::DhParamsSent { .. } => "server_DH_params sent",
            State::Over => "over",
        };
        f.debug_struct("Exchange").field("state", &state).finish_non_exhaustive()
    }
}
