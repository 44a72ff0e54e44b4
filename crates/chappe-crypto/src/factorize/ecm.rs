//! Lenstra's elliptic-curve method, sized for factors of 31 bits.
//!
//! Curves are in Montgomery's form `b y^2 = x^3 + a x^2 + x`, points in `X:Z` coordinates without `y`. A curve
//! whose group order modulo one factor is smooth sends a fixed multiple of its point to infinity modulo that
//! factor alone, where `Z` is zero; then `gcd(Z, n)` is the factor.
//!
//! ```text
//! for each curve (Suyama's parameter sigma = 6, 7, ..):
//!     stage 1:  Q = lcm(1..=B1) * P
//!     stage 2:  for every prime B1 < v <= B2, written v = 60 g +- r with r coprime to 60:
//!                   product *= X(60g Q) Z(r Q) - X(r Q) Z(60g Q)      (zero where v Q is infinity)
//!     one gcd(product, n)
//! ```

use super::montgomery::{Field, gcd, invert};

/// Bound of stage 1. With [`STAGE_2`] the best of those tried for two factors of 31 bits.
const STAGE_1: u64 = 125;
/// Bound of stage 2.
const STAGE_2: u64 = 6000;

/// Distance of two giant steps; coprime residues below half of it are the baby steps.
const GIANT: u64 = 60;
const BABY: [u64; 8] = [1, 7, 11, 13, 17, 19, 23, 29];
const FIRST_GIANT: u64 = (STAGE_1 + GIANT / 2) / GIANT;
const GIANT_COUNT: usize = ((STAGE_2 + GIANT / 2) / GIANT - FIRST_GIANT + 1) as usize;

/// Finds a proper factor of the odd composite modulus with at most `curves` curves.
pub(super) fn find_factor(field: &Field, curves: u64) -> Option<u64> {
    (6..6 + curves).find_map(|sigma| try_curve(field, sigma))
}

fn try_curve(field: &Field, sigma: u64) -> Option<u64> {
    let proper = |divisor| (divisor != 1 && divisor != field.modulus()).then_some(divisor);
    let (curve, start) = match Curve::suyama(field, sigma) {
        Ok(parts) => parts,
        Err(divisor) => return proper(divisor),
    };
    let smooth = stage_1(&curve, start);
    let product = stage_2(&curve, smooth);
    match gcd(product, field.modulus()) {
        // Both factors at once: perhaps one of them came in stage 1.
        divisor if divisor == field.modulus() => proper(gcd(smooth.z, field.modulus())),
        divisor => proper(divisor),
    }
}

/// A point without its `y`.
#[derive(Clone, Copy)]
struct Point {
    x: u64,
    z: u64,
}

struct Curve<'a> {
    field: &'a Field,
    /// `(a + 2) / 4`.
    a24: u64,
}

impl<'a> Curve<'a> {
    /// Makes Suyama's curve of parameter `sigma` (above 5), whose order is divisible by 12, and a point on it.
    ///
    /// If a denominator is not invertible, its common divisor with the modulus comes back instead.
    fn suyama(field: &'a Field, sigma: u64) -> Result<(Self, Point), u64> {
        let f = field;
        let sigma = f.enter(sigma);
        let u = f.sub(f.square(sigma), f.enter(5));
        let v = f.mul(sigma, f.enter(4));
        let cube = |a| f.mul(f.square(a), a);
        let (x, z) = (cube(u), cube(v));
        // a24 = (v - u)^3 (3u + v) / (16 u^3 v)
        let numerator = f.mul(cube(f.sub(v, u)), f.add(f.add(u, u), f.add(u, v)));
        let denominator = f.leave(f.mul(f.mul(x, v), f.enter(16)));
        let inverse = invert(denominator, f.modulus()).ok_or_else(|| gcd(denominator, f.modulus()))?;
        Ok((Self { field, a24: f.mul(numerator, f.enter(inverse)) }, Point { x, z }))
    }

    #[inline(always)]
    fn double(&self, p: Point) -> Point {
        let f = self.field;
        let sum = f.square(f.add(p.x, p.z));
        let difference = f.square(f.sub(p.x, p.z));
        let t = f.sub(sum, difference);
        Point { x: f.mul(sum, difference), z: f.mul(t, f.add(difference, f.mul(self.a24, t))) }
    }

    /// `p + q`, where `difference` is `p - q`.
    #[inline(always)]
    fn add(&self, p: Point, q: Point, difference: Point) -> Point {
        let f = self.field;
        let u = f.mul(f.sub(p.x, p.z), f.add(q.x, q.z));
        let v = f.mul(f.add(p.x, p.z), f.sub(q.x, q.z));
        Point { x: f.mul(difference.z, f.square(f.add(u, v))), z: f.mul(difference.x, f.square(f.sub(u, v))) }
    }

    /// `k * p` and `(k + 1) * p` by Montgomery's ladder, for `k > 0`.
    #[inline(always)]
    fn multiply(&self, p: Point, k: u64) -> (Point, Point) {
        let (mut low, mut high) = (p, self.double(p));
        for bit in (0..k.ilog2()).rev() {
            let middle = self.add(low, high, p);
            if k >> bit & 1 == 1 {
                (low, high) = (middle, self.double(high));
            } else {
                (low, high) = (self.double(low), middle);
            }
        }
        (low, high)
    }
}

fn stage_1(curve: &Curve<'_>, start: Point) -> Point {
    let mut q = start;
    for _ in 0..STAGE_1.ilog2() {
        q = curve.double(q);
    }
    for scalar in SCALARS.iter().take_while(|&&scalar| scalar > 1) {
        (q, _) = curve.multiply(q, *scalar);
    }
    q
}

/// Returns the product of all differences, and of `q.z`, so that one divisor tells both stages.
fn stage_2(curve: &Curve<'_>, q: Point) -> u64 {
    let f = curve.field;
    let (babies, giant) = baby_steps(curve, q);
    let baby_products = babies.map(|baby| f.mul(baby.x, baby.z));
    let (mut previous, mut current) = curve.multiply(giant, FIRST_GIANT - 1);
    let mut product = q.z;
    for residues in STAGE_2_PRIMES {
        let giant_product = f.mul(current.x, current.z);
        let mut left = residues;
        while left != 0 {
            let (baby, baby_product) =
                (babies[left.trailing_zeros() as usize], baby_products[left.trailing_zeros() as usize]);
            left &= left - 1;
            // (Xg - Xb)(Zg + Zb) - Xg Zg + Xb Zb = Xg Zb - Xb Zg, with one multiplication instead of two.
            let cross = f.mul(f.sub(current.x, baby.x), f.add(current.z, baby.z));
            product = f.mul(product, f.add(f.sub(cross, giant_product), baby_product));
        }
        (previous, current) = (current, curve.add(current, giant, previous));
    }
    product
}

/// `r * q` for each `r` of [`BABY`], and `60 * q`.
fn baby_steps(curve: &Curve<'_>, q: Point) -> ([Point; 8], Point) {
    let q2 = curve.double(q);
    let q3 = curve.add(q2, q, q);
    let q4 = curve.double(q2);
    let q5 = curve.add(q3, q2, q);
    let q6 = curve.double(q3);
    let q7 = curve.add(q4, q3, q);
    let q11 = curve.add(q6, q5, q);
    let q13 = curve.add(q7, q6, q);
    let q17 = curve.add(q11, q6, q5);
    let q19 = curve.add(q13, q6, q7);
    let q23 = curve.add(q17, q6, q11);
    let q29 = curve.add(q23, q6, q17);
    let q15 = curve.add(q11, q4, q7);
    let q60 = curve.double(curve.double(q15));
    ([q, q7, q11, q13, q17, q19, q23, q29], q60)
}

/// The odd prime powers up to [`STAGE_1`], multiplied together into few words; unused words are 1.
const SCALARS: [u64; 8] = {
    let mut words = [1u64; 8];
    let (mut word, mut prime) = (0, 3);
    while prime <= STAGE_1 {
        if is_small_prime(prime) {
            let mut power = prime;
            while power * prime <= STAGE_1 {
                power *= prime;
            }
            if words[word] > u64::MAX / power {
                word += 1;
            }
            words[word] *= power;
        }
        prime += 2;
    }
    words
};

/// For giant step `g`, bit `i` says that `60 g + BABY[i]` or `60 g - BABY[i]` is a prime of stage 2.
const STAGE_2_PRIMES: [u8; GIANT_COUNT] = {
    let mut table = [0u8; GIANT_COUNT];
    let mut g = 0;
    while g < GIANT_COUNT {
        let centre = (FIRST_GIANT + g as u64) * GIANT;
        let mut i = 0;
        while i < BABY.len() {
            if in_stage_2(centre - BABY[i]) || in_stage_2(centre + BABY[i]) {
                table[g] |= 1 << i;
            }
            i += 1;
        }
        g += 1;
    }
    table
};

const fn in_stage_2(v: u64) -> bool {
    v > STAGE_1 && v <= STAGE_2 && is_small_prime(v)
}

/// Trial division, for tables made at compile time.
const fn is_small_prime(v: u64) -> bool {
    let mut divisor = 2;
    while divisor * divisor <= v {
        if v.is_multiple_of(divisor) {
            return false;
        }
        divisor += 1;
    }
    v > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_2_covers_every_prime_between_the_bounds() {
        for v in (STAGE_1 + 1..=STAGE_2).filter(|&v| is_small_prime(v)) {
            let centre = (v + GIANT / 2) / GIANT;
            let residue = v.abs_diff(centre * GIANT);
            let i = BABY.iter().position(|&baby| baby == residue).expect("a prime is coprime to 60");
            assert_ne!(STAGE_2_PRIMES[(centre - FIRST_GIANT) as usize] & 1 << i, 0, "{v}");
        }
    }

    #[test]
    fn stage_1_multiplies_by_every_odd_prime_power_up_to_its_bound() {
        let power_divides = |power| SCALARS.iter().any(|scalar| scalar.is_multiple_of(power));
        for power in [3, 9, 27, 81, 5, 25, 125, 49, 121, 113] {
            assert!(power_divides(power), "{power}");
        }
        assert!(!power_divides(127));
    }

    fn curve_of(field: &Field, sigma: u64) -> (Curve<'_>, Point) {
        Curve::suyama(field, sigma).unwrap_or_else(|divisor| panic!("divisor {divisor} instead of a curve"))
    }

    #[test]
    fn the_ladder_agrees_with_repeated_addition() {
        let field = Field::new(1_724_114_033_281_923_457);
        let (curve, p) = curve_of(&field, 11);
        let same = |a: Point, b: Point| field.mul(a.x, b.z) == field.mul(b.x, a.z);
        let (mut previous, mut current) = (p, curve.double(p));
        for k in 2..200 {
            assert!(same(curve.multiply(p, k).0, current), "{k}");
            (previous, current) = (current, curve.add(current, p, previous));
        }
    }

    #[test]
    fn baby_steps_are_the_multiples_they_are_named_for() {
        let field = Field::new(1_724_114_033_281_923_457);
        let (curve, p) = curve_of(&field, 7);
        let same = |a: Point, b: Point| field.mul(a.x, b.z) == field.mul(b.x, a.z);
        let (babies, giant) = baby_steps(&curve, p);
        for (baby, r) in babies.into_iter().zip(BABY) {
            assert!(same(baby, curve.multiply(p, r).0), "{r}");
        }
        assert!(same(giant, curve.multiply(p, GIANT).0));
    }
}
