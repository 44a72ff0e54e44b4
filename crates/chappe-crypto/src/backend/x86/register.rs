//! Loads, stores and XOR of 16 bytes: the only places where single-stream kernels touch memory.

use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128, _mm_xor_si128};

/// Reads 16 bytes.
#[inline(always)]
pub(super) fn load(block: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes may be read, at any alignment; SSE2 belongs to every x86_64 CPU.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

/// Writes 16 bytes.
#[inline(always)]
pub(super) fn store(block: &mut [u8; 16], value: __m128i) {
    // SAFETY: 16 bytes may be written, at any alignment; SSE2 belongs to every x86_64 CPU.
    unsafe { _mm_storeu_si128(block.as_mut_ptr().cast(), value) }
}

/// Reads both halves of 32 bytes.
#[inline(always)]
pub(super) fn load_pair(bytes: &[u8; 32]) -> [__m128i; 2] {
    [load(bytes.first_chunk().expect("32 > 16")), load(bytes.last_chunk().expect("32 > 16"))]
}

/// Writes both halves of 32 bytes.
#[inline(always)]
pub(super) fn store_pair(bytes: &mut [u8; 32], [low, high]: [__m128i; 2]) {
    store(bytes.first_chunk_mut().expect("32 > 16"), low);
    store(bytes.last_chunk_mut().expect("32 > 16"), high);
}

/// `a ^ b`.
#[inline(always)]
pub(super) fn xor(a: __m128i, b: __m128i) -> __m128i {
    // SAFETY: SSE2 belongs to every x86_64 CPU.
    unsafe { _mm_xor_si128(a, b) }
}
