//! End-to-end encryption against `secret_chat.json`.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read fails the test")]

use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::{
    AuthKey, kdf,
    message::OpenError,
    secret_chat::{
        self, ENVELOPE_LEN, EncryptedFileKey, Envelope, FileFingerprint, KeyFingerprint, MessageError, Party,
    },
};

fn key(entry: &Entry) -> AuthKey {
    AuthKey::from_slice(&entry.bytes("key")).unwrap()
}

fn party(entry: &Entry) -> Party {
    match entry.number::<u8>("x") {
        0 => Party::Creator,
        8 => Party::Participant,
        x => panic!("{entry:?}: x = {x}"),
    }
}

/// Room for the header, then the plaintext.
fn frame(plaintext: &[u8]) -> Vec<u8> {
    [&[0xa5; ENVELOPE_LEN], plaintext].concat()
}

#[test]
fn sec_164_the_fingerprint_is_that_of_the_key() {
    for entry in vectors::load("secret_chat").list("vectors") {
        let fingerprint = KeyFingerprint::of(&key(&entry));
        assert_eq!(fingerprint.as_bytes(), &entry.array("key_fingerprint_le_bytes"), "{entry:?}");
        assert_eq!(KeyFingerprint::from_raw(fingerprint.to_raw()), fingerprint);
    }
}

#[test]
fn sec_166_every_message_is_sealed_and_opened_with_x_by_role() {
    let entries = vectors::load("secret_chat").list("vectors");
    assert_eq!(entries.len(), 2);
    for entry in entries {
        let (key, sender) = (key(&entry), party(&entry));
        let mut data = frame(&entry.bytes("plaintext"));
        secret_chat::seal(&key, sender, &mut data).unwrap();
        assert_eq!(data, entry.bytes("encrypted_message"), "{entry:?}");

        let envelope = Envelope::new_checked(&mut data).unwrap();
        assert_eq!(envelope.fingerprint(), KeyFingerprint::of(&key));
        let body = envelope.open(&key, sender).unwrap();
        assert_eq!(data[body], entry.bytes("decryptedMessageLayer"), "{entry:?}");

        let mut reflected = entry.bytes("encrypted_message");
        let other = if sender == Party::Creator { Party::Participant } else { Party::Creator };
        let result = Envelope::new_checked(&mut reflected).unwrap().open(&key, other);
        assert_eq!(result, Err(MessageError::Open(OpenError::MsgKeyMismatch)), "{entry:?}");
    }
}

#[test]
fn the_1_0_message_is_sealed_and_opened() {
    let entry = vectors::load("secret_chat").entry("mtproto1");
    let (key, plaintext) = (key(&entry), entry.bytes("plaintext_without_padding"));
    let msg_key = kdf::msg_key_v1(&plaintext);
    let aes = kdf::aes_v1(&key, Party::Creator.side(), &msg_key);
    assert_eq!(msg_key.as_bytes(), &entry.array("msg_key"));
    assert_eq!((aes.key, aes.iv), (entry.array("aes_key"), entry.array("aes_iv")));

    let mut data = frame(&[plaintext.clone(), entry.bytes("padding")].concat());
    secret_chat::seal_v1(&key, &mut data, plaintext.len()).unwrap();
    assert_eq!(data, entry.bytes("encrypted_message"));
    let body = Envelope::new_checked(&mut data).unwrap().open_v1(&key).unwrap();
    assert_eq!(data[body], plaintext[4..]);
}

#[test]
fn sec_168_a_1_0_message_does_not_open_as_2_0_nor_the_reverse() {
    let file = vectors::load("secret_chat");
    let (old, new) = (file.entry("mtproto1"), &file.list("vectors")[0]);
    let mismatch = Err(MessageError::Open(OpenError::MsgKeyMismatch));
    let mut data = old.bytes("encrypted_message");
    assert_eq!(Envelope::new_checked(&mut data).unwrap().open(&key(&old), Party::Creator), mismatch);
    let mut data = new.bytes("encrypted_message");
    assert_eq!(Envelope::new_checked(&mut data).unwrap().open_v1(&key(new)), mismatch);
}

#[test]
fn sec_165_a_message_under_another_key_is_not_decrypted() {
    let entry = &vectors::load("secret_chat").list("vectors")[0];
    let mut data = entry.bytes("encrypted_message");
    data[0] ^= 1;
    let before = data.clone();
    let envelope = Envelope::new_checked(&mut data).unwrap();
    let fingerprint = envelope.fingerprint();
    let result = envelope.open(&key(entry), party(entry));
    assert_eq!(result, Err(MessageError::UnknownKey { fingerprint }));
    assert_eq!(data, before);
}

#[test]
fn sec_166_length_and_padding_are_checked_behind_a_right_msg_key() {
    let entry = &vectors::load("secret_chat").list("vectors")[0];
    let key = key(entry);
    let open = |len: i32, total: usize| {
        let mut plaintext = vec![0x5a; total];
        plaintext[..4].copy_from_slice(&len.to_le_bytes());
        let mut data = frame(&plaintext);
        secret_chat::seal(&key, Party::Creator, &mut data).unwrap();
        let result = Envelope::new_checked(&mut data).unwrap().open(&key, Party::Creator);
        let is_wiped = data[ENVELOPE_LEN..].iter().all(|byte| *byte == 0);
        assert_eq!(result.is_err(), is_wiped, "length {len} of {total}");
        result
    };
    assert_eq!(open(48, 64), Ok(28..76));
    assert_eq!(open(48 - 4, 64), Ok(28..72));
    assert_eq!(open(44, 1072), Ok(28..72));
    for len in [-1, i32::MIN, i32::MAX, 61] {
        assert_eq!(open(len, 64), Err(MessageError::InvalidBodyLen { len }));
    }
    for (len, total, padding) in [(60, 64, 0), (49, 64, 11), (43, 1072, 1025)] {
        assert_eq!(open(len, total), Err(MessageError::InvalidPadding { len: padding }));
    }
}

#[test]
fn frames_that_cannot_hold_a_message_are_refused() {
    for len in 0..ENVELOPE_LEN {
        let result = Envelope::new_checked(&mut [0; ENVELOPE_LEN][..len]).err();
        assert_eq!(result, Some(MessageError::TooShort { len }));
    }
    for len in [0, 1, 15, 17] {
        let result = Envelope::new_checked(&mut vec![0; ENVELOPE_LEN + len]).err();
        assert_eq!(result, Some(MessageError::Open(OpenError::InvalidLength { len })));
    }
}

#[test]
fn sec_172_a_file_key_is_taken_only_with_its_fingerprint() {
    let entry = vectors::load("secret_chat").entry("file");
    let (key, iv) = (entry.array("key"), entry.array("iv"));
    let fingerprint = FileFingerprint::from_raw(entry.number("key_fingerprint_i32"));
    assert_eq!(fingerprint.to_raw().to_le_bytes(), entry.array("key_fingerprint_le_bytes"));
    let file_key = EncryptedFileKey::verified(key, iv, fingerprint).unwrap();
    assert_eq!(EncryptedFileKey::new(key, iv).fingerprint(), fingerprint);

    let mut data = entry.bytes("plaintext");
    file_key.encrypt(&mut data).unwrap();
    assert_eq!(data, entry.bytes("ciphertext"));
    file_key.decrypt(&mut data).unwrap();
    assert_eq!(data, entry.bytes("plaintext"));

    let wrong = FileFingerprint::from_raw(fingerprint.to_raw() ^ 1);
    let error = EncryptedFileKey::verified(key, iv, wrong).unwrap_err();
    assert_eq!((error.got, error.computed), (wrong, fingerprint));
}

#[test]
fn the_picture_of_the_key_is_cut_from_both_hashes() {
    let entry = vectors::load("secret_chat").entry("key_visualization");
    let (key, picture) = (key(&entry), entry.array("value"));
    assert_eq!(secret_chat::key_visualization(&key, &key), picture);
    assert_eq!(picture[..16], entry.bytes("sha1_first_16"));
    assert_eq!(picture[16..], entry.bytes("sha256_first_20"));
}
