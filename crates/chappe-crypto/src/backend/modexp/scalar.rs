//! Montgomery arithmetic on 64-bit limbs, for every CPU.
//!
//! All multiplication goes through [`Rows`], portable or with better instructions.
//!
//! ```text
//! R = 2^2048;  a number x is kept as x R mod n
//! product:  t = a * b                        (row by row)
//! square:   each mixed product a[i] a[j] once: in squares of 16 and 8 limbs beside the diagonal, in triangles
//!           of 8 along it; then doubled, with the a[i]^2 added
//! reduce:   32 times: t += (t[0] * -1/n mod 2^64) * n;  t >>= 64
//!           subtract n once if t >= n, by mask
//! pow:      32 powers of the base; for every 5 bits of the exponent: 5 squarings, one product with the entry
//!           selected by reading the whole table; powers of the known generator: see [`comb`]
//! ```

use zeroize::Zeroizing;

use super::{
    Limbs, WINDOW, WINDOWS, comb, exponent_bit, exponent_window,
    rows::{Rows, multiply_add},
};

/// A product before its reduction.
type Wide = [u64; 64];

/// An odd modulus with its Montgomery constants.
#[derive(Clone)]
pub(super) struct Modulus<R> {
    rows: R,
    n: Limbs,
    /// `-n^-1 mod 2^64`.
    n0: u64,
    /// `R mod n`: the number one.
    one: Limbs,
    /// `R^2 mod n`: brings a number into Montgomery form.
    r2: Limbs,
}

impl<R: Rows> Modulus<R> {
    pub(super) fn new(rows: R, n: &Limbs) -> Self {
        let one = one_of(n);
        let mut modulus = Self { rows, n: *n, n0: negated_inverse(n[0]), one, r2: one };
        // 2 R, squared eleven times in Montgomery form: 2^(2^11) R = R^2.
        modulus.r2 = (0..11).fold(double(&one, n), |power, _| modulus.square(&power));
        modulus
    }

    pub(super) fn mul(&self, a: &Limbs, b: &Limbs) -> Limbs {
        self.montgomery_mul(&self.enter(a), b)
    }

    pub(super) fn pow<const W: usize>(&self, bases: [&Limbs; W], exponent: &Limbs) -> [Limbs; W] {
        bases.map(|base| self.pow_one(base, exponent))
    }

    pub(super) fn pow_pair(&self, generator: u8, base: &Limbs, exponent: &Limbs) -> [Limbs; 2] {
        [self.pow_generator(generator, exponent), self.pow_one(base, exponent)]
    }

    fn pow_one(&self, base: &Limbs, exponent: &Limbs) -> Limbs {
        let base = self.enter(base);
        let mut table = Zeroizing::new([self.one; 1 << WINDOW]);
        for i in 1..table.len() {
            table[i] = self.montgomery_mul(&table[i - 1], &base);
        }
        let mut power = select(&table, exponent_window(exponent, WINDOWS - 1));
        for position in (0..WINDOWS - 1).rev() {
            for _ in 0..WINDOW {
                power = self.square(&power);
            }
            power = self.montgomery_mul(&power, &select(&table, exponent_window(exponent, position)));
        }
        self.leave(&power)
    }

    pub(super) fn pow_generator(&self, generator: u8, exponent: &Limbs) -> Limbs {
        if comb::knows(&self.n, generator) {
            return self.pow_known(exponent);
        }
        let mut power = self.one;
        for bit in (0..2048).rev() {
            power = self.square(&power);
            let multiplied = self.times(&power, generator);
            power = choose(exponent_bit(exponent, bit), &multiplied, &power);
        }
        self.leave(&power)
    }

    pub(super) fn pow_public(&self, base: &Limbs, exponent: &[u8]) -> Limbs {
        let base = self.enter(base);
        let mut power = self.one;
        for byte in exponent {
            for bit in (0..8).rev() {
                power = self.square(&power);
                if byte >> bit & 1 == 1 {
                    power = self.montgomery_mul(&power, &base);
                }
            }
        }
        self.leave(&power)
    }

    /// The number one in Montgomery form.
    pub(super) const fn one(&self) -> Limbs {
        self.one
    }

    pub(super) fn enter(&self, a: &Limbs) -> Limbs {
        self.montgomery_mul(a, &self.r2)
    }

    pub(super) fn leave(&self, a: &Limbs) -> Limbs {
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(a);
        self.reduce(&mut wide)
    }

    /// `factor * a` for a factor of 1 to 7, by doubling and adding; the factor is public.
    pub(super) fn times(&self, a: &Limbs, factor: u8) -> Limbs {
        (0..factor.ilog2()).rev().fold(*a, |multiple, bit| {
            let doubled = double(&multiple, &self.n);
            if factor >> bit & 1 == 1 { add(&doubled, a, &self.n) } else { doubled }
        })
    }

    /// `a * b / R` for `a` below R and `b` below n.
    pub(super) fn montgomery_mul(&self, a: &Limbs, b: &Limbs) -> Limbs {
        let mut wide = [0; 64];
        for (i, &limb) in a.iter().enumerate() {
            wide[i + 32] = self.rows.add_product(part::<32>(&mut wide, i), b, limb);
        }
        self.reduce(&mut wide)
    }

    pub(super) fn square(&self, a: &Limbs) -> Limbs {
        let mut wide = [0; 64];
        self.add_mixed_products(&mut wide, a);
        double_and_add_squares(&mut wide, a);
        self.reduce(&mut wide)
    }

    /// Adds `a[i] a[j]` for all `i < j`.
    fn add_mixed_products(&self, wide: &mut Wide, a: &Limbs) {
        let (blocks, _) = a.as_chunks::<8>();
        let (halves, _) = a.as_chunks::<16>();
        // The triangle of each block of eight, and the square between it and its neighbour.
        for (k, block) in blocks.iter().enumerate() {
            for i in 0..7 {
                let mut carry = 0;
                for j in i + 1..8 {
                    let t = &mut wide[16 * k + i + j];
                    (*t, carry) = multiply_add(block[i], block[j], *t, carry);
                }
                // The lower half of a block's square ends where nothing was added yet.
                wide[16 * k + i + 8] = carry;
            }
        }
        for k in [0, 2] {
            let mut carries = [0; 8];
            for (i, &limb) in blocks[k].iter().enumerate() {
                carries[i] = self.rows.add_product(part::<8>(wide, 16 * k + 8 + i), &blocks[k + 1], limb);
            }
            add_at(&mut wide[16 * k + 16..][..16], &carries);
        }
        let mut carries = [0; 16];
        for (i, &limb) in halves[0].iter().enumerate() {
            carries[i] = self.rows.add_product(part::<16>(wide, 16 + i), &halves[1], limb);
        }
        add_at(&mut wide[32..], &carries);
    }

    /// `wide / R` for a value below `R n`.
    fn reduce(&self, wide: &mut Wide) -> Limbs {
        let mut overflow = 0;
        for i in 0..32 {
            let quotient = wide[i].wrapping_mul(self.n0);
            let carry = self.rows.add_product(part::<32>(wide, i), &self.n, quotient);
            let sum = u128::from(wide[i + 32]) + u128::from(carry) + u128::from(overflow);
            (wide[i + 32], overflow) = (sum as u64, (sum >> 64) as u64);
        }
        let mut high = [0; 32];
        high.copy_from_slice(&wide[32..]);
        subtract_once(&high, overflow, &self.n)
    }
}

/// The `N` limbs from `start` on.
#[inline(always)]
fn part<const N: usize>(wide: &mut Wide, start: usize) -> &mut [u64; N] {
    wide[start..].first_chunk_mut().expect("rows end within the product")
}

/// `t += a`, carrying through to the end of `t` whatever the numbers are; nothing is carried out.
fn add_at<const N: usize>(t: &mut [u64], a: &[u64; N]) {
    let mut carry = 0;
    for (t, a) in t.iter_mut().zip(a.iter().copied().chain(core::iter::repeat(0))) {
        let sum = u128::from(*t) + u128::from(a) + u128::from(carry);
        (*t, carry) = (sum as u64, (sum >> 64) as u64);
    }
}

/// Doubles all mixed products and adds the squares of the limbs.
fn double_and_add_squares(wide: &mut Wide, a: &Limbs) {
    let (mut top, mut carry) = (0, 0);
    let (pairs, _) = wide.as_chunks_mut::<2>();
    for ([low, high], a) in pairs.iter_mut().zip(a) {
        let square = u128::from(*a) * u128::from(*a);
        let low_sum = u128::from(*low << 1 | top) + u128::from(square as u64) + u128::from(carry);
        let high_sum = u128::from(*high << 1 | *low >> 63) + (square >> 64) + (low_sum >> 64);
        top = *high >> 63;
        (*low, *high, carry) = (low_sum as u64, high_sum as u64, (high_sum >> 64) as u64);
    }
}

/// `2 a mod n` for `a` below n.
pub(super) fn double(a: &Limbs, n: &Limbs) -> Limbs {
    add(a, a, n)
}

/// `a + b mod n` for `a` and `b` below n.
fn add(a: &Limbs, b: &Limbs, n: &Limbs) -> Limbs {
    let (mut sum, mut carry) = ([0; 32], false);
    for i in 0..32 {
        // Written like this, compilers see a chain of additions with carry.
        let (partial, first) = a[i].overflowing_add(b[i]);
        let (total, second) = partial.overflowing_add(u64::from(carry));
        (sum[i], carry) = (total, first | second);
    }
    subtract_once(&sum, u64::from(carry), n)
}

/// `a + overflow R - n` if that is not negative, else `a`; for a value below `2 n`.
pub(super) fn subtract_once(a: &Limbs, overflow: u64, n: &Limbs) -> Limbs {
    let (mut difference, mut borrow) = ([0; 32], false);
    for i in 0..32 {
        let (partial, first) = a[i].overflowing_sub(n[i]);
        let (total, second) = partial.overflowing_sub(u64::from(borrow));
        (difference[i], borrow) = (total, first | second);
    }
    choose(overflow | u64::from(!borrow), &difference, a)
}

/// `a` if `condition` is 1, `b` if it is 0, by mask.
fn choose(condition: u64, a: &Limbs, b: &Limbs) -> Limbs {
    // The barrier keeps the compiler from seeing a two-valued mask and branching on it.
    let mask = core::hint::black_box(condition.wrapping_neg());
    core::array::from_fn(|i| (a[i] & mask) | (b[i] & !mask))
}

/// Reads the entry at `index` by touching all of them.
pub(super) fn select(table: &[Limbs; 1 << WINDOW], index: u64) -> Limbs {
    let mut entry = [0; 32];
    for (i, candidate) in (0u64..).zip(table) {
        let equal = (i ^ index).wrapping_sub(1) >> 63;
        let mask = core::hint::black_box(equal.wrapping_neg());
        for (limb, value) in entry.iter_mut().zip(candidate) {
            *limb |= value & mask;
        }
    }
    entry
}

/// `2^2048 mod n`.
pub(super) fn one_of(n: &Limbs) -> Limbs {
    let bits = bit_length(n);
    // The greatest power of two below n, doubled until it is 2^2048.
    let mut power = [0; 32];
    power[(bits - 1) / 64] = 1 << ((bits - 1) % 64);
    (bits - 1..2048).fold(power, |power, _| double(&power, n))
}

/// `-n^-1 mod 2^64` by Newton's iteration, which doubles the right bits with each step.
pub(super) fn negated_inverse(n: u64) -> u64 {
    let inverse = (0..5).fold(n.wrapping_mul(3) ^ 2, |inverse, _| {
        inverse.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(inverse)))
    });
    inverse.wrapping_neg()
}

/// Number of bits of a non-zero number.
fn bit_length(n: &Limbs) -> usize {
    let top = n.iter().rposition(|&limb| limb != 0).expect("a modulus is not zero");
    top * 64 + 64 - n[top].leading_zeros() as usize
}
