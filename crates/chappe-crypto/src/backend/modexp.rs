//! Exponentiation modulo an odd number of up to 2048 bits.
//!
//! [`Modulus`] is what the rest of the crate sees: numbers go in and come out as 256 big-endian bytes, and the
//! fastest kernel this CPU has does the work. [`portable`] runs everywhere.
//!
//! **Invariant:** neither time nor memory accesses depend on a base or on an exponent, except where a function's
//! name says that its exponent is public.

mod portable;

/// A number of 2048 bits, big-endian.
pub(crate) type Bytes = [u8; 256];

/// A number of 2048 bits as 64-bit limbs, least significant first.
type Limbs = [u64; 32];

/// An odd modulus above 1 with the constants its kernels need.
#[derive(Clone)]
pub(crate) struct Modulus {
    portable: portable::Modulus,
}

impl Modulus {
    /// Prepares arithmetic modulo `modulus`, which must be odd and above 1.
    pub(crate) fn new(modulus: &Bytes) -> Self {
        Self { portable: portable::Modulus::new(&limbs_from_bytes(modulus)) }
    }

    /// `base^exponent`, in constant time. The base may be any number of 2048 bits.
    pub(crate) fn pow(&self, base: &Bytes, exponent: &Bytes) -> Bytes {
        bytes_from_limbs(&self.portable.pow(&limbs_from_bytes(base), &limbs_from_bytes(exponent)))
    }

    /// `generator^exponent`, in constant time, for a public generator of 2 to 7.
    pub(crate) fn pow_generator(&self, generator: u8, exponent: &Bytes) -> Bytes {
        bytes_from_limbs(&self.portable.pow_generator(generator, &limbs_from_bytes(exponent)))
    }

    /// `generator^exponent` and `base^exponent`, in constant time.
    pub(crate) fn pow_pair(&self, generator: u8, base: &Bytes, exponent: &Bytes) -> (Bytes, Bytes) {
        (self.pow_generator(generator, exponent), self.pow(base, exponent))
    }

    /// `base^exponent` where everybody may know the exponent, given as big-endian bytes.
    pub(crate) fn pow_public(&self, base: &Bytes, exponent: &[u8]) -> Bytes {
        bytes_from_limbs(&self.portable.pow_public(&limbs_from_bytes(base), exponent))
    }

    /// `a * b`, in constant time, for any two numbers of 2048 bits.
    pub(crate) fn mul(&self, a: &Bytes, b: &Bytes) -> Bytes {
        bytes_from_limbs(&self.portable.mul(&limbs_from_bytes(a), &limbs_from_bytes(b)))
    }
}

fn limbs_from_bytes(bytes: &Bytes) -> Limbs {
    let (words, _) = bytes.as_chunks::<8>();
    let mut limbs = [0; 32];
    for (limb, word) in limbs.iter_mut().zip(words.iter().rev()) {
        *limb = u64::from_be_bytes(*word);
    }
    limbs
}

fn bytes_from_limbs(limbs: &Limbs) -> Bytes {
    let mut bytes = [0; 256];
    for (word, limb) in bytes.chunks_exact_mut(8).rev().zip(limbs) {
        word.copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests;
