//! Second step: `req_DH_params`, answered by `server_DH_params`.

use core::fmt;

use chappe_crypto::ct;
use chappe_crypto::dh::{Group, PrimeCache, PublicValue};
use chappe_framing::UnixTime;
use chappe_tl_mtproto::{enums, functions, types};
use rand_core::CryptoRng;

use super::dh_gen::{DhParams, ExpectDhGen};
use crate::inner::{self, InnerError};
use crate::nonces::{Nonces, NoncesEqual};
use crate::{HandshakeError, InvalidAnswer};

/// Waiting for `server_DH_params_ok`, the answer to `req_DH_params`.
#[must_use = "the exchange ends here unless the answer is handled"]
pub struct ExpectServerDhParams {
    nonces: Nonces,
    expires_in: Option<i32>,
}

impl ExpectServerDhParams {
    pub(super) const fn new(nonces: Nonces, expires_in: Option<i32>) -> Self {
        Self { nonces, expires_in }
    }

    /// Decrypts and checks the answer, chooses an exponent and builds `set_client_DH_params`.
    ///
    /// `now` is the local time at which the answer arrived. `primes` keeps the primes that were found safe, because a test
    /// takes tens of milliseconds.
    ///
    /// # Errors
    ///
    /// * [`InvalidAnswer::Nonce`], [`InvalidAnswer::ServerNonce`] if a nonce is not the client's, outside or
    ///   inside the encryption (SEC-15, SEC-16, SEC-29).
    /// * [`InvalidAnswer::NotPadded`], [`InvalidAnswer::DhInnerData`] if the encrypted part
    ///   is malformed (SEC-26 to SEC-28).
    /// * [`InvalidAnswer::DhParams`] if the parameters are not safe (SEC-30 to SEC-34).
    /// * [`HandshakeError::DhParamsFail`] if the server refused, [`InvalidAnswer::NewNonceHash`] if the
    ///   refusal is not the server's (SEC-39).
    pub fn handle(
        self,
        answer: enums::ServerDhParams,
        now: UnixTime,
        primes: &mut PrimeCache,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(functions::SetClientDhParams, ExpectDhGen), HandshakeError> {
        let answer = match answer {
            enums::ServerDhParams::Ok(answer) => answer,
            enums::ServerDhParams::Fail(answer) => return Err(self.refused(&answer)),
        };
        let proof = self.nonces.check(&answer.nonce, &answer.server_nonce)?;
        let inner = self.decrypt(&answer.encrypted_answer, &proof)?;
        // The outer nonces are in the clear, and an attacker can set them. Only these are the server's words.
        let proof = self.nonces.check(&inner.nonce, &inner.server_nonce)?;
        let (group, g_a) = check_group(&inner, primes, rng, &proof)?;
        let server_time = UnixTime::from_tl_int(inner.server_time);
        let params =
            DhParams { nonces: self.nonces, group, g_a, server_time, now, expires_in: self.expires_in };
        ExpectDhGen::first_attempt(params, rng)
    }

    /// Decrypts the inner object and checks its hash.
    fn decrypt(&self, encrypted: &[u8], _: &NoncesEqual) -> Result<types::ServerDhInnerData, HandshakeError> {
        let inner = inner::open(encrypted, &self.nonces.tmp_aes()).map_err(|error| match error {
            InnerError::Length => InvalidAnswer::NotPadded { len: encrypted.len() },
            InnerError::Content => InvalidAnswer::DhInnerData,
        })?;
        let enums::ServerDhInnerData::ServerDhInnerData(inner) = inner;
        Ok(inner)
    }

    /// Checks that a refusal is the server's (SEC-39); anyone on the path can send one without proof.
    fn refused(self, answer: &types::ServerDhParamsFail) -> HandshakeError {
        if let Err(error) = self.nonces.check(&answer.nonce, &answer.server_nonce) {
            return error;
        }
        // Only the server knows `new_nonce`, so only the server can compute its hash.
        if !ct::eq(&answer.new_nonce_hash, &self.nonces.fail_hash()) {
            return InvalidAnswer::NewNonceHash { got: answer.new_nonce_hash }.into();
        }
        HandshakeError::DhParamsFail
    }
}

/// Checks the server's prime, generator and public value.
fn check_group(
    inner: &types::ServerDhInnerData,
    primes: &mut PrimeCache,
    rng: &mut (impl CryptoRng + ?Sized),
    _: &NoncesEqual,
) -> Result<(Group, PublicValue), HandshakeError> {
    let group = Group::check(&inner.dh_prime, inner.g, primes, rng).map_err(InvalidAnswer::DhParams)?;
    // A value near 0 or the prime would make the shared key predictable.
    // <https://core.telegram.org/mtproto/security_guidelines#g-a-and-g-b-validation>
    let g_a = group.check_public(&inner.g_a).map_err(InvalidAnswer::DhParams)?;
    Ok((group, g_a))
}

impl fmt::Debug for ExpectServerDhParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectServerDhParams").finish_non_exhaustive()
    }
}
