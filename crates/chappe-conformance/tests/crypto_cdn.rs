//! CDN file parts against `cdn.json`.

#![allow(clippy::unwrap_used, reason = "a vector that cannot be read fails the test")]

use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::{
    cdn::{CdnError, CdnFileKey, FileHash, PartRange, check_part},
    ctr::Ctr,
    hash::sha256,
};

fn file_key(file: &Entry) -> CdnFileKey {
    CdnFileKey::new(&file.bytes("encryption_key"), &file.bytes("encryption_iv")).unwrap()
}

fn plaintext(file: &Entry) -> Vec<u8> {
    let plaintext = vectors::det(|data| sha256(&[data]), "cdn-file", file.number("plaintext_length"));
    assert_eq!(sha256(&[&plaintext]), file.array("plaintext_sha256"));
    plaintext
}

fn hashes(file: &Entry) -> Vec<FileHash> {
    let entries = file.list("file_hashes");
    assert_eq!(entries.len(), 2);
    let hash = |entry: &Entry| FileHash {
        offset: entry.number("offset"),
        limit: entry.number("limit"),
        hash: entry.array("hash"),
    };
    entries.iter().map(hash).collect()
}

#[test]
fn every_part_decrypts_from_its_offset() {
    let file = vectors::load("cdn");
    let (key, plaintext) = (file_key(&file), plaintext(&file));
    let mut ciphertext = plaintext.clone();
    key.decrypt(0, &mut ciphertext).unwrap();
    assert_eq!(sha256(&[&ciphertext]), file.array("ciphertext_sha256"));
    let parts = file.list("chunks");
    assert_eq!(parts.len(), 4);
    for part in parts {
        let (offset, len) = (part.number::<usize>("offset"), part.number::<usize>("length"));
        let range = PartRange::new(offset as u64, part.number("limit")).unwrap();
        let mut data = ciphertext[offset..offset + len].to_vec();
        assert_eq!(data[..32], part.bytes("ciphertext_first_32"), "{part:?}");
        assert_eq!(sha256(&[&data]), part.array("ciphertext_sha256"), "{part:?}");
        key.decrypt_part(range, &mut data).unwrap();
        assert_eq!(sha256(&[&data]), part.array("plaintext_sha256"), "{part:?}");
        assert_eq!(data, plaintext[offset..offset + len], "{part:?}");
    }
}

#[test]
fn the_iv_counts_blocks_in_its_last_four_bytes() {
    let file = vectors::load("cdn");
    let (key, examples) = (file_key(&file), file.list("iv_examples"));
    assert_eq!(examples.len(), 8);
    for example in examples {
        let (mut data, mut expected) = ([0; 64], [0; 64]);
        // Beyond 2^32 blocks the scheme does not say what happens, so compare one block.
        key.decrypt(example.number("offset"), &mut data[..16]).unwrap();
        Ctr::new(&file.array("encryption_key"), &example.array("iv")).apply(&mut expected[..16]);
        assert_eq!(data, expected, "{example:?}");
    }
    assert_eq!(key.decrypt(1 << 36, &mut []), Err(CdnError::OffsetTooLarge { offset: 1 << 36 }));
    assert_eq!(key.decrypt(8, &mut []), Err(CdnError::UnalignedOffset { offset: 8 }));
}

#[test]
fn sec_154_key_iv_range_and_part_sizes_are_checked() {
    let file = vectors::load("cdn");
    let (key, iv) = (file.bytes("encryption_key"), file.bytes("encryption_iv"));
    assert_eq!(CdnFileKey::new(&key[1..], &iv).err(), Some(CdnError::InvalidKey { key: 31, iv: 16 }));
    assert_eq!(CdnFileKey::new(&key, &iv[1..]).err(), Some(CdnError::InvalidKey { key: 32, iv: 15 }));

    let mib = 1024 * 1024;
    for (offset, limit) in [(0, 4096), (4096, 4096), (mib - 4096, 4096), (mib, 1 << 20), (mib, 1 << 19)] {
        let range = PartRange::new(offset, limit).unwrap();
        assert_eq!((range.offset(), range.limit()), (offset, limit));
    }
    let bad = [(0, 0), (0, 4095), (1, 4096), (2048, 4096), (0, 12288), (0, 2 << 20), (mib - 4096, 8192)];
    for (offset, limit) in bad {
        assert_eq!(PartRange::new(offset, limit), Err(CdnError::InvalidRange { offset, limit }));
    }
    assert_eq!(PartRange::new(1 << 40, 4096), Err(CdnError::OffsetTooLarge { offset: 1 << 40 }));
    let bad = PartRange::new(u64::MAX - 4095, 4096);
    assert_eq!(bad, Err(CdnError::OffsetTooLarge { offset: u64::MAX - 4095 }));

    let range = PartRange::new(4096, 4096).unwrap();
    let result = file_key(&file).decrypt_part(range, &mut [0; 4097]);
    assert_eq!(result, Err(CdnError::PartTooLong { len: 4097, limit: 4096 }));
}

#[test]
fn sec_155_every_byte_of_a_part_must_have_a_right_hash() {
    let file = vectors::load("cdn");
    let (plaintext, hashes) = (plaintext(&file), hashes(&file));
    let last = FileHash { limit: (plaintext.len() - 8192).try_into().unwrap(), ..hashes[1] };
    let known = [hashes[0], last];
    assert_eq!(check_part(0, &plaintext, &known), Ok(()));
    assert_eq!(check_part(0, &plaintext[..8192], &known), Ok(()));
    assert_eq!(check_part(8192, &plaintext[8192..], &known), Ok(()));
    assert_eq!(check_part(0, &[], &known), Ok(()));

    for at in [0, 8191, 8192, plaintext.len() - 1] {
        let mut altered = plaintext.clone();
        altered[at] ^= 1;
        let offset = if at < 8192 { 0 } else { 8192 };
        assert_eq!(check_part(0, &altered, &known), Err(CdnError::HashMismatch { offset }), "byte {at}");
    }
    let missing = |offset| Err(CdnError::MissingHash { offset });
    assert_eq!(check_part(0, &plaintext, &known[..1]), missing(8192));
    assert_eq!(check_part(4096, &plaintext[4096..8192], &known), missing(4096));
    assert_eq!(check_part(0, &plaintext[..4096], &known), missing(0));
    let nothing = FileHash { limit: 0, ..hashes[0] };
    assert_eq!(check_part(0, &plaintext, &[nothing]), missing(0));
}
