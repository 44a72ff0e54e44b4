//! Loads, stores and XOR of 16 bytes: the only places where single-stream kernels touch memory.

use core::arch::aarch64::{uint8x16_t, veorq_u8, vld1q_u8, vst1q_u8};

/// Reads 16 bytes.
#[inline(always)]
pub(super) fn load(block: &[u8; 16]) -> uint8x16_t {
    // SAFETY: 16 bytes may be read, at any alignment; NEON belongs to every target that this module is built for.
    unsafe { vld1q_u8(block.as_ptr()) }
}

/// Writes 16 bytes.
#[inline(always)]
pub(super) fn store(block: &mut [u8; 16], value: uint8x16_t) {
    // SAFETY: 16 bytes may be written, at any alignment; NEON belongs to every target that this module is built for.
    unsafe { vst1q_u8(block.as_mut_ptr(), value) }
}

/// Reads both halves of 32 bytes.
#[inline(always)]
pub(super) fn load_pair(bytes: &[u8; 32]) -> [uint8x16_t; 2] {
    [load(bytes.first_chunk().expect("32 > 16")), load(bytes.last_chunk().expect("32 > 16"))]
}

/// Writes both halves of 32 bytes.
#[inline(always)]
pub(super) fn store_pair(bytes: &mut [u8; 32], [low, high]: [uint8x16_t; 2]) {
    store(bytes.first_chunk_mut().expect("32 > 16"), low);
    store(bytes.last_chunk_mut().expect("32 > 16"), high);
}

/// `a ^ b`.
#[inline(always)]
pub(super) fn xor(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    // SAFETY: NEON belongs to every target that this module is built for.
    unsafe { veorq_u8(a, b) }
}
