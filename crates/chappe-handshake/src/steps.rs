//! The exchange as four function calls.
//!
//! The short forms use the operating system's randomness and clock, the published production keys and datacenter 2. The
//! `*_with` forms take these as arguments. Both are shorter names for the typed states of this crate.

use chappe_crypto::dh::PrimeCache;
use chappe_framing::UnixTime;
use chappe_tl_mtproto::{enums, functions};
use rand_core::CryptoRng;

use crate::{
    ClientOptions, ExpectDhGen, ExpectResPq, ExpectServerDhParams, Finished, HandshakeError, Outcome,
};

/// State between [`step1`] and [`step2`].
pub type Step1 = ExpectResPq;
/// State between [`step2`] and [`step3`].
pub type Step2 = ExpectServerDhParams;
/// State between [`step3`] and [`finish`].
pub type Step3 = ExpectDhGen;

/// Builds `req_pq_multi`, with the caller's randomness.
pub fn step1_with(rng: &mut (impl CryptoRng + ?Sized)) -> (functions::ReqPqMulti, Step1) {
    ExpectResPq::begin(rng)
}

/// Checks `resPQ` and builds `req_DH_params`, with the caller's options and randomness.
///
/// # Errors
///
/// Those of [`ExpectResPq::handle`].
pub fn step2_with(
    state: Step1,
    response: enums::ResPq,
    options: &ClientOptions,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(functions::ReqDhParams, Step2), HandshakeError> {
    state.handle(response, options, rng)
}

/// Checks `server_DH_params_ok` and builds `set_client_DH_params`, with the caller's clock, prime
/// cache and randomness.
///
/// # Errors
///
/// Those of [`ExpectServerDhParams::handle`].
pub fn step3_with(
    state: Step2,
    response: enums::ServerDhParams,
    now: UnixTime,
    primes: &mut PrimeCache,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(functions::SetClientDhParams, Step3), HandshakeError> {
    state.handle(response, now, primes, rng)
}

/// Checks the last answer, with the caller's randomness.
///
/// # Errors
///
/// Those of [`ExpectDhGen::handle`], and [`HandshakeError::DhGenRetry`] with the next request and state if
/// the server asks for another attempt.
pub fn finish_with(
    state: Step3,
    response: enums::SetClientDhParamsAnswer,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Finished, HandshakeError> {
    match state.handle(response, rng)? {
        Outcome::Done(finished) => Ok(finished),
        Outcome::Retry(retry) => Err(HandshakeError::DhGenRetry(retry)),
    }
}

#[cfg(all(feature = "std", feature = "getrandom"))]
pub use with_system::{finish, step1, step2, step3};

#[cfg(all(feature = "std", feature = "getrandom"))]
mod with_system {
    use chappe_crypto::rng::Drbg;

    use super::{
        ClientOptions, Finished, HandshakeError, PrimeCache, Step1, Step2, Step3, UnixTime, enums,
        finish_with, functions, step1_with, step2_with, step3_with,
    };

    /// Builds `req_pq_multi`.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::NoRandomness`] if the operating system has no randomness (SEC-01).
    pub fn step1() -> Result<(functions::ReqPqMulti, Step1), HandshakeError> {
        Ok(step1_with(&mut system_rng()?))
    }

    /// Checks `resPQ`, factors `pq`, picks a published key and builds `req_DH_params`.
    ///
    /// Asks for a permanent key of datacenter 2; for another datacenter, a temporary key or other
    /// public keys use [`step2_with`].
    ///
    /// # Errors
    ///
    /// Those of [`ExpectResPq::handle`](crate::ExpectResPq::handle).
    pub fn step2(
        state: Step1,
        response: enums::ResPq,
    ) -> Result<(functions::ReqDhParams, Step2), HandshakeError> {
        step2_with(state, response, &ClientOptions::production(2), &mut system_rng()?)
    }

    /// Checks `server_DH_params_ok` and builds `set_client_DH_params`.
    ///
    /// # Errors
    ///
    /// Those of [`ExpectServerDhParams::handle`](crate::ExpectServerDhParams::handle).
    pub fn step3(
        state: Step2,
        response: enums::ServerDhParams,
    ) -> Result<(functions::SetClientDhParams, Step3), HandshakeError> {
        let mut primes = PrimeCache::default();
        step3_with(state, response, UnixTime::now(), &mut primes, &mut system_rng()?)
    }

    /// Checks the last answer and returns the key.
    ///
    /// # Errors
    ///
    /// Those of [`ExpectDhGen::handle`](crate::ExpectDhGen::handle). [`HandshakeError::DhGenRetry`] carries the next request and
    /// state: send the request and call this function again with the state.
    pub fn finish(
        state: Step3,
        response: enums::SetClientDhParamsAnswer,
    ) -> Result<Finished, HandshakeError> {
        finish_with(state, response, &mut system_rng()?)
    }

    fn system_rng() -> Result<Drbg, HandshakeError> {
        Drbg::from_os().map_err(|_| HandshakeError::NoRandomness)
    }
}
