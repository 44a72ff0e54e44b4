//! RSA as the key exchange uses it: server keys, their fingerprints and the `RSA_PAD` encryption.
//!
//! [`PublicKey`] is a checked key of 2048 bits, [`KeyRing`] the set a client trusts, [`PrivateKey`] the server's
//! half.
//!
//! Not here: fetching CDN keys, and the decision which ring belongs to which endpoint (SEC-18).
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key>; SEC-17 to SEC-20, SEC-23, SEC-24, SEC-47, SEC-48.

mod error;
mod keyring;
mod pad;
mod private;
mod public;

pub use self::{
    error::{DecryptError, KeyError, PadError},
    keyring::{HISTORICAL_FINGERPRINTS, KeyRing},
    pad::MAX_DATA_LEN,
    private::{Decrypted, PrivateKey},
    public::{Fingerprint, PublicKey},
};

#[cfg(test)]
mod tests;
