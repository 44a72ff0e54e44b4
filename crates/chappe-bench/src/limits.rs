//! Chains of dependent instructions: what no implementation of one stream can be faster than.
//!
//! Elsewhere than on `x86_64` with AES-NI and SHA-NI there is no such limit here, and the targets are not measured.

#![allow(unsafe_code, reason = "the limits are instructions")]

use core::arch::{
    asm,
    x86_64::{__m128i, _mm_aesenc_si128, _mm_loadu_si128, _mm_set1_epi32, _mm_sha256rnds2_epu32, _rdtsc},
};
use std::cell::Cell;

thread_local! {
    /// Passed from call to call, so that two calls cannot overlap.
    static SEED: Cell<[u8; 16]> = const { Cell::new([1; 16]) };
}

/// Returns whether the limits can be measured on this CPU.
pub fn are_known() -> bool {
    is_x86_feature_detected!("aes") && is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1")
}

/// 14 dependent AESENC for each block: the least that AES-256 in a chaining mode takes.
pub fn aes_chain(blocks: usize) {
    assert!(are_known(), "no AES-NI");
    // SAFETY: the CPU features were just detected.
    SEED.set(unsafe { aes(SEED.get(), blocks) });
}

/// 32 dependent SHA256RNDS2 for each block of 64 bytes: the least that SHA-256 takes.
pub fn sha_chain(blocks: usize) {
    assert!(are_known(), "no SHA-NI");
    // SAFETY: the CPU features were just detected.
    SEED.set(unsafe { sha(SEED.get(), blocks) });
}

/// How many hash blocks a message of `len` bytes behind a prefix of 32 fills.
pub fn hash_blocks(len: usize) -> usize {
    (32 + len + 9).div_ceil(64)
}

#[target_feature(enable = "aes,sse4.1")]
fn aes(seed: [u8; 16], blocks: usize) -> [u8; 16] {
    // SAFETY: the array has 16 bytes.
    let mut state = unsafe { _mm_loadu_si128(seed.as_ptr().cast()) };
    let key = _mm_set1_epi32(0x0102_0304);
    for _ in 0..blocks {
        for _ in 0..14 {
            state = _mm_aesenc_si128(state, key);
        }
    }
    // SAFETY: both are 16 bytes of plain data.
    unsafe { core::mem::transmute::<__m128i, [u8; 16]>(state) }
}

#[inline(never)]
#[target_feature(enable = "sha,sse4.1")]
fn sha(seed: [u8; 16], blocks: usize) -> [u8; 16] {
    // SAFETY: the array has 16 bytes.
    let mut a = unsafe { _mm_loadu_si128(seed.as_ptr().cast()) };
    let (mut b, key) = (_mm_set1_epi32(2), _mm_set1_epi32(3));
    for _ in 0..blocks {
        for _ in 0..16 {
            b = _mm_sha256rnds2_epu32(b, a, key);
            a = _mm_sha256rnds2_epu32(a, b, key);
        }
    }
    // SAFETY: both are 16 bytes of plain data.
    unsafe { core::mem::transmute::<__m128i, [u8; 16]>(a) }
}

/// Leaves the upper halves of vector registers dirty, or clean, as code that was run before may.
pub fn set_uppers(is_dirty: bool) {
    assert!(is_x86_feature_detected!("avx2"), "no AVX2");
    // SAFETY: AVX2 was just detected. The lower halves that change are declared; the upper ones are what this is for.
    unsafe {
        if is_dirty {
            asm!("vpcmpeqd ymm15, ymm15, ymm15", "vpcmpeqd ymm1, ymm1, ymm1", "vpcmpeqd ymm8, ymm8, ymm8",
                out("xmm15") _, out("xmm1") _, out("xmm8") _, options(nomem, nostack));
        } else {
            asm!("vzeroupper", options(nomem, nostack));
        }
    }
}

/// The time-stamp counter.
pub fn ticks() -> u64 {
    // SAFETY: every x86_64 CPU has it.
    unsafe { _rdtsc() }
}
