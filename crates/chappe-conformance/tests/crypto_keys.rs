//! Key ids, key derivations and nonce hashes against `auth_key_id.json`, `kdf_v2.json`, `kdf_v1.json` and
//! `handshake_derivations.json`.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read fails the test")]

use chappe_conformance::vectors;
use chappe_crypto::{
    AuthKey, MsgKey, Side, hash, ige, kdf,
    message::{self, SealError},
    nonce::{self, HashNumber},
};

fn side(x: u8) -> Side {
    let side = [Side::Client, Side::Server].into_iter().find(|side| side.x() == usize::from(x));
    side.expect("x is 0 or 8")
}

#[test]
fn every_auth_key_has_the_id_and_the_aux_hash_of_its_vector() {
    let entries = vectors::load("auth_key_id").list("vectors");
    assert_eq!(entries.len(), 3);
    for entry in entries {
        let key = AuthKey::from_slice(&entry.bytes("auth_key")).unwrap();
        assert_eq!(key.id().as_bytes(), &entry.array("auth_key_id_le_bytes"), "{entry:?}");
        assert_eq!(key.id().to_raw(), entry.number::<i64>("auth_key_id_i64"), "{entry:?}");
        assert_eq!(key.id().to_raw().cast_unsigned(), entry.number::<u64>("auth_key_id_u64"), "{entry:?}");
        assert_eq!(key.aux_hash(), entry.array("aux_hash_le_bytes"), "{entry:?}");
    }
}

#[test]
fn every_2_0_derivation_holds() {
    let entries = vectors::load("kdf_v2").list("vectors");
    assert_eq!(entries.len(), 6);
    for entry in entries {
        let auth_key = AuthKey::from_slice(&entry.bytes("auth_key")).unwrap();
        let from = side(entry.number("x"));
        let plaintext = entry.bytes("plaintext_with_padding");
        let large = kdf::msg_key_large(&auth_key, from, &plaintext);
        assert_eq!(large.msg_key(), MsgKey::from_bytes(entry.array("msg_key")), "{entry:?}");
        assert_eq!(large.quick_ack().to_raw(), entry.number::<u32>("quick_ack_token_u32"), "{entry:?}");
        assert_eq!(large.quick_ack().to_raw().to_le_bytes(), entry.array("quick_ack_token_le_bytes"));
        assert_eq!(kdf::msg_key_v2(&auth_key, from, &plaintext), large.msg_key());
        let aes = kdf::aes_v2(&auth_key, from, &large.msg_key());
        assert_eq!((aes.key, aes.iv), (entry.array("aes_key"), entry.array("aes_iv")), "{entry:?}");

        let mut data = plaintext.clone();
        let sealed = message::seal(&auth_key, from, &mut data).unwrap();
        assert_eq!(data, entry.bytes("ciphertext"), "{entry:?}");
        assert_eq!((sealed.msg_key, sealed.quick_ack), (large.msg_key(), large.quick_ack()));
        let opened = message::open(&auth_key, from, &sealed.msg_key, &mut data).unwrap();
        assert_eq!((data, opened), (plaintext, large.quick_ack()), "{entry:?}");
    }
}

#[test]
fn every_1_0_derivation_holds() {
    let entries = vectors::load("kdf_v1").list("vectors");
    assert_eq!(entries.len(), 7);
    for entry in entries {
        let auth_key = AuthKey::from_slice(&entry.bytes("auth_key")).unwrap();
        let from = side(entry.number("x"));
        let aes = kdf::aes_v1(&auth_key, from, &MsgKey::from_bytes(entry.array("msg_key")));
        assert_eq!((aes.key, aes.iv), (entry.array("aes_key"), entry.array("aes_iv")), "{entry:?}");
        if !entry.has("ciphertext") {
            continue;
        }
        let unpadded = entry.bytes("plaintext_without_padding");
        let msg_key = kdf::msg_key_v1(&unpadded);
        assert_eq!(msg_key, MsgKey::from_bytes(entry.array("msg_key")), "{entry:?}");
        let mut data = [unpadded.clone(), entry.bytes("padding")].concat();
        assert_eq!(message::seal_v1(&auth_key, from, &mut data, unpadded.len()), Ok(msg_key));
        assert_eq!(data, entry.bytes("ciphertext"), "{entry:?}");
        ige::decrypt(&aes.key, &aes.iv, &mut data).unwrap();
        assert_eq!(data[..unpadded.len()], unpadded);
    }
}

#[test]
fn the_hashes_inside_a_1_0_derivation_are_those_of_its_vector() {
    let entries = vectors::load("kdf_v1").list("vectors");
    let detailed: Vec<_> = entries.iter().filter(|entry| entry.has("sha1_a")).collect();
    assert_eq!(detailed.len(), 6);
    for entry in detailed {
        let (auth_key, msg_key) = (entry.bytes("auth_key"), entry.bytes("msg_key"));
        let x = entry.number::<usize>("x");
        let part = |from: usize, len: usize| &auth_key[x + from..][..len];
        let a: [u8; 20] = entry.array("sha1_a");
        let b: [u8; 20] = entry.array("sha1_b");
        let c: [u8; 20] = entry.array("sha1_c");
        let d: [u8; 20] = entry.array("sha1_d");
        assert_eq!(hash::sha1(&[&msg_key, part(0, 32)]), a, "{entry:?}");
        assert_eq!(hash::sha1(&[part(32, 16), &msg_key, part(48, 16)]), b, "{entry:?}");
        assert_eq!(hash::sha1(&[part(64, 32), &msg_key]), c, "{entry:?}");
        assert_eq!(hash::sha1(&[&msg_key, part(96, 32)]), d, "{entry:?}");
        let from = side(entry.number("x"));
        let aes = kdf::aes_v1(
            &AuthKey::from_slice(&auth_key).unwrap(),
            from,
            &MsgKey::from_bytes(entry.array("msg_key")),
        );
        assert_eq!(aes.key[..], [&a[..8], &b[8..], &c[4..16]].concat(), "{entry:?}");
        assert_eq!(aes.iv[..], [&a[8..], &b[..8], &c[16..], &d[..8]].concat(), "{entry:?}");
    }
}

#[test]
fn the_message_that_binds_a_temporary_key_opens_as_1_0() {
    let entries = vectors::load("bind_temp_auth_key").list("vectors");
    assert_eq!(entries.len(), 2);
    for entry in entries {
        let auth_key = AuthKey::from_slice(&entry.bytes("perm_auth_key")).unwrap();
        assert_eq!(auth_key.id().as_bytes(), &entry.array("perm_auth_key_id_le_bytes"));
        let mut frame = entry.bytes("encrypted_message");
        let msg_key = MsgKey::from_bytes(entry.array("msg_key"));
        assert_eq!(frame[..24], [&auth_key.id().as_bytes()[..], msg_key.as_bytes()].concat());
        let open = |data: &mut [u8], from, layout| message::open_v1(&auth_key, from, layout, &msg_key, data);
        let opened = open(&mut frame[24..], Side::Client, message::Layout::Envelope).unwrap();
        let plaintext = entry.bytes("plaintext_without_padding");
        assert_eq!(frame[24..24 + opened.unpadded_len], plaintext, "{entry:?}");

        for (from, layout) in
            [(Side::Server, message::Layout::Envelope), (Side::Client, message::Layout::SecretChat)]
        {
            let mut frame = entry.bytes("encrypted_message");
            assert_eq!(open(&mut frame[24..], from, layout), Err(message::OpenError::MsgKeyMismatch));
            assert!(frame[24..].iter().all(|byte| *byte == 0), "what failed to open is wiped");
        }
    }
}

#[test]
fn every_derivation_of_the_key_exchange_holds() {
    let entries = vectors::load("handshake_derivations").list("vectors");
    assert_eq!(entries.len(), 3);
    for entry in entries {
        let (new_nonce, server_nonce) = (entry.array("new_nonce"), entry.array("server_nonce"));
        let aes = nonce::tmp_aes(&new_nonce, &server_nonce);
        assert_eq!((aes.key, aes.iv), (entry.array("tmp_aes_key"), entry.array("tmp_aes_iv")), "{entry:?}");
        let aux_hash = AuthKey::from_slice(&entry.bytes("auth_key")).unwrap().aux_hash();
        assert_eq!(aux_hash, entry.array("aux_hash_le_bytes"), "{entry:?}");
        assert_eq!(nonce::new_nonce_hash(&new_nonce), entry.array("new_nonce_hash"), "{entry:?}");
        let numbers = [
            (HashNumber::Ok, "new_nonce_hash1"),
            (HashNumber::Retry, "new_nonce_hash2"),
            (HashNumber::Fail, "new_nonce_hash3"),
        ];
        for (number, field) in numbers {
            let hash = nonce::new_nonce_hash_n(&new_nonce, number, &aux_hash);
            assert_eq!(hash, entry.array(field), "{entry:?}: {field}");
        }
        let salt = nonce::first_salt(&new_nonce, &server_nonce);
        assert_eq!(salt.to_le_bytes(), entry.array("server_salt_le_bytes"), "{entry:?}");
    }
}

#[test]
fn a_message_of_1_0_is_sealed_only_with_less_than_a_block_of_padding() {
    let key = AuthKey::from_bytes([7; 256]);
    for (len, unpadded) in
        [(32, 0), (32, 16), (32, 33), (32, 48), (48, 16), (0, 0), (31, 31), (32, usize::MAX)]
    {
        let mut data = vec![0x22; len];
        let refused = message::seal_v1(&key, Side::Client, &mut data, unpadded);
        assert_eq!(refused, Err(SealError::InvalidLength { len }), "{len} {unpadded}");
        assert_eq!(data, vec![0x22; len], "the bytes are as they were");
    }
}
