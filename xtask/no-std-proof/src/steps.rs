//! What is tried, in order. The place of the step that failed becomes the exit code.

use alloc::vec::Vec;

use chappe_crypto::rand_core::Rng as _;
use chappe_crypto::rng::Drbg;
use chappe_crypto::{AuthKey, Side, dh, factorize, message};

// Linked whole, so that a use of `std` anywhere in them breaks the build.
use {
    chappe_framing as _, chappe_handshake as _, chappe_session as _, chappe_tl as _, chappe_tl_mtproto as _,
    chappe_transport as _,
};

/// Runs every step and returns 0, or the number of the first step that failed, from 1.
pub fn run() -> i32 {
    let steps: [fn() -> Option<()>; 4] =
        [a_message_comes_back, a_changed_message_is_refused, both_ends_agree_on_a_key, pq_is_factored];
    match steps.iter().position(|step| step().is_none()) {
        Some(at) => at as i32 + 1,
        None => 0,
    }
}

/// A message as it stands before sealing: 1024 bytes, padding included.
fn plaintext() -> Vec<u8> {
    (0..1024_u32).map(|at| at as u8).collect()
}

/// A generator that repeats itself: this program has nothing to seed one from.
fn rng(seed: u8) -> Drbg {
    Drbg::from_seed([seed; 32])
}

fn auth_key() -> AuthKey {
    let mut bytes = [0; 256];
    rng(1).fill_bytes(&mut bytes);
    AuthKey::from_bytes(bytes)
}

fn a_message_comes_back() -> Option<()> {
    let mut data = plaintext();
    let sealed = message::seal(&auth_key(), Side::Client, &mut data).ok()?;
    let hidden = data != plaintext();
    let opened = message::open(&auth_key(), Side::Client, &sealed.msg_key, &mut data).ok()?;
    (hidden && data == plaintext() && opened.quick_ack == sealed.quick_ack).then_some(())
}

fn a_changed_message_is_refused() -> Option<()> {
    let mut data = plaintext();
    let sealed = message::seal(&auth_key(), Side::Server, &mut data).ok()?;
    data[517] ^= 1;
    let refused = message::open(&auth_key(), Side::Server, &sealed.msg_key, &mut data).is_err();
    refused.then_some(())
}

fn both_ends_agree_on_a_key() -> Option<()> {
    let group = dh::Group::known(3).ok()?;
    let (secret, public) = group.key_pair(&mut rng(2)).ok()?;
    let agreed = group.agree(&mut rng(3), &public).ok()?;
    (group.shared_secret(&secret, &agreed.public) == agreed.shared).then_some(())
}

fn pq_is_factored() -> Option<()> {
    (factorize(0x17ED_4894_1A08_F981).ok()? == (0x494C_553B, 0x5391_1073)).then_some(())
}
