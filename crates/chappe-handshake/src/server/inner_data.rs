//! The encrypted inner data of `req_DH_params`: decryption and checks.
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key#presenting-proof-of-work-server-authentication>.

use chappe_crypto::rsa::{Decrypted, PrivateKey};
use chappe_crypto::{ct, hash};
use chappe_tl::Deserializable;
use chappe_tl::deserialize::Cursor;
use chappe_tl_mtproto::{enums, functions, types};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::exchange::Asked;
use super::primes::Factors;
use super::{RefusalReason, ServerOptions, Tolerance};

const SHA1_LEN: usize = 20;

/// Inner data that matches the outer message.
pub(super) struct CheckedInnerData {
    pub(super) new_nonce: Zeroizing<[u8; 32]>,
    pub(super) asked: Asked,
}

/// Decrypts the inner data, once, and checks all of it (SEC-46 to SEC-51).
pub(super) fn decrypt(
    query: &functions::ReqDhParams,
    factors: Factors,
    options: &ServerOptions,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<CheckedInnerData, RefusalReason> {
    let fingerprint = query.public_key_fingerprint;
    let is_named = |key: &&PrivateKey| key.public_key().fingerprint().to_raw() == fingerprint;
    let key = options.keys.iter().find(is_named).ok_or(RefusalReason::UnknownFingerprint { fingerprint })?;
    let inner = match options.tolerance {
        Tolerance::Strict => {
            let data =
                key.decrypt_pad(&query.encrypted_data, rng).map_err(|_| RefusalReason::Undecryptable)?;
            parse(&data[..])?.0
        }
        // Some clients still use the padding that came before RSA_PAD.
        // <https://core.telegram.org/mtproto/auth_key#presenting-proof-of-work-server-authentication>
        Tolerance::Lenient => match key.decrypt_either(&query.encrypted_data, rng) {
            Ok(Decrypted::Padded(data)) => parse(&data[..])?.0,
            Ok(Decrypted::Legacy(data)) => parse_hashed(&data[..])?,
            Err(_) => return Err(RefusalReason::Undecryptable),
        },
    };
    Inner::new(inner).check(query, factors, options)
}

/// Reads the object at the start of the data. Returns it and its length; random bytes follow.
fn parse(data: &[u8]) -> Result<(enums::PQInnerData, usize), RefusalReason> {
    let mut cursor = Cursor::from_slice(data);
    let inner =
        enums::PQInnerData::deserialize(&mut cursor).map_err(|_| RefusalReason::UnexpectedInnerData)?;
    Ok((inner, cursor.pos()))
}

/// Reads the object of the old form and compares the hash in front of it.
fn parse_hashed(data: &[u8]) -> Result<enums::PQInnerData, RefusalReason> {
    let (claimed, rest) = data.split_at(SHA1_LEN);
    // Without a right hash the content is noise, so this failure must look like any other (SEC-47).
    let (inner, len) = parse(rest).map_err(|_| RefusalReason::Undecryptable)?;
    if ct::eq(&hash::sha1(&[&rest[..len]]), claimed) { Ok(inner) } else { Err(RefusalReason::Undecryptable) }
}

/// The four kinds of inner data as one.
struct Inner {
    pq: alloc::vec::Vec<u8>,
    p: alloc::vec::Vec<u8>,
    q: alloc::vec::Vec<u8>,
    nonce: [u8; 16],
    server_nonce: [u8; 16],
    new_nonce: Zeroizing<[u8; 32]>,
    dc: Option<i32>,
    expires_in: Option<i32>,
}

impl Inner {
    fn new(inner: enums::PQInnerData) -> Self {
        let (mut plain, dc, expires_in) = match inner {
            enums::PQInnerData::PQInnerData(inner) => (inner, None, None),
            enums::PQInnerData::Dc(types::PQInnerDataDc { pq, p, q, nonce, server_nonce, new_nonce, dc }) => {
                (types::PQInnerData { pq, p, q, nonce, server_nonce, new_nonce }, Some(dc), None)
            }
            enums::PQInnerData::Temp(inner) => {
                let types::PQInnerDataTemp { pq, p, q, nonce, server_nonce, new_nonce, expires_in } = inner;
                (types::PQInnerData { pq, p, q, nonce, server_nonce, new_nonce }, None, Some(expires_in))
            }
            enums::PQInnerData::TempDc(inner) => {
                let types::PQInnerDataTempDc { pq, p, q, nonce, server_nonce, new_nonce, dc, expires_in } =
                    inner;
                (types::PQInnerData { pq, p, q, nonce, server_nonce, new_nonce }, Some(dc), Some(expires_in))
            }
        };
        let new_nonce = Zeroizing::new(plain.new_nonce);
        plain.new_nonce.zeroize();
        let types::PQInnerData { pq, p, q, nonce, server_nonce, .. } = plain;
        Self { pq, p, q, nonce, server_nonce, new_nonce, dc, expires_in }
    }

    fn check(
        self,
        query: &functions::ReqDhParams,
        factors: Factors,
        options: &ServerOptions,
    ) -> Result<CheckedInnerData, RefusalReason> {
        // The outer fields are in the clear: they could be those of another exchange.
        let same_nonces =
            ct::eq(&self.nonce, &query.nonce) && ct::eq(&self.server_nonce, &query.server_nonce);
        if !same_nonces || self.pq != factors.pq_bytes() || !factors.are(&self.p, &self.q) {
            return Err(RefusalReason::InnerMismatch);
        }
        match self.dc {
            Some(dc) if !options.dcs.accepts(dc) => return Err(RefusalReason::WrongDc { dc }),
            // Old clients name no datacenter. Their query could be passed on to another one.
            None if options.tolerance == Tolerance::Strict => return Err(RefusalReason::UnexpectedInnerData),
            _ => {}
        }
        let expires_in = match self.expires_in {
            None => None,
            Some(expires_in) => Some(checked_expiry(expires_in, options.max_expires_in)?),
        };
        Ok(CheckedInnerData { new_nonce: self.new_nonce, asked: Asked { dc: self.dc, expires_in } })
    }
}

fn checked_expiry(expires_in: i32, max: u32) -> Result<u32, RefusalReason> {
    match u32::try_from(expires_in) {
        // `expires_in` is a signed `int` of seconds from now; zero and less would be an expired key.
        Ok(seconds) if (1..=max).contains(&seconds) => Ok(seconds),
        _ => Err(RefusalReason::BadExpiry { expires_in }),
    }
}
