//! Exponentiation modulo an odd number of up to 2048 bits.
//!
//! [`Modulus`] is the interface to the rest of the crate: numbers are 256 big-endian bytes, and the fastest kernel of this
//! CPU computes. That is `ifma` with AVX-512 and IFMA, otherwise `scalar` with the inner loop of `mulx`, `umulh` or `rows`.
//!
//! **Invariant:** neither time nor memory accesses depend on a base or on an exponent, except where a function's
//! name says that its exponent is public.

mod comb;
#[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
mod ifma;
#[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
mod mulx;
mod rows;
mod scalar;
#[cfg(all(target_arch = "aarch64", target_pointer_width = "64", not(chappe_portable)))]
mod umulh;

use self::rows::PortableRows;

/// A number of 2048 bits, big-endian.
pub(crate) type Bytes = [u8; 256];

/// A number of 2048 bits as 64-bit limbs, least significant first.
type Limbs = [u64; 32];

/// Bits of the exponent that one table entry covers.
const WINDOW: usize = 5;
/// Windows of a 2048-bit exponent; the uppermost has 3 bits.
const WINDOWS: usize = 2048usize.div_ceil(WINDOW);

/// An odd modulus above 1, with the constants that its kernel needs.
#[derive(Clone)]
pub struct Modulus(Kernel);

#[derive(Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "both are large; a process holds few, and no allocation is worth it"
)]
enum Kernel {
    Portable(scalar::Modulus<PortableRows>),
    #[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
    Mulx(scalar::Modulus<mulx::Mulx>),
    #[cfg(all(target_arch = "aarch64", target_pointer_width = "64", not(chappe_portable)))]
    Umulh(scalar::Modulus<umulh::Umulh>),
    #[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
    Ifma(ifma::Modulus),
}

/// Evaluates the same expression with the chosen kernel as `$modulus`.
macro_rules! with_kernel {
    ($self:ident, $modulus:ident => $work:expr) => {
        match &$self.0 {
            Kernel::Portable($modulus) => $work,
            #[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
            Kernel::Mulx($modulus) => $work,
            #[cfg(all(target_arch = "aarch64", target_pointer_width = "64", not(chappe_portable)))]
            Kernel::Umulh($modulus) => $work,
            #[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
            Kernel::Ifma($modulus) => $work,
        }
    };
}

impl Modulus {
    /// Prepares arithmetic modulo `modulus`, which must be odd and above 1, with the best kernel of this CPU.
    pub fn new(modulus: &Bytes) -> Self {
        #[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
        if let Some(proof) = ifma::Ifma::detect() {
            return Self(Kernel::Ifma(ifma::Modulus::new(proof, &limbs_from_bytes(modulus))));
        }
        Self::scalar(modulus)
    }

    /// Prepares arithmetic modulo `modulus`, which must be odd and above 1, without vector registers.
    pub fn scalar(modulus: &Bytes) -> Self {
        #[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
        if let Some(proof) = mulx::Mulx::detect() {
            return Self(Kernel::Mulx(scalar::Modulus::new(proof, &limbs_from_bytes(modulus))));
        }
        #[cfg(all(target_arch = "aarch64", target_pointer_width = "64", not(chappe_portable)))]
        return Self(Kernel::Umulh(scalar::Modulus::new(umulh::Umulh, &limbs_from_bytes(modulus))));
        #[cfg(not(all(target_arch = "aarch64", target_pointer_width = "64", not(chappe_portable))))]
        Self::portable(modulus)
    }

    /// Prepares arithmetic modulo `modulus`, which must be odd and above 1, with portable code.
    pub fn portable(modulus: &Bytes) -> Self {
        Self(Kernel::Portable(scalar::Modulus::new(PortableRows, &limbs_from_bytes(modulus))))
    }

    /// `base^exponent`, in constant time. The base may be any number of 2048 bits.
    pub fn pow(&self, base: &Bytes, exponent: &Bytes) -> Bytes {
        let (base, exponent) = (limbs_from_bytes(base), limbs_from_bytes(exponent));
        let [power] = with_kernel!(self, modulus => modulus.pow([&base], &exponent));
        bytes_from_limbs(&power)
    }

    /// `base^exponent` for two bases, in constant time. Faster than two calls on some CPUs.
    pub fn pow_two(&self, bases: [&Bytes; 2], exponent: &Bytes) -> [Bytes; 2] {
        let (bases, exponent) = (bases.map(limbs_from_bytes), limbs_from_bytes(exponent));
        let powers = with_kernel!(self, modulus => modulus.pow(bases.each_ref(), &exponent));
        powers.each_ref().map(bytes_from_limbs)
    }

    /// `generator^exponent`, in constant time, for a public generator of 2 to 7.
    pub fn pow_generator(&self, generator: u8, exponent: &Bytes) -> Bytes {
        let exponent = limbs_from_bytes(exponent);
        bytes_from_limbs(&with_kernel!(self, modulus => modulus.pow_generator(generator, &exponent)))
    }

    /// `generator^exponent` and `base^exponent`, in constant time.
    pub fn pow_pair(&self, generator: u8, base: &Bytes, exponent: &Bytes) -> [Bytes; 2] {
        let (base, exponent) = (limbs_from_bytes(base), limbs_from_bytes(exponent));
        let powers = with_kernel!(self, modulus => modulus.pow_pair(generator, &base, &exponent));
        powers.each_ref().map(bytes_from_limbs)
    }

    /// `base^exponent` for a public exponent, given as big-endian bytes; constant time in the base.
    pub fn pow_public(&self, base: &Bytes, exponent: &[u8]) -> Bytes {
        let base = limbs_from_bytes(base);
        bytes_from_limbs(&with_kernel!(self, modulus => modulus.pow_public(&base, exponent)))
    }

    /// `a * b`, in constant time, for any two numbers of 2048 bits.
    pub fn mul(&self, a: &Bytes, b: &Bytes) -> Bytes {
        let (a, b) = (limbs_from_bytes(a), limbs_from_bytes(b));
        bytes_from_limbs(&with_kernel!(self, modulus => modulus.mul(&a, &b)))
    }
}

impl core::fmt::Debug for Modulus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.0 {
            Kernel::Portable(_) => "Modulus(portable)",
            #[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
            Kernel::Mulx(_) => "Modulus(mulx)",
            #[cfg(all(target_arch = "aarch64", target_pointer_width = "64", not(chappe_portable)))]
            Kernel::Umulh(_) => "Modulus(umulh)",
            #[cfg(all(target_arch = "x86_64", not(chappe_portable)))]
            Kernel::Ifma(_) => "Modulus(ifma)",
        })
    }
}

/// One bit of the exponent, as 0 or 1; above 2048 bits, 0. Positions are public.
fn exponent_bit(exponent: &Limbs, bit: usize) -> u64 {
    exponent.get(bit / 64).map_or(0, |limb| limb >> (bit % 64) & 1)
}

/// The five bits of the exponent that start at bit `5 * position`. Positions are public.
fn exponent_window(exponent: &Limbs, position: usize) -> u64 {
    let (limb, shift) = (position * WINDOW / 64, position * WINDOW % 64);
    let next = exponent.get(limb + 1).copied().unwrap_or(0);
    ((u128::from(next) << 64 | u128::from(exponent[limb])) >> shift) as u64 & ((1 << WINDOW) - 1)
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
