//! What lets a client that knows only Telegram's keys finish an exchange with another server.
//!
//! Such a client encrypts `p_q_inner_data` for a key whose private half only this program has. Its `new_nonce` is read out
//! of its state, and the same data goes to our server under our server's key.

#![allow(unsafe_code, reason = "the state of the others has no other way in")]

use anyhow::{Context, Result};
use chappe_crypto::{rand_core::Rng, rng::Drbg, rsa::PublicKey};
use chappe_tl::{Deserializable, Serializable};
use chappe_tl_mtproto::{enums, functions, types};
use num_bigint::BigUint;

/// Finds `new_nonce` in a state that consists of the three nonces.
///
/// # Safety
///
/// `S` consists of byte arrays alone, and thus has neither padding nor anything that is not initialised.
pub unsafe fn new_nonce<S>(state: &S, nonce: &[u8; 16], server_nonce: &[u8; 16]) -> Result<[u8; 32]> {
    const { assert!(size_of::<S>() == 64 && align_of::<S>() == 1) };
    // SAFETY: the reference is to 64 bytes, all of them initialised as the caller says; bytes need no alignment.
    let bytes: [u8; 64] = unsafe { std::ptr::from_ref(state).cast::<[u8; 64]>().read() };
    // The order of the fields is up to the compiler.
    let is_rest =
        |rest: &[u8]| rest == [*nonce, *server_nonce].concat() || rest == [*server_nonce, *nonce].concat();
    let at = [0, 16, 32].into_iter().find(|at| is_rest(&[&bytes[..*at], &bytes[at + 32..]].concat()));
    let at = at.context("the state is not made of the three nonces")?;
    Ok(bytes[at..at + 32].try_into()?)
}

/// Addresses `req_DH_params` to another key: encrypts what it contains once more, with `encrypt`.
///
/// `dc` is `None` for a client that does not name its datacenter.
pub fn readdress(
    request: &functions::ReqDhParams,
    new_nonce: [u8; 32],
    dc: Option<i32>,
    key: &PublicKey,
    encrypt: impl FnOnce(&[u8], &[u8; 224]) -> Vec<u8>,
) -> Result<Vec<u8>> {
    let functions::ReqDhParams { p, q, nonce, server_nonce, .. } = request.clone();
    let pq = number(&p) * number(&q);
    let pq = pq.to_be_bytes().to_vec();
    let inner = match dc {
        None => {
            enums::PQInnerData::PQInnerData(types::PQInnerData { pq, p, q, nonce, server_nonce, new_nonce })
        }
        Some(dc) => {
            enums::PQInnerData::Dc(types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, dc })
        }
    };
    let mut random = [0; 224];
    Drbg::from_os()?.fill_bytes(&mut random);
    let request = functions::ReqDhParams {
        public_key_fingerprint: key.fingerprint().to_raw(),
        encrypted_data: encrypt(&inner.try_to_bytes()?, &random),
        ..request.clone()
    };
    Ok(request.try_to_bytes()?)
}

/// Reads a request of another library.
pub fn read(request: &[u8]) -> Result<functions::ReqDhParams> {
    Ok(functions::ReqDhParams::from_bytes(request)?)
}

/// The modulus as the others want it, in decimal digits.
pub fn decimal(key: &PublicKey) -> String {
    BigUint::from_bytes_be(key.modulus()).to_string()
}

fn number(factor: &[u8]) -> u64 {
    factor.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
