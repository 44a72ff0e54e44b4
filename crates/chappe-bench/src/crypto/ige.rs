//! T1 and T2: AES-256-IGE of one stream, key schedule included.

use std::hint::black_box;

use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use chappe_crypto::ige;

use super::size;
use crate::{
    harness::{Case, Settings, measure},
    limits,
    report::{Bound, Report},
};

type InPlace = fn(&mut [u8], &[u8; 32], &[u8; 32]);

const LIMIT: &str = "AES chain";
const OURS: &str = "chappe";
const GRAMMERS: &str = "grammers-crypto";
const RUSTCRYPTO: &str = "RustCrypto ige";

const ENCRYPT: &[(&str, InPlace)] = &[
    (OURS, |data, key, iv| ige::encrypt(key, iv, data).expect("whole blocks")),
    (RUSTCRYPTO, |data, key, iv| {
        let (blocks, _) = Array::slice_as_chunks_mut(data);
        ::ige::Encryptor::<aes::Aes256>::new(key.into(), iv.into()).encrypt_blocks(blocks);
    }),
    (GRAMMERS, grammers_crypto::aes::ige_encrypt),
    ("layer-crypto", layer_crypto::aes::ige_encrypt),
    ("ferogram-crypto", ferogram_crypto::aes::ige_encrypt),
    #[cfg(openssl)]
    ("OpenSSL AES_ige_encrypt", |data, key, iv| crate::openssl::ige(key, iv, data, true)),
];

const DECRYPT: &[(&str, InPlace)] = &[
    (OURS, |data, key, iv| ige::decrypt(key, iv, data).expect("whole blocks")),
    (RUSTCRYPTO, |data, key, iv| {
        let (blocks, _) = Array::slice_as_chunks_mut(data);
        ::ige::Decryptor::<aes::Aes256>::new(key.into(), iv.into()).decrypt_blocks(blocks);
    }),
    (GRAMMERS, grammers_crypto::aes::ige_decrypt),
    ("layer-crypto", layer_crypto::aes::ige_decrypt),
    ("ferogram-crypto", ferogram_crypto::aes::ige_decrypt),
    #[cfg(openssl)]
    ("OpenSSL AES_ige_encrypt", |data, key, iv| crate::openssl::ige(key, iv, data, false)),
];

/// Measures both directions at each size.
pub fn run(settings: &Settings, report: &mut Report) {
    for (direction, functions, rustcrypto) in [("encrypt", ENCRYPT, 1.10), ("decrypt", DECRYPT, 1.22)] {
        agree(functions);
        for len in [128, 1024, 16 * 1024, 512 * 1024] {
            let title = format!("IGE {direction}, {}", size(len));
            if !settings.wants(&title) {
                continue;
            }
            let mut buffers = vec![vec![7; len]; functions.len()];
            let mut cases = vec![Case::new(LIMIT, len, || limits::aes_chain(black_box(len / 16)))];
            cases.extend(functions.iter().zip(&mut buffers).map(|((name, function), data)| {
                Case::new(*name, len, move || function(data, black_box(&[1; 32]), black_box(&[2; 32])))
            }));
            let group = measure(settings, &title, cases);
            let most = if len < 1024 { 1.20 } else { 1.03 };
            let ratio = |other| group.ratio(OURS, other);
            report.target("T1", format!("{title}: time / AES chain"), Bound::AtMost(most), ratio(LIMIT));
            if len >= 1024 {
                let text = |peer| format!("{title}: speed / {peer}");
                report.target("T2", text(GRAMMERS), Bound::AtLeast(2.3), ratio(GRAMMERS));
                report.target("T2", text(RUSTCRYPTO), Bound::AtLeast(rustcrypto), ratio(RUSTCRYPTO));
            }
            report.group(group);
        }
    }
}

/// What does not give the same bytes is not worth comparing.
fn agree(functions: &[(&str, InPlace)]) {
    let results = functions.iter().map(|(name, function)| {
        let mut data: Vec<u8> = (0..=255).collect();
        function(&mut data, &[1; 32], &[2; 32]);
        (*name, data)
    });
    let results: Vec<_> = results.collect();
    for (name, data) in &results {
        assert_eq!(*data, results[0].1, "{name} disagrees");
    }
}
