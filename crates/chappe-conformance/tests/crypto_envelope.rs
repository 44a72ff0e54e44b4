//! What `seal` and `open` decide of `envelope_v2.json`: lengths, `msg_key`, direction.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read fails the test")]

use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::{
    AuthKey, MsgKey, Side,
    message::{self, OpenError, OpenJob, SealJob},
};

const HEADER: usize = 24;

fn from(entry: &Entry) -> Side {
    match entry.text("direction") {
        "client_to_server" => Side::Client,
        "server_to_client" => Side::Server,
        other => panic!("{entry:?}: direction {other}"),
    }
}

fn auth_key(entry: &Entry) -> AuthKey {
    AuthKey::from_slice(&entry.bytes("auth_key")).unwrap()
}

fn open(entry: &Entry, packet: &mut [u8]) -> Result<(), OpenError> {
    let msg_key = MsgKey::from_bytes(packet[8..HEADER].try_into().unwrap());
    message::open(&auth_key(entry), from(entry), &msg_key, &mut packet[HEADER..]).map(|_| ())
}

#[test]
fn every_valid_envelope_is_sealed_and_opened() {
    let entries = vectors::load("envelope_v2").list("vectors");
    assert_eq!(entries.len(), 5);
    for entry in entries {
        let auth_key = auth_key(&entry);
        let mut data = entry.bytes("plaintext");
        let sealed = message::seal(&auth_key, from(&entry), &mut data).unwrap();
        let frame = [&auth_key.id().as_bytes()[..], sealed.msg_key.as_bytes(), &data].concat();
        assert_eq!(frame, entry.bytes("packet"), "{entry:?}");
        assert_eq!(sealed.quick_ack.to_raw().to_le_bytes(), entry.array("quick_ack_token_le_bytes"));
        message::open(&auth_key, from(&entry), &sealed.msg_key, &mut data).unwrap();
        assert_eq!(data, entry.bytes("plaintext"), "{entry:?}");
    }
}

/// What concerns the content behind a right `msg_key` is for the layer above: here it must open.
#[test]
fn sec_063_every_bad_envelope_is_refused_for_its_reason() {
    let entries = vectors::load("envelope_v2").list("negative");
    assert_eq!(entries.len(), 20);
    let mut refused = 0;
    for entry in entries {
        let mut packet = entry.bytes("packet");
        let body_len = packet.len() - HEADER;
        let result = open(&entry, &mut packet);
        match entry.text("expect") {
            "msg_key_mismatch" => {
                assert_eq!(result, Err(OpenError::MsgKeyMismatch), "{entry:?}");
                assert!(packet[HEADER..].iter().all(|byte| *byte == 0), "{entry:?}: not wiped");
                refused += 1;
            }
            "bad_ciphertext_length" | "too_short" => {
                assert_eq!(result, Err(OpenError::InvalidLength { len: body_len }), "{entry:?}");
                refused += 1;
            }
            _ => assert_eq!(result, Ok(()), "{entry:?}"),
        }
    }
    assert_eq!(refused, 7);
}

#[test]
fn sec_063_a_flipped_bit_anywhere_is_refused_and_nothing_is_left() {
    let entry = &vectors::load("envelope_v2").list("vectors")[1];
    let packet = entry.bytes("packet");
    for bit in 8 * 8..packet.len() * 8 {
        let mut packet = packet.clone();
        packet[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(entry, &mut packet), Err(OpenError::MsgKeyMismatch), "bit {bit}");
        assert!(packet[HEADER..].iter().all(|byte| *byte == 0), "bit {bit}");
    }
}

#[test]
fn sec_063_a_message_sent_back_to_its_writer_is_refused() {
    for entry in vectors::load("envelope_v2").list("vectors") {
        let packet = entry.bytes("packet");
        let msg_key = MsgKey::from_bytes(packet[8..HEADER].try_into().unwrap());
        let mut data = packet[HEADER..].to_vec();
        let result = message::open(&auth_key(&entry), from(&entry).peer(), &msg_key, &mut data);
        assert_eq!(result, Err(OpenError::MsgKeyMismatch), "{entry:?}");
    }
}

#[test]
fn many_at_once_do_what_one_at_a_time_does() {
    let entries = vectors::load("envelope_v2").list("vectors");
    let keys: Vec<_> = entries.iter().map(auth_key).collect();
    let mut data: Vec<_> = entries.iter().map(|entry| entry.bytes("plaintext")).collect();
    let mut jobs: Vec<_> = (entries.iter().zip(&keys).zip(&mut data))
        .map(|((entry, key), data)| SealJob::new(key, from(entry), data))
        .collect();
    message::seal_many(&mut jobs);
    let sealed: Vec<_> = jobs.iter().map(|job| job.result().unwrap().unwrap()).collect();
    for (entry, data) in entries.iter().zip(&data) {
        assert_eq!(entry.bytes("packet")[HEADER..], data[..], "{entry:?}");
    }

    let mut jobs: Vec<_> = (entries.iter().zip(&keys).zip(&mut data).zip(&sealed).enumerate())
        .map(|(i, (((entry, key), data), sealed))| {
            let mut msg_key = *sealed.msg_key.as_bytes();
            msg_key[0] ^= u8::from(i == 2);
            OpenJob::new(key, from(entry), MsgKey::from_bytes(msg_key), data)
        })
        .collect();
    message::open_many(&mut jobs);
    let results: Vec<_> = jobs.iter().map(|job| job.result().unwrap()).collect();
    for (i, (entry, data)) in entries.iter().zip(&data).enumerate() {
        if i == 2 {
            assert_eq!(results[i], Err(OpenError::MsgKeyMismatch));
            assert!(data.iter().all(|byte| *byte == 0), "not wiped");
        } else {
            assert_eq!(results[i].unwrap(), sealed[i].quick_ack);
            assert_eq!(*data, entry.bytes("plaintext"), "{entry:?}");
        }
    }
}
