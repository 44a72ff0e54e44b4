//! Every kernel against the portable code, on random input of every length class.

#[cfg(feature = "batch")]
mod batch;

use alloc::{vec, vec::Vec};

use rand_core::Rng;

use super::Backend;
use crate::rng::Drbg;

/// Every way this CPU can work, but the portable one.
fn backends() -> Vec<Backend> {
    let best = Backend::detect();
    let mut backends = vec![best, best.narrow()];
    backends.retain(|backend| !backend.is_portable());
    backends
}

fn rng(seed: u8) -> Drbg {
    Drbg::from_seed([seed; 32])
}

fn array<const N: usize>(rng: &mut Drbg) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn blocks(rng: &mut Drbg, count: usize) -> Vec<[u8; 16]> {
    (0..count).map(|_| array(rng)).collect()
}

/// Numbers of blocks around every border that a kernel has.
fn counts() -> impl Iterator<Item = usize> {
    (0..70).chain([127, 128, 129, 200, 1023, 1024, 1027])
}

#[test]
fn kernels_are_used_where_the_cpu_has_their_instructions() {
    #[cfg(target_arch = "x86_64")]
    let has_them = std::is_x86_feature_detected!("aes")
        && std::is_x86_feature_detected!("sha")
        && std::is_x86_feature_detected!("sse4.1");
    #[cfg(target_arch = "aarch64")]
    let has_them =
        std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
    let has_them = false;
    assert_eq!(Backend::detect().is_portable(), cfg!(chappe_portable) || !has_them);
}

#[test]
fn one_stream_is_what_the_portable_code_makes_of_it() {
    let mut rng = rng(1);
    for backend in backends() {
        for count in counts() {
            let (key, iv, data) = (array(&mut rng), array(&mut rng), blocks(&mut rng, count));
            let (mut fast, mut slow) = (data.clone(), data);
            backend.ige_encrypt(&key, &iv, fast.as_flattened_mut());
            Backend::portable().ige_encrypt(&key, &iv, slow.as_flattened_mut());
            assert_eq!(fast, slow, "{count} blocks encrypted by {backend:?}");
            backend.ige_decrypt(&key, &iv, fast.as_flattened_mut());
            Backend::portable().ige_decrypt(&key, &iv, slow.as_flattened_mut());
            assert_eq!(fast, slow, "{count} blocks decrypted by {backend:?}");
        }
    }
}

#[test]
fn hashes_and_stitched_passes_are_what_the_portable_code_makes_of_them() {
    let mut rng = rng(3);
    let portable = Backend::portable();
    for backend in backends() {
        for count in counts() {
            let (key, iv, prefix) = (array(&mut rng), array(&mut rng), array(&mut rng));
            let data = blocks(&mut rng, count);
            let digest = portable.sha256_prefixed(&prefix, &data);
            assert_eq!(
                backend.sha256_prefixed(&prefix, &data),
                digest,
                "{count} blocks hashed by {backend:?}"
            );

            let (mut fast, mut slow) = (data.clone(), data);
            let digest = portable.ige_decrypt_sha256(&key, &iv, &prefix, &mut slow);
            assert_eq!(backend.ige_decrypt_sha256(&key, &iv, &prefix, &mut fast), digest, "{count} blocks");
            assert_eq!(fast, slow, "{count} blocks decrypted by {backend:?}");
        }
    }
}

#[test]
fn keys_and_keystreams_are_what_the_portable_code_makes_of_them() {
    let mut rng = rng(6);
    for backend in backends() {
        for x in [0, 8] {
            let (secret, msg_key) = (array(&mut rng), array(&mut rng));
            let (fast, slow) =
                (backend.kdf_v2(&secret, x, &msg_key), Backend::portable().kdf_v2(&secret, x, &msg_key));
            assert_eq!((fast.key, fast.iv), (slow.key, slow.iv), "x = {x}");
        }
        for counter in [0, 1, u128::from(u64::MAX) - 3, u128::MAX - 5, u128::from_be_bytes(array(&mut rng))] {
            let key = array(&mut rng);
            let (mut fast, mut slow) = ([[0xa5; 128]; 3], [[0xa5; 128]; 3]);
            backend.ctr_key(&key).apply(counter, &mut fast);
            Backend::portable().ctr_key(&key).apply(counter, &mut slow);
            assert_eq!(fast, slow, "from {counter:x}");
        }
    }
}

/// What a kernel compiled for a CPU with AVX costs if it forgets to clean the registers: 140 times the time.
#[cfg(target_arch = "x86_64")]
#[test]
fn dirty_upper_halves_do_not_make_kernels_crawl() {
    use core::time::Duration;
    use std::time::Instant;

    if !std::arch::is_x86_feature_detected!("avx2") {
        return;
    }
    let mut data = blocks(&mut rng(7), 64);
    let mut fastest = |is_dirty: bool, backend: Backend| {
        let once = |data: &mut Vec<[u8; 16]>| {
            if is_dirty {
                // SAFETY: AVX2 was just detected; what changes in the lower halves is declared.
                unsafe {
                    core::arch::asm!("vpcmpeqd ymm15, ymm15, ymm15", "vpcmpeqd ymm3, ymm3, ymm3",
                        out("xmm15") _, out("xmm3") _, options(nomem, nostack));
                }
            }
            let start = Instant::now();
            core::hint::black_box(backend.ige_decrypt_sha256(&[1; 32], &[2; 32], &[3; 32], data));
            core::hint::black_box(backend.sha256_prefixed(&[3; 32], data));
            core::hint::black_box(backend.kdf_v2(&[4; 256], 8, &[5; 16]));
            start.elapsed()
        };
        (0..200).map(|_| once(&mut data)).min().unwrap_or(Duration::MAX)
    };
    for backend in backends() {
        let (clean, dirty) = (fastest(false, backend), fastest(true, backend));
        assert!(dirty < clean * 10, "{dirty:?} instead of {clean:?}");
    }
}
