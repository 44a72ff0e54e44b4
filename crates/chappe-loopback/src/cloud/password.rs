//! The second step of a login: SRP.
//!
//! Spec: <https://core.telegram.org/api/srp>.

use chappe_crypto::dh::{Group, KNOWN_PRIME};
use chappe_crypto::rng::Drbg;
use chappe_crypto::srp::{self, Challenge, Parameters};
use chappe_tl::Serializable as _;
use chappe_tl_api::{enums, types};
use rand_core::Rng as _;

/// What the server keeps of a password, and the seed of the open challenge.
pub(crate) struct Password {
    salt1: Vec<u8>,
    salt2: Vec<u8>,
    text: String,
    challenge: Option<(i64, [u8; 32])>,
}

impl Password {
    pub(super) fn new(text: &str) -> Self {
        let mut salts = [0; 32];
        // Without randomness a test still has a password.
        if let Ok(mut rng) = Drbg::from_os() {
            rng.fill_bytes(&mut salts);
        }
        let (salt1, salt2) = salts.split_at(16);
        Self { salt1: salt1.to_vec(), salt2: salt2.to_vec(), text: text.into(), challenge: None }
    }

    /// Calls `run` with the parameters and the challenge of this seed.
    fn with<T>(&self, seed: [u8; 32], run: impl FnOnce(Challenge<'_>) -> T) -> Option<T> {
        let group = Group::known(3).ok()?;
        let parameters = Parameters { group: &group, salt1: &self.salt1, salt2: &self.salt2 };
        let verifier = srp::verifier(self.text.as_bytes(), &parameters);
        Challenge::new(&parameters, &verifier, &mut Drbg::from_seed(seed)).ok().map(run)
    }

    /// Opens a challenge and returns `account.password`, encoded.
    pub(crate) fn challenge(&mut self, rng: &mut Drbg) -> Option<Vec<u8>> {
        let (mut seed, id) = ([0; 32], rng.next_u64().cast_signed());
        rng.fill_bytes(&mut seed);
        self.challenge = Some((id, seed));
        let algorithm = types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
            salt1: &self.salt1,
            salt2: &self.salt2,
            g: 3,
            p: &KNOWN_PRIME,
        };
        let algorithm =
            enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(&algorithm);
        self.with(seed, |challenge| encode(Some((&algorithm, challenge.public(), id))))
    }

    /// Checks a proof against the open challenge, which it ends.
    pub(crate) fn check(&mut self, id: i64, a: &[u8], m1: &[u8]) -> Result<(), &'static str> {
        let (open, seed) = self.challenge.take().ok_or("SRP_ID_INVALID")?;
        if open != id {
            return Err("SRP_ID_INVALID");
        }
        let m1 = m1.try_into().map_err(|_| "PASSWORD_HASH_INVALID")?;
        let checked = self.with(seed, |challenge| challenge.verify(a, m1).is_ok());
        if checked == Some(true) { Ok(()) } else { Err("PASSWORD_HASH_INVALID") }
    }
}

/// Writes `account.password` of an account without one.
pub(crate) fn no_password() -> Vec<u8> {
    encode(None)
}

/// Writes `account.password`.
fn encode(challenge: Option<(&enums::PasswordKdfAlgo<'_>, &[u8], i64)>) -> Vec<u8> {
    let password = types::account::Password {
        has_recovery: false,
        has_secure_values: false,
        has_password: challenge.is_some(),
        current_algo: challenge.map(|(algorithm, ..)| algorithm),
        srp_b: challenge.map(|(_, public, _)| public),
        srp_id: challenge.map(|(.., id)| id),
        hint: None,
        email_unconfirmed_pattern: None,
        new_algo: enums::PasswordKdfAlgo::Unknown,
        new_secure_algo: enums::SecurePasswordKdfAlgo::Unknown,
        secure_random: &[],
        pending_reset_date: None,
        login_email_pattern: None,
    };
    enums::account::Password::from(&password).to_bytes()
}
