//! Rules about secrets that types alone must keep.

use core::fmt::{self, Debug};

#[cfg(feature = "batch")]
use chappe_crypto::ige;
use chappe_crypto::{AuthKey, MsgKey, Side, cdn, ctr::Ctr, kdf, message, nonce, rng::Drbg, secret_chat};

/// A byte that a leaking `Debug` would show, in any of the usual forms.
const SECRET: u8 = 0xc7;

#[track_caller]
fn assert_redacted(value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        let text = text.to_lowercase();
        for form in ["199", "c7", "0xc7"] {
            assert!(!text.contains(form), "{text}");
        }
    }
}

#[test]
fn sec_005_no_debug_output_contains_a_secret() {
    let auth_key = AuthKey::from_bytes([SECRET; 256]);
    assert_redacted(&AuthKeyBehindId(&auth_key));
    assert_redacted(&Ctr::new(&[SECRET; 32], &[SECRET; 16]));
    assert_redacted(&Drbg::from_seed([SECRET; 32]));
    assert_redacted(&kdf::AesKeyIv { key: [SECRET; 32], iv: [SECRET; 32] });
    assert_redacted(&kdf::msg_key_large(&auth_key, Side::Client, &[SECRET; 64]));
    assert_redacted(&nonce::tmp_aes(&[SECRET; 32], &[SECRET; 16]));
    assert_redacted(&cdn::CdnFileKey::new(&[SECRET; 32], &[SECRET; 16]).unwrap());
    assert_redacted(&secret_chat::EncryptedFileKey::new([SECRET; 32], [SECRET; 32]));
}

#[cfg(feature = "batch")]
#[test]
fn sec_005_no_debug_output_of_a_batch_contains_a_secret() {
    let auth_key = AuthKey::from_bytes([SECRET; 256]);
    let mut plaintext = [SECRET; 64];
    assert_redacted(&ige::IgeStream::new(&[SECRET; 32], &[SECRET; 32], &mut plaintext).unwrap());
    assert_redacted(&message::SealJob::new(&auth_key, Side::Client, &mut plaintext));
    let msg_key = MsgKey::from_bytes([1; 16]);
    assert_redacted(&message::OpenJob::new(&auth_key, Side::Client, msg_key, &mut plaintext));
}

/// An `auth_key` of which only the id may be shown: whether that contains the forms looked for is chance.
struct AuthKeyBehindId<'a>(&'a AuthKey);

impl Debug for AuthKeyBehindId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:?}", self.0).replace(&self.0.id().to_string(), "id");
        f.write_str(&text)
    }
}

#[test]
fn sec_006_values_that_prove_something_are_equal_only_if_every_bit_is() {
    let msg_key = MsgKey::from_bytes([0x5a; 16]);
    for bit in 0..128 {
        let mut other = [0x5a; 16];
        other[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(MsgKey::from_bytes(other), msg_key, "bit {bit}");
        assert!(!chappe_crypto::ct::eq(&other, msg_key.as_bytes()), "bit {bit}");
    }
    assert!(!chappe_crypto::ct::eq(&[0; 15], &[0; 16]));
}

#[test]
fn sec_062_lengths_that_no_message_has_are_refused_and_nothing_is_touched() {
    let auth_key = AuthKey::from_bytes([SECRET; 256]);
    let msg_key = MsgKey::from_bytes([1; 16]);
    for len in (0..100).filter(|len| *len < message::MIN_LEN || len % 16 != 0) {
        let mut data = vec![0xa5; len];
        let sealed = message::seal(&auth_key, Side::Client, &mut data);
        assert_eq!(sealed, Err(message::SealError::InvalidLength { len }));
        let opened = message::open(&auth_key, Side::Client, &msg_key, &mut data);
        assert_eq!(opened, Err(message::OpenError::InvalidLength { len }));
        assert_eq!(data, vec![0xa5; len]);
    }
}

#[test]
fn sec_064_every_refusal_of_a_1_0_message_looks_the_same() {
    let auth_key = AuthKey::from_bytes([SECRET; 256]);
    let layout = message::Layout::SecretChat;
    // Lengths that are negative, beyond the end, short of the end by a block, and right under a wrong hash.
    for len in [u32::MAX, 0x7fff_ffff, 61, 44, 60] {
        let mut plaintext = [0x11; 64];
        plaintext[..4].copy_from_slice(&len.to_le_bytes());
        let msg_key = message::seal_v1(&auth_key, Side::Client, &mut plaintext, 50).unwrap();
        let result = message::open_v1(&auth_key, Side::Client, layout, &msg_key, &mut plaintext);
        assert_eq!(result, Err(message::OpenError::MsgKeyMismatch), "length {len}");
        assert_eq!(plaintext, [0; 64], "length {len}");
    }
}

#[cfg(feature = "batch")]
#[test]
fn jobs_that_cannot_be_done_do_not_disturb_the_others() {
    let auth_key = AuthKey::from_bytes([SECRET; 256]);
    for count in [3, 13, 16, 17, 40] {
        let mut alone: Vec<Vec<u8>> =
            (0..count).map(|i| vec![i as u8; if i % 5 == 2 { 33 } else { 400 + 16 * (i % 4) }]).collect();
        let mut together = alone.clone();
        let one: Vec<_> = alone.iter_mut().map(|data| message::seal(&auth_key, Side::Client, data)).collect();
        let mut jobs: Vec<_> =
            together.iter_mut().map(|data| message::SealJob::new(&auth_key, Side::Client, data)).collect();
        message::seal_many(&mut jobs);
        let many: Vec<_> = jobs.iter().map(|job| job.result().unwrap()).collect();
        assert_eq!((&many, &together), (&one, &alone), "{count} messages");

        let msg_keys = one.iter().map(|sealed| sealed.map_or(MsgKey::from_bytes([0; 16]), |it| it.msg_key));
        let msg_keys: Vec<_> = msg_keys.collect();
        let mut jobs: Vec<_> = (together.iter_mut().zip(&msg_keys))
            .map(|(data, msg_key)| message::OpenJob::new(&auth_key, Side::Client, *msg_key, data))
            .collect();
        message::open_many(&mut jobs);
        for (i, job) in jobs.iter().enumerate() {
            assert_eq!(job.result().unwrap().is_ok(), i % 5 != 2, "message {i} of {count}");
        }
        for (i, data) in together.iter().enumerate().filter(|(i, _)| i % 5 != 2) {
            assert!(data.iter().all(|byte| *byte == i as u8), "message {i} of {count}");
        }
    }
}
