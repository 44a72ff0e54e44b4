//! A key that both sides can compute, before the server accepts it.

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

/// A key that both sides can compute, before the server accepts it.
///
/// The caller [accepts](Self::accept) it, asks for [another](Self::retry) because its id is taken (SEC-56), or
/// [refuses](Self::fail) all keys. If the candidate is dropped, the exchange keeps its state, and the client's next repeat
/// of its query returns the candidate again.
#[must_use = "the client waits for `accept`, `retry` or `fail`"]
pub struct KeyCandidate<'t> {
    pub(super) exchange: &'t mut Exchange,
    pub(super) answering: Answering<'t>,
    pub(super) query: QueryHash,
    pub(super) key: AgreedKey,
}

/// The result of the agreement.
pub(super) struct AgreedKey {
    pub(super) auth_key: AuthKey,
    pub(super) nonces: Nonces,
    pub(super) asked: Asked,
}

/// An accepted key.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// The key.
    pub auth_key: AuthKey,
    /// The first salt, which both sides compute (SEC-41).
    pub first_salt: ServerSalt,
    /// When the key was accepted.
    pub created_at: UnixTime,
    /// When a temporary key expires and must be deleted (SEC-127). `None` if the key is permanent.
    pub expires_at: Option<UnixTime>,
    /// The number of the datacenter that the client asked for. `None` for an old client, which names none.
    pub dc: Option<i32>,
}

impl KeyCandidate<'_> {
    /// Returns the key, so that the caller can look up its id.
    pub const fn auth_key(&self) -> &AuthKey {
        &self.key.auth_key
    }

    /// Accepts the key. Writes `dh_gen_ok` into the buffer given to `handle_frame`.
    pub fn accept(mut self) -> CreatedKey {
        self.answer(HashNumber::Ok, State::Over);
        let AgreedKey { auth_key, nonces, asked } = self.key;
        let created_at = self.answering.now.unix;
        let expiry = |seconds: u32| created_at.saturating_add(Duration::from_secs(u64::from(seconds)));
        CreatedKey {
            auth_key,
            first_salt: nonces.first_salt(),
            created_at,
            expires_at: asked.expires_in.map(expiry),
            dc: asked.dc,
        }
    }

    /// Asks for another key. Writes `dh_gen_retry` into the buffer given to `handle_frame`.
    pub fn retry(mut self) {
        // The nonces and the exponent of the server stay; the client chooses a new exponent.
        let mut state = core::mem::replace(&mut self.exchange.state, State::Over);
        if let State::DhParamsSent { retry_id: expected, .. } = &mut state {
            *expected = retry_id(&self.key.auth_key);
        }
        self.answer(HashNumber::Retry, state);
    }

    /// Refuses all keys. Writes `dh_gen_fail` into the buffer given to `handle_frame`.
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

impl fmt::Debug for KeyCandidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCandidate").field("auth_key", &self.key.auth_key).finish_non_exhaustive()
    }
}
