//! The few functions of OpenSSL that are measured. The library is linked where pkg-config finds it.

#![allow(unsafe_code, reason = "a C library")]

pub mod bignum;

use core::ffi::{c_int, c_uchar};

/// `AES_KEY`: 60 round key words and the number of rounds.
#[repr(C)]
struct AesKey {
    words: [u32; 60],
    rounds: c_int,
}

unsafe extern "C" {
    fn AES_set_encrypt_key(key: *const c_uchar, bits: c_int, out: *mut AesKey) -> c_int;
    fn AES_set_decrypt_key(key: *const c_uchar, bits: c_int, out: *mut AesKey) -> c_int;
    fn AES_ige_encrypt(
        input: *const c_uchar,
        output: *mut c_uchar,
        len: usize,
        key: *const AesKey,
        iv: *mut c_uchar,
        encrypt: c_int,
    );
}

/// `AES_ige_encrypt` in place, either direction.
pub fn ige(key: &[u8; 32], iv: &[u8; 32], data: &mut [u8], is_encryption: bool) {
    assert!(data.len().is_multiple_of(16), "OpenSSL would write behind the end");
    let (mut schedule, mut iv) = (AesKey { words: [0; 60], rounds: 0 }, *iv);
    let set_key = if is_encryption { AES_set_encrypt_key } else { AES_set_decrypt_key };
    // SAFETY: the key has 256 bits, the IV 32 bytes and the data whole blocks, as the functions demand; input and
    // output may be the same.
    unsafe {
        set_key(key.as_ptr(), 256, &raw mut schedule);
        AES_ige_encrypt(
            data.as_ptr(),
            data.as_mut_ptr(),
            data.len(),
            &raw const schedule,
            iv.as_mut_ptr(),
            c_int::from(is_encryption),
        );
    }
}
