//! Montgomery arithmetic with AVX-512 IFMA, which multiplies eight pairs of 52-bit numbers per instruction.
//!
//! A number is 40 limbs of 52 bits in five registers, limb `8 j + l` in lane `l` of register `j`. R is 2^2080, so
//! much larger than a modulus that products below `8 n` times `8 n` come out below `2 n`: nothing is subtracted
//! until the end. The steps of one product depend on each other; two independent products side by side (`W = 2`)
//! take little longer than one.
//!
//! ```text
//! product a * b / R:
//!     acc = 0                                           (40 lanes of 64 bits)
//!     for each limb b[i]:
//!         acc += low halves of a * b[i]
//!         m    = acc[0] * -1/n mod 2^52
//!         acc += low halves of n * m                    (acc[0] is now a multiple of 2^52)
//!         acc  = acc moved down by one lane, plus the carry out of acc[0]
//!         acc += high halves of a * b[i] and of n * m
//!     acc *= small factor of the caller                 (still below 2^63 in each lane)
//!     settle: acc[i] = low 52 bits + carry of acc[i-1], all lanes at once; the single carries that this leaves
//!             ripple through an addition of two 40-bit masks
//!
//! square: the same, but in the rows of block I the blocks above I count twice and those below not at all.
//!         2 a[i] has 53 bits, so its top bit is a masked addition of a beside the products.
//!
//! g^e and b^e together: for each 5 bits of e
//!     5 times: square both; the factor of the left one is g if the bit is set, else 1
//!     right one *= b^(the 5 bits), selected by reading the whole table
//! ```
//!
//! Masks and selected entries are computed without a branch and all of the table is read, so neither time nor
//! addresses depend on the exponent or on the numbers.

#![expect(clippy::needless_range_loop, reason = "registers and products are numbered, as in the pseudo code")]

use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_alignr_epi64, _mm512_and_si512, _mm512_broadcastq_epi64,
    _mm512_castsi512_si128, _mm512_cmpeq_epu64_mask, _mm512_cmpgt_epu64_mask, _mm512_loadu_si512,
    _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_add_epi64, _mm512_maskz_srli_epi64,
    _mm512_mullo_epi64, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srli_epi64,
    _mm512_storeu_si512,
};

use zeroize::{Zeroize, Zeroizing};

use super::{
    Limbs, WINDOW, WINDOWS, exponent_bit, exponent_window,
    scalar::{double, negated_inverse, one_of, subtract_once},
};

/// Limbs of a number, and how many registers hold them.
const LIMBS: usize = 40;
const REGISTERS: usize = 5;
const LIMB_BITS: usize = 52;
const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;

/// A number in registers.
type Lanes = [__m512i; REGISTERS];

/// The powers of a base that the windows of an exponent select from.
type Table = [Words; 1 << WINDOW];

/// A number in memory, aligned to whole registers.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Words([[u64; 8]; REGISTERS]);

impl Zeroize for Words {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// Proof that this CPU and its operating system run AVX-512 with IFMA. Only [`Ifma::detect`] makes one.
#[derive(Clone, Copy)]
pub(super) struct Ifma(());

cpufeatures::new!(ifma_detected, "avx512f", "avx512dq", "avx512ifma");

impl Ifma {
    /// Detects the CPU's features. The result is cached.
    pub(super) fn detect() -> Option<Self> {
        ifma_detected::get().then_some(Self(()))
    }
}

/// An odd modulus with its Montgomery constants for R = 2^2080, and the proof that the kernels may run.
#[derive(Clone)]
pub(super) struct Modulus {
    plain: Limbs,
    n: Words,
    /// `-n^-1 mod 2^52`.
    n0: u64,
    /// `R mod n`: the number one.
    one: Words,
    /// `R^2 mod n`: brings a number into Montgomery form.
    r2: Words,
    _proof: Ifma,
}

impl Modulus {
    pub(super) fn new(proof: Ifma, n: &Limbs) -> Self {
        // 2^2048 mod n, doubled until it is R.
        let one = (0..32).fold(one_of(n), |power, _| double(&power, n));
        let words = Words::from_limbs(&one);
        let n0 = negated_inverse(n[0]) & LIMB_MASK;
        let mut modulus =
            Self { plain: *n, n: Words::from_limbs(n), n0, one: words, r2: words, _proof: proof };
        // 2 R, squared eleven times in Montgomery form, is 2^2048 R; doubled 32 times, R^2.
        let start = Words::from_limbs(&double(&one, n));
        // SAFETY: `square_times` needs the features that `proof` stands for and nothing else.
        let power = unsafe { square_times(&modulus, &start, 11) };
        let power = subtract_once(&power.to_limbs(), 0, n);
        modulus.r2 = Words::from_limbs(&(0..32).fold(power, |power, _| double(&power, n)));
        modulus
    }

    /// `a * b mod n`.
    pub(super) fn mul(&self, a: &Limbs, b: &Limbs) -> Limbs {
        // SAFETY: `self` holds the proof for the features that `mul` needs; it needs nothing else.
        self.finish(&unsafe { mul(self, &Words::from_limbs(a), &Words::from_limbs(b)) })
    }

    /// `base^exponent mod n` for each base, in constant time.
    pub(super) fn pow<const W: usize>(&self, bases: [&Limbs; W], exponent: &Limbs) -> [Limbs; W] {
        // SAFETY: `self` holds the proof for the features that `pow` needs; it needs nothing else.
        unsafe { pow(self, bases.map(Words::from_limbs), exponent) }.map(|power| self.finish(&power))
    }

    /// `generator^exponent mod n`, in constant time.
    pub(super) fn pow_generator(&self, generator: u8, exponent: &Limbs) -> Limbs {
        // SAFETY: `self` holds the proof for the features that `pow_generator` needs; it needs nothing else.
        self.finish(&unsafe { pow_generator(self, generator, exponent) })
    }

    /// `generator^exponent` and `base^exponent mod n`, in constant time.
    pub(super) fn pow_pair(&self, generator: u8, base: &Limbs, exponent: &Limbs) -> [Limbs; 2] {
        // SAFETY: `self` holds the proof for the features that `pow_pair` needs; it needs nothing else.
        unsafe { pow_pair(self, generator, &Words::from_limbs(base), exponent) }
            .map(|power| self.finish(&power))
    }

    /// `base^exponent mod n` for a public exponent, given as big-endian bytes.
    pub(super) fn pow_public(&self, base: &Limbs, exponent: &[u8]) -> Limbs {
        // SAFETY: `self` holds the proof for the features that `pow_public` needs; it needs nothing else.
        self.finish(&unsafe { pow_public(self, &Words::from_limbs(base), exponent) })
    }

    /// Brings a number of at most `n` below `n`.
    fn finish(&self, words: &Words) -> Limbs {
        subtract_once(&words.to_limbs(), 0, &self.plain)
    }
}

impl Words {
    const ZERO: Self = Self([[0; 8]; REGISTERS]);
    /// The number one, not in Montgomery form.
    const ONE: Self = {
        let mut words = Self::ZERO;
        words.0[0][0] = 1;
        words
    };

    fn limb(&self, i: usize) -> u64 {
        self.0[i / 8][i % 8]
    }

    /// Cuts 2048 bits into limbs of 52.
    fn from_limbs(limbs: &Limbs) -> Self {
        let mut words = Self::ZERO;
        for i in 0..LIMBS {
            let (limb, shift) = (i * LIMB_BITS / 64, i * LIMB_BITS % 64);
            let at = |limb: usize| u128::from(limbs.get(limb).copied().unwrap_or(0));
            words.0[i / 8][i % 8] = ((at(limb + 1) << 64 | at(limb)) >> shift) as u64 & LIMB_MASK;
        }
        words
    }

    /// Joins settled limbs to 2048 bits; the number is below 2^2048.
    fn to_limbs(self) -> Limbs {
        let mut limbs = [0; 32];
        for i in 0..LIMBS {
            let (limb, shift) = (i * LIMB_BITS / 64, i * LIMB_BITS % 64);
            let wide = u128::from(self.limb(i)) << shift;
            for (j, part) in [(limb, wide as u64), (limb + 1, (wide >> 64) as u64)] {
                // The bits above 2048 are zero.
                if let Some(limb) = limbs.get_mut(j) {
                    *limb |= part;
                }
            }
        }
        limbs
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(&self) -> Lanes {
        let mut lanes = [_mm512_setzero_si512(); REGISTERS];
        for (lanes, words) in lanes.iter_mut().zip(&self.0) {
            *lanes = load(words);
        }
        lanes
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(&mut self, lanes: &Lanes) {
        for (words, lanes) in self.0.iter_mut().zip(lanes) {
            // SAFETY: `words` is 64 writable bytes, and this store needs no alignment.
            unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), *lanes) }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u64; 8]) -> __m512i {
    // SAFETY: `words` is 64 readable bytes, and this load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn mul(modulus: &Modulus, a: &Words, b: &Words) -> Words {
    let entered = product([modulus], [a], [&modulus.r2]);
    stored(product_of_lanes([modulus], &entered, [b]))[0]
}

/// `a^(2^count)`, for `a` in Montgomery form.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn square_times(modulus: &Modulus, a: &Words, count: usize) -> Words {
    (0..count).fold(*a, |power, _| stored(square([modulus], &[power], [1]))[0])
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn pow<const W: usize>(modulus: &Modulus, bases: [Words; W], exponent: &Limbs) -> [Words; W] {
    let tables = powers([modulus; W], bases.each_ref());
    let mut power = Zeroizing::new(stored(select_each(&tables, exponent, WINDOWS - 1)));
    for position in (0..WINDOWS - 1).rev() {
        for _ in 0..WINDOW {
            *power = stored(square([modulus; W], &power, [1; W]));
        }
        *power = stored(product_of_lanes(
            [modulus; W],
            &select_each(&tables, exponent, position),
            power.each_ref(),
        ));
    }
    leave([modulus; W], &power)
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn pow_generator(modulus: &Modulus, generator: u8, exponent: &Limbs) -> Words {
    let mut power = Zeroizing::new([modulus.one]);
    for bit in (0..2048).rev() {
        *power = stored(square([modulus], &power, [factor(generator, exponent, bit)]));
    }
    leave([modulus], &power)[0]
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn pow_pair(modulus: &Modulus, generator: u8, base: &Words, exponent: &Limbs) -> [Words; 2] {
    let [table] = &*powers([modulus], [base]);
    let mut power = Zeroizing::new([modulus.one; 2]);
    for position in (0..WINDOWS).rev() {
        for bit in (0..WINDOW).rev() {
            let factor = factor(generator, exponent, position * WINDOW + bit);
            *power = stored(square([modulus; 2], &power, [factor, 1]));
        }
        let entry = select(table, exponent_window(exponent, position));
        power[1] = stored(product_of_lanes([modulus], &[entry], [&power[1]]))[0];
    }
    leave([modulus; 2], &power)
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn pow_public(modulus: &Modulus, base: &Words, exponent: &[u8]) -> Words {
    let base = product([modulus], [base], [&modulus.r2]);
    let mut power = [modulus.one];
    for byte in exponent {
        for bit in (0..8).rev() {
            power = stored(square([modulus], &power, [1]));
            if byte >> bit & 1 == 1 {
                power = stored(product_of_lanes([modulus], &base, power.each_ref()));
            }
        }
    }
    leave([modulus], &power)[0]
}

/// `generator` if the bit of the exponent is set, else 1, without a branch. Bits above 2048 are zero.
fn factor(generator: u8, exponent: &Limbs, bit: usize) -> u64 {
    1 + exponent_bit(exponent, bit) * (u64::from(generator) - 1)
}

/// The powers 0 to 31 of each base, in Montgomery form.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn powers<const W: usize>(moduli: [&Modulus; W], bases: [&Words; W]) -> Zeroizing<[Table; W]> {
    let mut tables = Zeroizing::new([[Words::ZERO; 1 << WINDOW]; W]);
    let mut r2 = [&Words::ZERO; W];
    for w in 0..W {
        r2[w] = &moduli[w].r2;
        tables[w][0] = moduli[w].one;
    }
    let bases = product(moduli, bases, r2);
    for i in 1..1 << WINDOW {
        let power = stored(product_of_lanes(moduli, &bases, tables.each_ref().map(|table| &table[i - 1])));
        for w in 0..W {
            tables[w][i] = power[w];
        }
    }
    tables
}

/// Reads from each table the entry for one window of the exponent.
#[inline]
#[target_feature(enable = "avx512f")]
fn select_each<const W: usize>(tables: &[Table; W], exponent: &Limbs, position: usize) -> [Lanes; W] {
    let mut entries = [[_mm512_setzero_si512(); REGISTERS]; W];
    for (entry, table) in entries.iter_mut().zip(tables) {
        *entry = select(table, exponent_window(exponent, position));
    }
    entries
}

/// Reads the entry at `index` by reading all of them.
#[inline]
#[target_feature(enable = "avx512f")]
fn select(table: &Table, index: u64) -> Lanes {
    let mut entry = [_mm512_setzero_si512(); REGISTERS];
    for (i, candidate) in (0u64..).zip(table) {
        let equal = (i ^ index).wrapping_sub(1) >> 63;
        // The barrier keeps the compiler from turning the mask into a load that is skipped.
        let mask = _mm512_set1_epi64(core::hint::black_box(equal.wrapping_neg()) as i64);
        for (lanes, words) in entry.iter_mut().zip(&candidate.0) {
            *lanes = _mm512_or_si512(*lanes, _mm512_and_si512(load(words), mask));
        }
    }
    entry
}

/// Takes numbers out of Montgomery form; they come out at most `n`.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn leave<const W: usize>(moduli: [&Modulus; W], numbers: &[Words; W]) -> [Words; W] {
    stored(product(moduli, numbers.each_ref(), [&Words::ONE; W]))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn stored<const W: usize>(lanes: [Lanes; W]) -> [Words; W] {
    let mut words = [Words::ZERO; W];
    for (words, lanes) in words.iter_mut().zip(&lanes) {
        words.store(lanes);
    }
    words
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn product<const W: usize>(moduli: [&Modulus; W], a: [&Words; W], b: [&Words; W]) -> [Lanes; W] {
    let mut lanes = [[_mm512_setzero_si512(); REGISTERS]; W];
    for w in 0..W {
        lanes[w] = a[w].load();
    }
    product_of_lanes(moduli, &lanes, b)
}

/// `a[w] * b[w] / R`, below `2 n`, for factors below `8 n`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn product_of_lanes<const W: usize>(moduli: [&Modulus; W], a: &[Lanes; W], b: [&Words; W]) -> [Lanes; W] {
    let mut acc = [[_mm512_setzero_si512(); REGISTERS]; W];
    for i in 0..LIMBS {
        for w in 0..W {
            let multiplier = _mm512_set1_epi64(b[w].limb(i) as i64);
            for j in 0..REGISTERS {
                acc[w][j] = _mm512_madd52lo_epu64(acc[w][j], a[w][j], multiplier);
            }
            let quotient = eliminate(moduli[w], &mut acc[w]);
            for j in 0..REGISTERS {
                acc[w][j] = _mm512_madd52hi_epu64(acc[w][j], a[w][j], multiplier);
            }
            add_high(moduli[w], &mut acc[w], quotient);
        }
    }
    for acc in &mut acc {
        settle(acc);
    }
    acc
}

/// `factor[w] * a[w]^2 / R`, below `8 n`, for `a[w]` below `8 n` and factors up to 7.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn square<const W: usize>(moduli: [&Modulus; W], a: &[Words; W], factor: [u64; W]) -> [Lanes; W] {
    let mut acc = [[_mm512_setzero_si512(); REGISTERS]; W];
    let mut lanes = acc;
    for w in 0..W {
        lanes[w] = a[w].load();
    }
    square_rows::<W, 0>(moduli, a, &lanes, &mut acc);
    square_rows::<W, 1>(moduli, a, &lanes, &mut acc);
    square_rows::<W, 2>(moduli, a, &lanes, &mut acc);
    square_rows::<W, 3>(moduli, a, &lanes, &mut acc);
    square_rows::<W, 4>(moduli, a, &lanes, &mut acc);
    for w in 0..W {
        let factor = _mm512_set1_epi64(factor[w] as i64);
        for lanes in &mut acc[w] {
            *lanes = _mm512_mullo_epi64(*lanes, factor);
        }
        settle(&mut acc[w]);
    }
    acc
}

/// The rows of one block of eight limbs.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn square_rows<const W: usize, const BLOCK: usize>(
    moduli: [&Modulus; W],
    a: &[Words; W],
    lanes: &[Lanes; W],
    acc: &mut [Lanes; W],
) {
    for i in 0..8 {
        for w in 0..W {
            let (a, lanes, acc) = (&a[w], &lanes[w], &mut acc[w]);
            let single = _mm512_set1_epi64(a.0[BLOCK][i] as i64);
            // IFMA reads 52 bits of the doubled limb; its top bit is added below.
            let twice = _mm512_add_epi64(single, single);
            let top = (a.0[BLOCK][i] >> (LIMB_BITS - 1)).wrapping_neg() as u8;
            acc[BLOCK] = _mm512_madd52lo_epu64(acc[BLOCK], lanes[BLOCK], single);
            for j in BLOCK + 1..REGISTERS {
                acc[j] = _mm512_madd52lo_epu64(acc[j], lanes[j], twice);
            }
            let quotient = eliminate(moduli[w], acc);
            acc[BLOCK] = _mm512_madd52hi_epu64(acc[BLOCK], lanes[BLOCK], single);
            for j in BLOCK + 1..REGISTERS {
                acc[j] = _mm512_madd52hi_epu64(acc[j], lanes[j], twice);
                acc[j] = _mm512_mask_add_epi64(acc[j], top, acc[j], lanes[j]);
            }
            add_high(moduli[w], acc, quotient);
        }
    }
}

/// Adds the low halves of the multiple of `n` that makes the lowest limb zero, and drops that limb.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
fn eliminate(modulus: &Modulus, acc: &mut Lanes) -> __m512i {
    let zero = _mm512_setzero_si512();
    let quotient = _mm512_madd52lo_epu64(zero, acc[0], _mm512_set1_epi64(modulus.n0 as i64));
    let quotient = _mm512_broadcastq_epi64(_mm512_castsi512_si128(quotient));
    for j in 0..REGISTERS {
        acc[j] = _mm512_madd52lo_epu64(acc[j], load(&modulus.n.0[j]), quotient);
    }
    let carry = _mm512_maskz_srli_epi64::<{ LIMB_BITS as u32 }>(1, acc[0]);
    for j in 0..REGISTERS - 1 {
        acc[j] = _mm512_alignr_epi64::<1>(acc[j + 1], acc[j]);
    }
    acc[REGISTERS - 1] = _mm512_alignr_epi64::<1>(zero, acc[REGISTERS - 1]);
    acc[0] = _mm512_add_epi64(acc[0], carry);
    quotient
}

/// Adds the high halves of `quotient * n`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_high(modulus: &Modulus, acc: &mut Lanes, quotient: __m512i) {
    for j in 0..REGISTERS {
        acc[j] = _mm512_madd52hi_epu64(acc[j], load(&modulus.n.0[j]), quotient);
    }
}

/// Brings lanes below 2^63 down to 52 bits each. The number is below 2^2080.
#[inline]
#[target_feature(enable = "avx512f")]
fn settle(acc: &mut Lanes) {
    let mask = _mm512_set1_epi64(LIMB_MASK as i64);
    let mut below = _mm512_setzero_si512();
    // Bit i of `generate`: limb i is above 52 bits. Bit i of `propagate`: it would be, with a carry.
    let (mut generate, mut propagate) = (0u64, 0u64);
    for j in 0..REGISTERS {
        let carries = _mm512_srli_epi64::<{ LIMB_BITS as u32 }>(acc[j]);
        let moved = _mm512_alignr_epi64::<7>(carries, below);
        below = carries;
        acc[j] = _mm512_add_epi64(_mm512_and_si512(acc[j], mask), moved);
        generate |= u64::from(_mm512_cmpgt_epu64_mask(acc[j], mask)) << (8 * j);
        propagate |= u64::from(_mm512_cmpeq_epu64_mask(acc[j], mask)) << (8 * j);
    }
    // Carry lookahead: an integer addition ripples a carry through ones exactly as limbs of all ones would.
    let carried = ((generate << 1).wrapping_add(propagate)) ^ propagate;
    let one = _mm512_set1_epi64(1);
    for (j, lanes) in acc.iter_mut().enumerate() {
        let carried = (carried >> (8 * j)) as u8;
        *lanes = _mm512_and_si512(_mm512_mask_add_epi64(*lanes, carried, *lanes, one), mask);
    }
}
