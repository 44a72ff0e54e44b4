//! Two-step verification: the password proof, a variant of SRP-6a over a checked [`Group`].
//!
//! A client answers with [`prove`]; a server draws a [`Challenge`] from the stored [`verifier`] and checks the
//! answer; [`new_password`] sets another password. Every number is hashed as 256 big-endian bytes, the generator
//! too (SEC-160).
//!
//! The caller compares the name of the algorithm (`passwordKdfAlgoSHA256SHA256PBKDF2HMACSHA512iter100000SHA256ModPow`)
//! and checks its prime and generator with [`Group::check`] first (SEC-158). Passwords are bytes as typed, without
//! any normalisation. One derivation runs 100 000 rounds of PBKDF2: tens of milliseconds.
//!
//! A debug build takes seconds for one proof, unless three packages are optimised. In the `Cargo.toml` of the program:
//!
//! ```toml
//! [profile.dev.package.chappe-crypto]
//! opt-level = 2
//! [profile.dev.package.crypto-bigint]
//! opt-level = 2
//! [profile.dev.package.sha2]
//! opt-level = 2
//! ```
//!
//! Spec: <https://core.telegram.org/api/srp>; SEC-158 to SEC-162.
//!
//! ```
//! # use chappe_crypto::{dh::Group, srp::{self, Challenge, Parameters}};
//! # use rand_core::SeedableRng;
//! # let mut rng = rand_chacha::ChaCha20Rng::from_seed([7; 32]);
//! let group = Group::known(3)?;
//! let parameters = Parameters { group: &group, salt1: b"stored", salt2: b"with the account" };
//! let stored = srp::verifier(b"hunter2", &parameters);
//!
//! let challenge = Challenge::new(&parameters, &stored, &mut rng)?;
//! let proof = srp::prove(b"hunter2", &parameters, challenge.public(), &mut rng)?;
//! challenge.verify(&proof.a, &proof.m1)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod error;
mod hash;
mod server;

pub use self::{
    client::{NewPassword, Proof, new_password, prove},
    error::SrpError,
    server::Challenge,
};

use zeroize::Zeroizing;

use crate::dh::Group;

/// Maximum number of random exponents. A second one is only needed if the source of randomness is broken.
const MAX_DRAWS: usize = 8;

/// What a password is bound to: the fields of `passwordKdfAlgo`.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    /// The checked prime and generator.
    pub group: &'a Group,
    /// The first salt, of any length.
    pub salt1: &'a [u8],
    /// The second salt, of any length.
    pub salt2: &'a [u8],
}

/// Computes `v = g^x mod p`, what a server stores instead of the password: 256 bytes, leading zeros kept.
pub fn verifier(password: &[u8], parameters: &Parameters<'_>) -> Zeroizing<[u8; 256]> {
    let x = hash::password_exponent(password, parameters);
    hash::power_of_generator(parameters.group, &x)
}

#[cfg(test)]
mod tests;
