//! Arithmetic modulo one odd number below 2^63, in Montgomery form with R = 2^64.
//!
//! All values that go in and come out are below the modulus. Nothing here is secret, so nothing here is
//! constant time.

/// An odd modulus below 2^63 and what Montgomery multiplication needs to know about it.
#[derive(Clone, Copy)]
pub(super) struct Field {
    modulus: u64,
    /// `modulus^-1 mod 2^64`.
    inverse: u64,
    /// `2^64 mod modulus`: the number one.
    one: u64,
    /// `2^128 mod modulus`: brings a number into Montgomery form.
    r_squared: u64,
}

impl Field {
    /// Prepares arithmetic modulo `modulus`, which must be odd, above 1 and below 2^63.
    pub(super) fn new(modulus: u64) -> Self {
        debug_assert!(modulus % 2 == 1 && modulus > 1 && modulus < 1 << 63);
        // Newton's iteration: `3n ^ 2` is right in five bits, and each step doubles them.
        let mut inverse = modulus.wrapping_mul(3) ^ 2;
        for _ in 0..4 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(modulus.wrapping_mul(inverse)));
        }
        let one = (u64::MAX % modulus + 1) % modulus;
        let r_squared = (u128::from(one) * u128::from(one) % u128::from(modulus)) as u64;
        Self { modulus, inverse, one, r_squared }
    }

    pub(super) const fn modulus(&self) -> u64 {
        self.modulus
    }

    pub(super) const fn one(&self) -> u64 {
        self.one
    }

    /// Brings a number below 2^63 into Montgomery form.
    #[inline(always)]
    pub(super) fn enter(&self, a: u64) -> u64 {
        self.mul(a, self.r_squared)
    }

    /// Takes a number out of Montgomery form.
    #[inline(always)]
    pub(super) fn leave(&self, a: u64) -> u64 {
        self.mul(a, 1)
    }

    /// `a * b / 2^64`.
    #[inline(always)]
    pub(super) fn mul(&self, a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        // `quotient * modulus` agrees with `product` in the low half, so the difference of the high halves is
        // the result, possibly one modulus too low.
        let quotient = (product as u64).wrapping_mul(self.inverse);
        let excess = ((u128::from(quotient) * u128::from(self.modulus)) >> 64) as u64;
        self.reduce_borrow(((product >> 64) as u64).overflowing_sub(excess))
    }

    #[inline(always)]
    pub(super) fn square(&self, a: u64) -> u64 {
        self.mul(a, a)
    }

    #[inline(always)]
    pub(super) fn add(&self, a: u64, b: u64) -> u64 {
        // Both are below 2^63: the sum cannot wrap.
        let sum = a + b;
        if sum >= self.modulus { sum - self.modulus } else { sum }
    }

    #[inline(always)]
    pub(super) fn sub(&self, a: u64, b: u64) -> u64 {
        self.reduce_borrow(a.overflowing_sub(b))
    }

    /// `base^exponent`, base and result in Montgomery form.
    pub(super) fn pow(&self, base: u64, exponent: u64) -> u64 {
        let mut power = self.one;
        for bit in (0..u64::BITS - exponent.leading_zeros()).rev() {
            power = self.square(power);
            if exponent >> bit & 1 == 1 {
                power = self.mul(power, base);
            }
        }
        power
    }

    #[inline(always)]
    fn reduce_borrow(&self, (difference, borrow): (u64, bool)) -> u64 {
        if borrow { difference.wrapping_add(self.modulus) } else { difference }
    }
}

/// The greatest common divisor (Stein's binary algorithm); `gcd(0, b) = b`.
pub(super) fn gcd(mut a: u64, mut b: u64) -> u64 {
    if a == 0 || b == 0 {
        return a | b;
    }
    let twos = (a | b).trailing_zeros();
    a >>= a.trailing_zeros();
    while b != 0 {
        b >>= b.trailing_zeros();
        if a > b {
            core::mem::swap(&mut a, &mut b);
        }
        b -= a;
    }
    a << twos
}

/// `a^-1 mod modulus` (Euclid's extended algorithm), or `None` if they share a factor.
pub(super) fn invert(a: u64, modulus: u64) -> Option<u64> {
    let (mut t, mut next_t) = (0i64, 1i64);
    let (mut r, mut next_r) = (modulus, a);
    while next_r != 0 {
        let quotient = r / next_r;
        // The coefficients stay below the modulus in absolute value, which is below 2^63; only the last
        // `next_t`, which is never read, may reach it.
        (t, next_t) = (next_t, t.wrapping_sub((quotient as i64).wrapping_mul(next_t)));
        (r, next_r) = (next_r, r - quotient * next_r);
    }
    (r == 1).then(|| if t < 0 { t.wrapping_add(modulus as i64) as u64 } else { t as u64 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn products_sums_and_differences_agree_with_wide_arithmetic(n in 1u64..1 << 62, a: u64, b: u64) {
            let n = 2 * n + 1;
            let (a, b) = (a % n, b % n);
            let field = Field::new(n);
            let product = field.leave(field.mul(field.enter(a), field.enter(b)));
            prop_assert_eq!(u128::from(product), u128::from(a) * u128::from(b) % u128::from(n));
            prop_assert_eq!(u128::from(field.add(a, b)), (u128::from(a) + u128::from(b)) % u128::from(n));
            prop_assert_eq!(field.add(field.sub(a, b), b), a);
        }

        #[test]
        fn an_inverse_times_its_number_is_one(n in 1u64..1 << 62, a in 1u64..) {
            let n = 2 * n + 1;
            let a = a % n;
            let product = invert(a, n).map(|inverse| u128::from(a) * u128::from(inverse) % u128::from(n));
            prop_assert_eq!(product, (gcd(a, n) == 1).then_some(1));
        }
    }

    #[test]
    fn gcd_of_zero_is_the_other_number() {
        assert_eq!(gcd(0, 9), 9);
        assert_eq!(gcd(9, 0), 9);
        assert_eq!(gcd(12, 18), 6);
    }
}
