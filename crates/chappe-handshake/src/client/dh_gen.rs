//! Third step: `set_client_DH_params`, answered by `dh_gen_*`.

use alloc::boxed::Box;
use core::fmt;

use chappe_crypto::dh::{Group, PublicValue};
use chappe_crypto::nonce::HashNumber;
use chappe_crypto::{AuthKey, ct};
use chappe_framing::UnixTime;
use chappe_tl_mtproto::{enums, functions, types};
use rand_core::CryptoRng;

use super::Finished;
use crate::inner;
use crate::nonces::{Nonces, NoncesEqual, retry_id};
use crate::{HandshakeError, InvalidAnswer};

/// Most further attempts that a server may ask for (SEC-38).
///
/// A server asks only if the id of the key is taken, which practically never happens. A limit ends a loop with a hostile
/// server.
pub const MAX_RETRIES: u8 = 5;

/// Waiting for `dh_gen_ok`, `dh_gen_retry` or `dh_gen_fail`, the answers to `set_client_DH_params`.
#[must_use = "the exchange ends here unless the answer is handled"]
pub struct ExpectDhGen {
    params: DhParams,
    auth_key: AuthKey,
    retries: u8,
}

/// Values that all attempts share.
pub(super) struct DhParams {
    pub(super) nonces: Nonces,
    pub(super) group: Group,
    pub(super) g_a: PublicValue,
    /// Time of the server's clock in its answer.
    pub(super) server_time: UnixTime,
    /// Time of the local clock when that answer arrived.
    pub(super) now: UnixTime,
    pub(super) expires_in: Option<i32>,
}

/// The effect of an authenticated answer.
#[derive(Debug)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "almost every value is the large variant")]
pub enum Outcome {
    /// The exchange created a key.
    Done(Finished),
    /// The server asks for another attempt.
    Retry(Box<Retry>),
}

/// A further attempt: send the request and pass the answer to the state.
#[must_use = "the exchange ends here unless the request is sent"]
pub struct Retry {
    /// `set_client_DH_params` with a new exponent.
    pub request: functions::SetClientDhParams,
    /// Waits for the answer to the request.
    pub state: ExpectDhGen,
}

impl ExpectDhGen {
    pub(super) fn first_attempt(
        params: DhParams,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(functions::SetClientDhParams, Self), HandshakeError> {
        Self::attempt(params, 0, 0, rng)
    }

    /// Chooses an exponent (SEC-02) and builds the request with its public value.
    fn attempt(
        params: DhParams,
        retry_id: i64,
        retries: u8,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(functions::SetClientDhParams, Self), HandshakeError> {
        let Nonces { nonce, server_nonce, .. } = params.nonces;
        let agreement = params.group.agree(rng, &params.g_a).map_err(|_| HandshakeError::NoRandomness)?;
        let g_b = agreement.public.as_bytes().to_vec();
        // `retry_id` is 0 at the first attempt, and afterwards names the key that the server refused.
        // <https://core.telegram.org/mtproto/auth_key#dh-key-exchange-complete>
        let inner = types::ClientDhInnerData { nonce, server_nonce, retry_id, g_b };
        let inner = enums::ClientDhInnerData::ClientDhInnerData(inner);
        let encrypted_data = inner::seal(&inner, &params.nonces.tmp_aes(), rng)?;
        let auth_key = AuthKey::from_bytes(*agreement.shared);
        let request = functions::SetClientDhParams { nonce, server_nonce, encrypted_data };
        Ok((request, Self { params, auth_key, retries }))
    }

    /// Checks the answer: the exchange is done or continues with a new exponent.
    ///
    /// # Errors
    ///
    /// * [`InvalidAnswer::Nonce`], [`InvalidAnswer::ServerNonce`], [`InvalidAnswer::NewNonceHash`] if the
    ///   answer is not the server's (SEC-37 to SEC-39).
    /// * [`HandshakeError::DhGenFail`] if the server refused every key.
    /// * [`InvalidAnswer::TooManyRetries`] if it asked for more than [`MAX_RETRIES`] further attempts.
    #[expect(clippy::needless_pass_by_value, reason = "an answer is handled once, as in every state")]
    pub fn handle(
        self,
        answer: enums::SetClientDhParamsAnswer,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Outcome, HandshakeError> {
        use enums::SetClientDhParamsAnswer as Answer;
        match answer {
            Answer::DhGenOk(types::DhGenOk { nonce, server_nonce, new_nonce_hash1 }) => {
                let proof = self.params.nonces.check(&nonce, &server_nonce)?;
                self.check_hash(HashNumber::Ok, new_nonce_hash1, &proof)?;
                Ok(Outcome::Done(self.into_finished()))
            }
            Answer::DhGenRetry(types::DhGenRetry { nonce, server_nonce, new_nonce_hash2 }) => {
                let proof = self.params.nonces.check(&nonce, &server_nonce)?;
                self.check_hash(HashNumber::Retry, new_nonce_hash2, &proof)?;
                self.retry(rng)
            }
            Answer::DhGenFail(types::DhGenFail { nonce, server_nonce, new_nonce_hash3 }) => {
                let proof = self.params.nonces.check(&nonce, &server_nonce)?;
                self.check_hash(HashNumber::Fail, new_nonce_hash3, &proof)?;
                Err(HandshakeError::DhGenFail)
            }
        }
    }

    /// Checks that the server knows the new nonce and the key of this attempt.
    fn check_hash(&self, number: HashNumber, got: [u8; 16], _: &NoncesEqual) -> Result<(), HandshakeError> {
        let expected = self.params.nonces.answer_hash(number, &self.auth_key);
        if ct::eq(&got, &expected) { Ok(()) } else { Err(InvalidAnswer::NewNonceHash { got }.into()) }
    }

    fn retry(self, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Outcome, HandshakeError> {
        let retries = self.retries + 1;
        if retries > MAX_RETRIES {
            return Err(InvalidAnswer::TooManyRetries.into());
        }
        let (request, state) = Self::attempt(self.params, retry_id(&self.auth_key), retries, rng)?;
        Ok(Outcome::Retry(Box::new(Retry { request, state })))
    }

    fn into_finished(self) -> Finished {
        let DhParams { nonces, server_time, now, expires_in, .. } = &self.params;
        Finished::new(&self.auth_key, nonces.first_salt(), *server_time, *now, *expires_in)
    }
}

impl fmt::Debug for ExpectDhGen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectDhGen").field("retries", &self.retries).finish_non_exhaustive()
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("state", &self.state).finish_non_exhaustive()
    }
}
