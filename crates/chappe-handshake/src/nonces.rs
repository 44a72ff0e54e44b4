//! The three nonces of an exchange, and the proof that a peer repeated two of them.

use core::fmt;

use chappe_crypto::kdf::AesKeyIv;
use chappe_crypto::{AuthKey, ct, nonce};
use chappe_framing::ServerSalt;
use nonce::HashNumber;
use zeroize::Zeroizing;

use crate::{HandshakeError, InvalidAnswer};

/// Proof that the peer repeated both nonces. Only [`Nonces::check`] makes one.
#[derive(Debug)]
pub(crate) struct NoncesEqual(());

/// The nonces of an exchange after all three are chosen.
#[derive(Clone)]
pub(crate) struct Nonces {
    pub(crate) nonce: [u8; 16],
    pub(crate) server_nonce: [u8; 16],
    pub(crate) new_nonce: Zeroizing<[u8; 32]>,
}

impl Nonces {
    /// Compares the nonces in a message, in constant time (SEC-14, SEC-15, SEC-16).
    pub(crate) fn check(
        &self,
        nonce: &[u8; 16],
        server_nonce: &[u8; 16],
    ) -> Result<NoncesEqual, HandshakeError> {
        if !ct::eq(nonce, &self.nonce) {
            return Err(InvalidAnswer::Nonce { got: *nonce, expected: self.nonce }.into());
        }
        if !ct::eq(server_nonce, &self.server_nonce) {
            return Err(InvalidAnswer::ServerNonce { got: *server_nonce, expected: self.server_nonce }.into());
        }
        Ok(NoncesEqual(()))
    }

    /// Returns the key and the IV of both inner objects (SEC-40).
    pub(crate) fn tmp_aes(&self) -> AesKeyIv {
        nonce::tmp_aes(&self.new_nonce, &self.server_nonce)
    }

    /// Returns the first salt: `new_nonce[0..8] ^ server_nonce[0..8]` (SEC-41).
    pub(crate) fn first_salt(&self) -> ServerSalt {
        ServerSalt::from_raw(nonce::first_salt(&self.new_nonce, &self.server_nonce))
    }

    /// Returns the hash that authenticates one of the three last answers.
    pub(crate) fn answer_hash(&self, number: HashNumber, key: &AuthKey) -> [u8; 16] {
        nonce::new_nonce_hash_n(&self.new_nonce, number, &key.aux_hash())
    }

    /// Returns the hash that authenticates `server_DH_params_fail`.
    pub(crate) fn fail_hash(&self) -> [u8; 16] {
        nonce::new_nonce_hash(&self.new_nonce)
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

/// Returns the `retry_id` of `set_client_DH_params` after a rejected attempt: the auxiliary hash of the rejected key.
pub(crate) fn retry_id(rejected: &AuthKey) -> i64 {
    i64::from_le_bytes(rejected.aux_hash())
}
