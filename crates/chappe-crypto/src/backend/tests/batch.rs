//! The kernels for several streams or messages.

use alloc::vec::Vec;

use super::{array, backends, blocks, rng};
use crate::{
    backend::{Backend, batch::MessageStream},
    ige::IgeStream,
};

#[test]
fn many_streams_of_unequal_length_are_what_the_portable_code_makes_of_them() {
    let mut rng = rng(2);
    for backend in backends() {
        for count in (0..40).chain([64]) {
            let (keys, ivs): (Vec<_>, Vec<_>) =
                (0..count).map(|_| (array(&mut rng), array(&mut rng))).unzip();
            let lens = (0..count).map(|i| if count % 3 == 0 { 67 } else { i * 13 % 50 });
            let data: Vec<_> = lens.map(|len| blocks(&mut rng, len)).collect();
            let run = |backend: Backend, data: &mut Vec<Vec<[u8; 16]>>, is_decryption: bool| {
                let mut streams: Vec<_> = (keys.iter().zip(&ivs).zip(data))
                    .map(|((key, iv), data)| IgeStream::new(key, iv, data.as_flattened_mut()).unwrap())
                    .collect();
                if is_decryption {
                    backend.ige_decrypt_many(&mut streams);
                } else {
                    backend.ige_encrypt_many(&mut streams);
                }
            };
            for is_decryption in [false, true] {
                let (mut fast, mut slow) = (data.clone(), data.clone());
                run(backend, &mut fast, is_decryption);
                run(Backend::portable(), &mut slow, is_decryption);
                assert_eq!(fast, slow, "{count} streams, {backend:?}");
            }
        }
    }
}

#[test]
fn a_message_is_hashed_right_under_the_encryption_of_another_of_any_length() {
    let mut rng = rng(4);
    let portable = Backend::portable();
    for backend in backends() {
        for count in (0..24).chain([100]) {
            for next_count in (0..24).chain([100]) {
                let (key, iv, prefix) = (array(&mut rng), array(&mut rng), array(&mut rng));
                let (data, next) = (blocks(&mut rng, count), blocks(&mut rng, next_count));
                let (mut fast, mut slow) = (data.clone(), data);
                let digest = portable.ige_encrypt_sha256(&key, &iv, &mut slow, &prefix, &next);
                let found = backend.ige_encrypt_sha256(&key, &iv, &mut fast, &prefix, &next);
                assert_eq!((found, fast), (digest, slow), "{count} and {next_count} blocks, {backend:?}");
            }
        }
    }
}

#[test]
fn many_messages_are_what_the_portable_code_makes_of_them() {
    let mut rng = rng(5);
    for backend in backends() {
        for count in [0, 1, 4, 11, 12, 13, 15, 16, 17, 28, 33] {
            for len in [2, 5, 6, 7, 9, 66, 67, 131] {
                let prefixes: Vec<_> = (0..count).map(|_| array(&mut rng)).collect();
                let data: Vec<_> = (0..count).map(|i| blocks(&mut rng, len + i % 3)).collect();
                let (mut fast, mut slow) = (data.clone(), data);
                let key = array(&mut rng);
                let digests = |backend: Backend, data: &mut Vec<Vec<[u8; 16]>>, is_decryption: bool| {
                    let mut messages: Vec<_> = (prefixes.iter().zip(data).zip(0..))
                        .map(|((prefix, data), i)| MessageStream {
                            prefix,
                            key,
                            iv: [i; 32],
                            data,
                            digest: [0xa5; 32],
                        })
                        .collect();
                    if is_decryption {
                        backend.ige_decrypt_sha256_many(&mut messages);
                    } else {
                        backend.sha256_prefixed_many(&mut messages);
                    }
                    messages.iter().map(|message| message.digest).collect::<Vec<_>>()
                };
                for is_decryption in [false, true] {
                    let found = digests(backend, &mut fast, is_decryption);
                    let right = digests(Backend::portable(), &mut slow, is_decryption);
                    assert_eq!((found, &fast), (right, &slow), "{count} of {len} blocks, {backend:?}");
                }
            }
        }
    }
}
