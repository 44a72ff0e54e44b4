//! A key that both sides can compute, and what the server says to it.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use chappe_crypto::AuthKey;
use chappe_crypto::nonce::HashNumber;
use chappe_framing::{ServerSalt, UnixTime};
use chappe_tl::{EncodeError, Serializable};
use chappe_tl_mtproto::{enums, types};

use super::exchange::{Asked, Exchange, QueryHash, State};
use super::handshakes::Answering;
use crate::nonces::{Nonces, retry_id};

/// A key that both sides can compute now.
///
/// The server decides: [`accept`](Self::accept) it, ask for another with [`retry`](Self::retry)
/// because its id is taken (SEC-56), or [`fail`](Self::fail). Dropped undecided, the exchange stays
/// as it was and the client's next repeat of its query gives the candidate again.
#[must_use = "the client waits for `accept`, `retry` or `fail`"]
pub struct Candidate<'t> {
    pub(super) exchange: &'t mut Exchange,
    pub(super) answering: Answering<'t>,
    pub(super) query: QueryHash,
    pub(super) key: AgreedKey,
}

/// What both sides agreed on.
pub(super) struct AgreedKey {
    pub(super) auth_key: AuthKey,
    pub(super) nonces: Nonces,
    pub(super) asked: Asked,
}

/// A key that was accepted.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// The key.
    pub auth_key: AuthKey,
    /// The salt that is valid first, on both sides at once (SEC-41).
    pub first_salt: ServerSalt,
    /// When the key was accepted.
    pub created_at: UnixTime,
    /// When a temporary key must be forgotten (SEC-127); `None` if the key is permanent.
    pub expires_at: Option<UnixTime>,
    /// The datacenter the client asked for, as it wrote it; `None` if it is an old client.
    pub dc: Option<i32>,
}

impl Candidate<'_> {
    /// Returns the key, for its id to be looked up among those in use.
    pub const fn auth_key(&self) -> &AuthKey {
        &self.key.auth_key
    }

    /// Takes the key: `dh_gen_ok` is written into the buffer given to `handle_frame`.
    pub fn accept(mut self) -> CreatedKey {
        self.answer(HashNumber::Ok, State::Over);
        let AgreedKey { auth_key, nonces, asked } = self.key;
        let created_at = self.answering.now;
        let expiry = |seconds: u32| created_at.saturating_add(Duration::from_secs(u64::from(seconds)));
        CreatedKey {
            auth_key,
            first_salt: nonces.first_salt(),
            created_at,
            expires_at: asked.expires_in.map(expiry),
            dc: asked.dc,
        }
    }

    /// Asks for another key: `dh_gen_retry` is written into the buffer given to `handle_frame`.
    pub fn retry(mut self) {
        // The exponent and the nonces stay; only the client chooses anew.
        let mut state = core::mem::replace(&mut self.exchange.state, State::Over);
        if let State::DhParamsSent(params) = &mut state {
            params.retry_id = retry_id(&self.key.auth_key);
            params.retries = params.retries.saturating_add(1);
        }
        self.answer(HashNumber::Retry, state);
    }

    /// Gives up: `dh_gen_fail` is written into the buffer given to `handle_frame`.
    pub fn fail(mut self) {
        self.answer(HashNumber::Fail, State::Over);
    }

    fn answer(&mut self, number: HashNumber, next: State) {
        let answer = dh_gen(number, &self.key).expect("an answer of three fixed fields can be encoded");
        self.answering.write(&answer);
        self.exchange.advance(self.query, answer, next);
    }
}

/// Serialises one of the three last answers.
fn dh_gen(number: HashNumber, key: &AgreedKey) -> Result<Vec<u8>, EncodeError> {
    use enums::SetClientDhParamsAnswer as Answer;
    let Nonces { nonce, server_nonce, .. } = key.nonces;
    let hash = key.nonces.answer_hash(number, &key.auth_key);
    let answer = match number {
        HashNumber::Ok => Answer::DhGenOk(types::DhGenOk { nonce, server_nonce, new_nonce_hash1: hash }),
        HashNumber::Retry => {
            Answer::DhGenRetry(types::DhGenRetry { nonce, server_nonce, new_nonce_hash2: hash })
        }
        HashNumber::Fail => {
            Answer::DhGenFail(types::DhGenFail { nonce, server_nonce, new_nonce_hash3: hash })
        }
    };
    answer.try_to_bytes()
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("auth_key", &self.key.auth_key).finish_non_exhaustive()
    }
}
