//! What is tried, in order. The place of the step that failed becomes the exit code.

mod crypto;
mod exchange;
mod wire;

use chappe_crypto::AuthKey;
use chappe_crypto::rand_core::Rng as _;
use chappe_crypto::rng::Drbg;

/// Does one thing; `None` if it did not go as it must.
type Step = fn() -> Option<()>;

const STEPS: &[Step] = &[
    crypto::a_message_comes_back,
    crypto::a_changed_message_is_refused,
    crypto::both_ends_agree_on_a_key,
    crypto::pq_is_factored,
    wire::a_call_reaches_the_other_end,
    wire::a_dissector_reads_the_call,
    exchange::a_key_is_made_and_carries_a_call,
];

/// Runs every step and returns 0, or the number of the first step that failed, from 1.
pub fn run() -> i32 {
    match STEPS.iter().position(|step| step().is_none()) {
        Some(at) => at as i32 + 1,
        None => 0,
    }
}

/// Returns a generator that repeats itself: this program has nothing to seed one from.
fn rng(seed: u8) -> Drbg {
    Drbg::from_seed([seed; 32])
}

/// Returns the same key each time.
fn auth_key() -> AuthKey {
    let mut bytes = [0; 256];
    rng(1).fill_bytes(&mut bytes);
    AuthKey::from_bytes(bytes)
}
