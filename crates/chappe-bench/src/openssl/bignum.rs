//! Modular exponentiation and the primality test of OpenSSL.

use core::{
    ffi::{c_int, c_uchar, c_void},
    ptr,
};

unsafe extern "C" {
    fn BN_new() -> *mut c_void;
    fn BN_free(number: *mut c_void);
    fn BN_bin2bn(bytes: *const c_uchar, len: c_int, out: *mut c_void) -> *mut c_void;
    fn BN_bn2binpad(number: *const c_void, to: *mut c_uchar, len: c_int) -> c_int;
    fn BN_CTX_new() -> *mut c_void;
    fn BN_CTX_free(context: *mut c_void);
    fn BN_MONT_CTX_new() -> *mut c_void;
    fn BN_MONT_CTX_free(montgomery: *mut c_void);
    fn BN_MONT_CTX_set(montgomery: *mut c_void, modulus: *const c_void, context: *mut c_void) -> c_int;
    fn BN_mod_exp_mont_consttime(
        result: *mut c_void,
        base: *const c_void,
        exponent: *const c_void,
        modulus: *const c_void,
        context: *mut c_void,
        montgomery: *mut c_void,
    ) -> c_int;
    fn BN_is_prime_ex(
        number: *const c_void,
        checks: c_int,
        context: *mut c_void,
        callback: *mut c_void,
    ) -> c_int;
}

/// One exponentiation, with everything prepared that does not belong to it.
pub struct Exponentiation {
    base: *mut c_void,
    exponent: *mut c_void,
    modulus: *mut c_void,
    result: *mut c_void,
    context: *mut c_void,
    montgomery: *mut c_void,
}

impl Exponentiation {
    /// Takes numbers as big-endian bytes; the modulus is odd.
    pub fn new(base: &[u8; 256], exponent: &[u8; 256], modulus: &[u8; 256]) -> Self {
        // SAFETY: `BN_bin2bn` reads 256 bytes and makes a new number; the other functions take no memory of ours.
        // The modulus is odd, as `BN_MONT_CTX_set` demands.
        unsafe {
            let number = |bytes: &[u8; 256]| BN_bin2bn(bytes.as_ptr(), 256, ptr::null_mut());
            let (context, montgomery) = (BN_CTX_new(), BN_MONT_CTX_new());
            let modulus = number(modulus);
            assert_eq!(BN_MONT_CTX_set(montgomery, modulus, context), 1, "OpenSSL refuses the modulus");
            let (base, exponent) = (number(base), number(exponent));
            Self { base, exponent, modulus, result: BN_new(), context, montgomery }
        }
    }

    /// `BN_mod_exp_mont_consttime`.
    pub fn run(&mut self) {
        // SAFETY: all six objects were made by OpenSSL in `new` and live until `drop`.
        let is_done = unsafe {
            BN_mod_exp_mont_consttime(
                self.result,
                self.base,
                self.exponent,
                self.modulus,
                self.context,
                self.montgomery,
            )
        };
        assert_eq!(is_done, 1, "OpenSSL failed");
    }

    /// The result of the last run, big-endian.
    pub fn result(&self) -> [u8; 256] {
        let mut bytes = [0; 256];
        // SAFETY: `result` lives, and 256 bytes may be written to `bytes`.
        unsafe { BN_bn2binpad(self.result, bytes.as_mut_ptr(), 256) };
        bytes
    }

    /// `BN_is_prime_ex` of the modulus, with the number of rounds that OpenSSL chooses.
    pub fn modulus_is_prime(&mut self) -> bool {
        // SAFETY: both objects live; a null callback is allowed.
        unsafe { BN_is_prime_ex(self.modulus, 0, self.context, ptr::null_mut()) == 1 }
    }
}

impl Drop for Exponentiation {
    fn drop(&mut self) {
        // SAFETY: each object was made in `new` and is freed once.
        unsafe {
            for number in [self.base, self.exponent, self.modulus, self.result] {
                BN_free(number);
            }
            BN_MONT_CTX_free(self.montgomery);
            BN_CTX_free(self.context);
        }
    }
}
