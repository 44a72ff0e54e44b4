//! The expensive parts of an exchange: RSA and Diffie-Hellman, apart from the table.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::AuthKey;
use chappe_framing::Now;
use chappe_tl::Serializable;
use chappe_tl_mtproto::{enums, functions, types};
use rand_core::CryptoRng;

use super::exchange::{DhParamsSent, Name, QueryHash};
use super::inner_data::{self, CheckedInnerData};
use super::key_candidate::AgreedKey;
use super::primes::Factors;
use super::{PeerId, RefusalReason, ServerOptions};
use crate::inner;
use crate::nonces::Nonces;

/// The expensive part of a query: one RSA decryption and one exponentiation, or one exponentiation.
///
/// It needs nothing of the [`ServerHandshakes`](super::ServerHandshakes) that it came from, so any thread can run it.
pub struct Work {
    name: Name,
    query: QueryHash,
    peer: PeerId,
    options: Arc<ServerOptions>,
    task: Task,
}

/// The result of [`Work`], for [`ServerHandshakes::finish`](super::ServerHandshakes::finish).
pub struct WorkDone {
    pub(super) name: Name,
    pub(super) query: QueryHash,
    pub(super) peer: PeerId,
    pub(super) made: Result<Made, RefusalReason>,
}

enum Task {
    /// `req_DH_params`.
    Params { query: Box<functions::ReqDhParams>, factors: Factors, now: Now },
    /// `set_client_DH_params`.
    Key { query: Box<functions::SetClientDhParams>, params: Arc<DhParamsSent>, retry_id: i64 },
}

/// What work makes if all checks pass.
pub(super) enum Made {
    Params { answer: Vec<u8>, params: Arc<DhParamsSent> },
    Key { key: AgreedKey, retry_id: i64 },
}

impl Work {
    pub(super) fn params(
        query: functions::ReqDhParams,
        hash: QueryHash,
        factors: Factors,
        peer: PeerId,
        now: Now,
        options: &Arc<ServerOptions>,
    ) -> Self {
        let name = Name::of_params(&query);
        let task = Task::Params { query: Box::new(query), factors, now };
        Self { name, query: hash, peer, options: Arc::clone(options), task }
    }

    pub(super) fn key(
        query: functions::SetClientDhParams,
        hash: QueryHash,
        peer: PeerId,
        params: &Arc<DhParamsSent>,
        retry_id: i64,
        options: &Arc<ServerOptions>,
    ) -> Self {
        let name = Name::of_client_params(&query);
        let task = Task::Key { query: Box::new(query), params: Arc::clone(params), retry_id };
        Self { name, query: hash, peer, options: Arc::clone(options), task }
    }

    /// Returns the peer that it is done for.
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// Does it. Takes milliseconds.
    pub fn run(self, rng: &mut (impl CryptoRng + ?Sized)) -> WorkDone {
        let Self { name, query: hash, peer, options, task } = self;
        let made = match task {
            Task::Params { query, factors, now } => server_dh_params(&query, factors, &options, now, rng),
            Task::Key { query, params, retry_id } => {
                agreed_key(&query, &params, retry_id, &options).map(|key| Made::Key { key, retry_id })
            }
        };
        WorkDone { name, query: hash, peer, made }
    }
}

/// Checks `req_DH_params`, chooses the server's exponent and serialises `server_DH_params_ok`.
fn server_dh_params(
    query: &functions::ReqDhParams,
    factors: Factors,
    options: &ServerOptions,
    now: Now,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Made, RefusalReason> {
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
    Ok(Made::Params { answer, params: Arc::new(DhParamsSent { nonces, exponent, asked }) })
}

/// Checks `set_client_DH_params` and computes the key.
fn agreed_key(
    query: &functions::SetClientDhParams,
    params: &DhParamsSent,
    retry_id: i64,
    options: &ServerOptions,
) -> Result<AgreedKey, RefusalReason> {
    let DhParamsSent { nonces, exponent, asked } = params;
    let inner =
        inner::open(&query.encrypted_data, &nonces.tmp_aes()).map_err(|_| RefusalReason::BadClientData)?;
    let enums::ClientDhInnerData::ClientDhInnerData(inner) = inner;
    if !Name::of_client_params(query).is_of(&inner) {
        return Err(RefusalReason::InnerMismatch);
    }
    if inner.retry_id != retry_id {
        return Err(RefusalReason::WrongRetryId);
    }
    let group = &options.group;
    let g_b = group.check_public(&inner.g_b).map_err(|_| RefusalReason::BadPublicValue)?;
    let auth_key = AuthKey::from_bytes(*group.shared_secret(exponent, &g_b));
    Ok(AgreedKey { auth_key, nonces: nonces.clone(), asked: *asked })
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = match self.task {
            Task::Params { .. } => "req_DH_params",
            Task::Key { .. } => "set_client_DH_params",
        };
        f.debug_struct("Work").field("query", &query).finish_non_exhaustive()
    }
}

impl fmt::Debug for WorkDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkDone").field("is_ok", &self.made.is_ok()).finish_non_exhaustive()
    }
}
