//! AES-256-IGE and AES-256-CTR against `aes_ige.json` and `aes_ctr.json`.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read fails the test")]

use aes::Aes128;
use aes::cipher::{Array, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use chappe_conformance::vectors;
use chappe_crypto::{ctr::Ctr, ige};

#[test]
fn every_ige_vector_holds_in_both_directions() {
    let entries = vectors::load("aes_ige").list("vectors");
    let (aes_256, aes_128): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| entry.number::<u32>("key_bits") == 256);
    assert_eq!((aes_256.len(), aes_128.len()), (7, 2));
    for entry in aes_256 {
        let (key, iv) = (entry.array("key"), entry.array("iv"));
        let (plaintext, ciphertext) = (entry.bytes("plaintext"), entry.bytes("ciphertext"));
        let mut data = plaintext.clone();
        ige::encrypt(&key, &iv, &mut data).unwrap();
        assert_eq!(data, ciphertext, "{entry:?}");
        ige::decrypt(&key, &iv, &mut data).unwrap();
        assert_eq!(data, plaintext, "{entry:?}");
    }
}

/// MTProto has no AES-128. These two are published, and hold the mode that the portable path takes from RustCrypto.
#[test]
fn the_mode_beneath_the_portable_path_gives_the_published_aes_128_vectors() {
    let entries = vectors::load("aes_ige").list("vectors");
    for entry in entries.iter().filter(|entry| entry.number::<u32>("key_bits") == 128) {
        let (key, iv) = (entry.array::<16>("key"), entry.array::<32>("iv"));
        let (plaintext, ciphertext) = (entry.bytes("plaintext"), entry.bytes("ciphertext"));
        let mut data = plaintext.clone();
        let (blocks, _) = Array::slice_as_chunks_mut(&mut data);
        ::ige::Encryptor::<Aes128>::new(&key.into(), &iv.into()).encrypt_blocks(blocks);
        assert_eq!(data, ciphertext, "{entry:?}");
        let (blocks, _) = Array::slice_as_chunks_mut(&mut data);
        ::ige::Decryptor::<Aes128>::new(&key.into(), &iv.into()).decrypt_blocks(blocks);
        assert_eq!(data, plaintext, "{entry:?}");
    }
}

#[test]
fn a_stream_continues_with_its_last_blocks_as_iv() {
    for entry in vectors::load("aes_ige").list("vectors") {
        let plaintext = entry.bytes("plaintext");
        if entry.number::<u32>("key_bits") != 256 || plaintext.len() < 32 {
            continue;
        }
        let key = entry.array("key");
        let mut data = plaintext.clone();
        let (head, tail) = data.split_at_mut(16);
        ige::encrypt(&key, &entry.array("iv"), head).unwrap();
        let iv = [&head[..], &plaintext[..16]].concat().try_into().unwrap();
        ige::encrypt(&key, &iv, tail).unwrap();
        assert_eq!(data, entry.bytes("ciphertext"), "{entry:?}");
    }
}

#[test]
fn a_damaged_block_spoils_everything_behind_it() {
    let entries = vectors::load("aes_ige").list("corruption");
    assert_eq!(entries.len(), 1);
    for entry in entries {
        let mut data = entry.bytes("ciphertext");
        ige::decrypt(&entry.array("key"), &entry.array("iv"), &mut data).unwrap();
        assert_eq!(data, entry.bytes("decrypted"), "{entry:?}");
    }
}

#[test]
fn a_partial_block_is_refused_and_left_alone() {
    let entries = vectors::load("aes_ige").list("invalid");
    assert_eq!(entries.len(), 4);
    for entry in entries {
        assert_eq!(entry.text("expect"), "error");
        let len = entry.number("length");
        let mut data = vec![0xa5; len];
        assert_eq!(ige::encrypt(&[0; 32], &[0; 32], &mut data), Err(ige::LengthError { len }));
        assert_eq!(ige::decrypt(&[0; 32], &[0; 32], &mut data), Err(ige::LengthError { len }));
        assert_eq!(data, vec![0xa5; len]);
    }
}

#[test]
fn every_ctr_vector_holds_whole_and_from_every_offset() {
    let entries = vectors::load("aes_ctr").list("vectors");
    assert_eq!(entries.len(), 4);
    for entry in entries {
        let (key, iv) = (entry.array("key"), entry.array("iv"));
        let (plaintext, ciphertext) = (entry.bytes("plaintext"), entry.bytes("ciphertext"));
        for offset in 0..=plaintext.len() {
            let mut data = plaintext[offset..].to_vec();
            let mut ctr = Ctr::new(&key, &iv);
            ctr.seek(offset as u64);
            ctr.apply(&mut data);
            assert_eq!(data, ciphertext[offset..], "{entry:?} from {offset}");
            Ctr::new(&key, &iv).apply(&mut []);
        }
    }
}

#[test]
fn the_ctr_stream_survives_the_split_of_the_vector() {
    let entries: Vec<_> = vectors::load("aes_ctr").list("vectors");
    let entry = entries.iter().find(|entry| entry.has("split_lengths")).unwrap();
    let mut ctr = Ctr::new(&entry.array("key"), &entry.array("iv"));
    let plaintext = entry.bytes("plaintext");
    let mut rest = &plaintext[..];
    for expected in entry.bytes_list("split_ciphertexts") {
        let (part, behind) = rest.split_at(expected.len());
        let mut data = part.to_vec();
        ctr.apply(&mut data);
        assert_eq!(data, expected);
        rest = behind;
    }
    assert!(rest.is_empty());
}
