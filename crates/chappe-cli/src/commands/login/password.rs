//! The two-factor password, which is proved without being sent.

use chappe::api::{enums, functions, types};
use chappe::crypto::dh::{Group, PrimeCache};
use chappe::crypto::rng::Drbg;
use chappe::crypto::srp;

use super::account::{Account, User};
use crate::failure::{Blame, Failure, OrBlame as _, Result};
use crate::output::Output;
use crate::secrets::prompt;

/// Asks for the password, and proves it.
pub(super) async fn check(account: &mut Account, output: &mut Output) -> Result<User> {
    use enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow as Known;

    let answer = account.call(&functions::account::GetPassword {}).await?;
    let settings = answer.get();
    let of_later_layer = || Failure::new(Blame::Protocol, "the password has an algorithm of a later layer");
    let Some(Known(algorithm)) = settings.current_algo else { return Err(of_later_layer()) };
    let (Some(srp_b), Some(srp_id)) = (settings.srp_b, settings.srp_id) else { return Err(of_later_layer()) };
    if let Some(hint) = settings.hint {
        output.note(&format!("hint for the password: {hint}"));
    }
    let password = prompt("two-factor password", "standard input")?;

    let mut rng = Drbg::from_os().or_blame(Blame::Machine, "the system gives no randomness")?;
    let group = Group::check(algorithm.p, algorithm.g, &mut PrimeCache::new(), &mut rng)
        .or_blame(Blame::Protocol, "the datacenter's group is not safe")?;
    let parameters = srp::Parameters { group: &group, salt1: algorithm.salt1, salt2: algorithm.salt2 };
    let proof = srp::prove(password.as_bytes(), &parameters, srp_b, &mut rng)
        .or_blame(Blame::Protocol, "the datacenter's challenge is not safe")?;
    let proof = types::InputCheckPasswordSrp { srp_id, a: &proof.a, m1: &proof.m1 };
    let password = enums::InputCheckPasswordSrp::InputCheckPasswordSrp(&proof);
    let answer = account.call(&functions::auth::CheckPassword { password }).await?;
    User::of(answer.get(), false)
}
