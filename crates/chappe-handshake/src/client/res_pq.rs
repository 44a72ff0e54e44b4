//! First step: `req_pq_multi`, answered by `resPQ`.

use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::factorize;
use chappe_crypto::rsa::PublicKey;
use chappe_tl::Serializable;
use chappe_tl_mtproto::{enums, functions, types};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{ClientOptions, ExpectServerDhParams};
use crate::nonces::{Nonces, NoncesEqual};
use crate::{HandshakeError, InvalidAnswer};

/// Waiting for `resPQ`, the answer to `req_pq_multi`.
#[must_use = "the exchange ends here unless the answer is handled"]
pub struct ExpectResPq {
    nonce: [u8; 16],
}

impl ExpectResPq {
    /// Begins an exchange: draws the nonce and builds `req_pq_multi`.
    pub fn begin(rng: &mut (impl CryptoRng + ?Sized)) -> (functions::ReqPqMulti, Self) {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        (functions::ReqPqMulti { nonce }, Self { nonce })
    }

    /// Checks `resPQ`, factors `pq` and builds `req_DH_params`.
    ///
    /// # Errors
    ///
    /// * [`InvalidAnswer::Nonce`] if the nonce is not the client's (SEC-14).
    /// * [`HandshakeError::UnknownFingerprints`] if no key is known (SEC-17).
    /// * [`InvalidAnswer::Pq`] if `pq` is not a product of two distinct primes (SEC-21).
    /// * [`ApiMisuse::InvalidExpiry`](crate::ApiMisuse::InvalidExpiry) if the options ask for an impossible lifetime.
    pub fn handle(
        self,
        answer: enums::ResPq,
        options: &ClientOptions,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(functions::ReqDhParams, ExpectServerDhParams), HandshakeError> {
        let enums::ResPq::ResPq(answer) = answer;
        // All later messages must repeat the server_nonce of this first answer.
        let server_nonce = answer.server_nonce;
        let mut nonces = Nonces { nonce: self.nonce, server_nonce, new_nonce: Zeroizing::new([0; 32]) };
        let proof = nonces.check(&answer.nonce, &server_nonce)?;
        let key = select_key(&answer, options, &proof)?;
        let (p, q) = factorize::from_bytes(&answer.pq).map_err(InvalidAnswer::Pq)?;
        let expires_in = options.expires_in()?;
        // The keys of the next messages derive from this secret, so it is drawn after all checks of the answer.
        // <https://core.telegram.org/mtproto/auth_key#presenting-proof-of-work-server-authentication>
        rng.fill_bytes(&mut nonces.new_nonce[..]);

        let factors = Factors { pq: answer.pq, p: minimal_bytes(p), q: minimal_bytes(q) };
        let inner = inner_data(&factors, &nonces, options.dc.to_raw(), expires_in)?;
        let encrypted_data = key.encrypt_pad(&inner, rng).map_err(|_| HandshakeError::NoRandomness)?;
        let request = functions::ReqDhParams {
            nonce: nonces.nonce,
            server_nonce: nonces.server_nonce,
            p: factors.p,
            q: factors.q,
            public_key_fingerprint: key.fingerprint().to_raw(),
            encrypted_data: encrypted_data.to_vec(),
        };
        Ok((request, ExpectServerDhParams::new(nonces, expires_in)))
    }
}

impl fmt::Debug for ExpectResPq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectResPq").finish_non_exhaustive()
    }
}

struct Factors {
    pq: Vec<u8>,
    p: Vec<u8>,
    q: Vec<u8>,
}

/// Returns the first known key that the server offers.
fn select_key<'k>(
    answer: &types::ResPq,
    options: &'k ClientOptions,
    _: &NoncesEqual,
) -> Result<&'k PublicKey, HandshakeError> {
    let offered = &answer.server_public_key_fingerprints;
    let unknown = || HandshakeError::UnknownFingerprints { fingerprints: offered.clone() };
    // The server offers several keys during a change of keys; any key that the client trusts will do.
    options.keys.select(offered).ok_or_else(unknown)
}

/// Serialises `p_q_inner_data_dc`, or `p_q_inner_data_temp_dc` for a temporary key.
fn inner_data(
    factors: &Factors,
    nonces: &Nonces,
    dc: i32,
    expires_in: Option<i32>,
) -> Result<Zeroizing<Vec<u8>>, HandshakeError> {
    let Factors { pq, p, q } = factors;
    let (pq, p, q) = (pq.clone(), p.clone(), q.clone());
    let Nonces { nonce, server_nonce, ref new_nonce } = *nonces;
    let new_nonce = **new_nonce;
    let mut inner = match expires_in {
        None => enums::PQInnerData::Dc(types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, dc }),
        Some(expires_in) => enums::PQInnerData::TempDc(types::PQInnerDataTempDc {
            pq,
            p,
            q,
            nonce,
            server_nonce,
            new_nonce,
            dc,
            expires_in,
        }),
    };
    let bytes = inner.try_to_bytes().map(Zeroizing::new);
    // The generated types do not wipe themselves.
    match &mut inner {
        enums::PQInnerData::Dc(inner) => inner.new_nonce.zeroize(),
        enums::PQInnerData::TempDc(inner) => inner.new_nonce.zeroize(),
        _ => {}
    }
    Ok(bytes?)
}

/// Returns the big-endian bytes of a number without leading zeros, as factors travel.
pub(crate) fn minimal_bytes(number: u64) -> Vec<u8> {
    // Servers compare the bytes with their own factors, which have no leading zeros.
    let skipped = number.leading_zeros() as usize / 8;
    number.to_be_bytes()[skipped..].to_vec()
}
