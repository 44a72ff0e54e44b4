//! The cryptography alone.

use alloc::vec::Vec;

use chappe_crypto::{Side, dh, factorize, message};

use super::{auth_key, rng};

/// A message as it stands before sealing: 1024 bytes, padding included.
fn plaintext() -> Vec<u8> {
    (0..1024_u32).map(|at| at as u8).collect()
}

/// Sealing and opening give the plaintext back.
pub fn a_message_comes_back() -> Option<()> {
    let mut data = plaintext();
    let sealed = message::seal(&auth_key(), Side::Client, &mut data).ok()?;
    let hidden = data != plaintext();
    let opened = message::open(&auth_key(), Side::Client, &sealed.msg_key, &mut data).ok()?;
    (hidden && data == plaintext() && opened == sealed.quick_ack).then_some(())
}

/// One flipped bit is enough to be refused.
pub fn a_changed_message_is_refused() -> Option<()> {
    let mut data = plaintext();
    let sealed = message::seal(&auth_key(), Side::Server, &mut data).ok()?;
    data[517] ^= 1;
    let refused = message::open(&auth_key(), Side::Server, &sealed.msg_key, &mut data).is_err();
    refused.then_some(())
}

/// Two sides of the exchange compute the same number.
pub fn both_ends_agree_on_a_key() -> Option<()> {
    let group = dh::Group::known(3).ok()?;
    let (secret, public) = group.key_pair(&mut rng(2)).ok()?;
    let agreed = group.agree(&mut rng(3), &public).ok()?;
    (group.shared_secret(&secret, &agreed.public) == agreed.shared).then_some(())
}

/// The example of the protocol's documentation is factored.
pub fn pq_is_factored() -> Option<()> {
    (factorize(0x17ED_4894_1A08_F981).ok()? == (0x494C_553B, 0x5391_1073)).then_some(())
}
