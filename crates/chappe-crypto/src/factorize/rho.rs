//! Pollard's rho in Brent's form: the fallback, slower but independent of the curves' random choices.

use super::montgomery::{Field, gcd};

/// Differences multiplied together between two greatest common divisors.
const BATCH: u64 = 128;

/// Maximum number of steps of one walk. The expected number for the largest possible smaller factor is
/// `sqrt(pi * 2^31.5 / 2)`, about 70 000.
const MAX_STEPS: u64 = 1 << 20;

/// Finds a proper factor of the odd composite modulus, trying `walks` different maps `y^2 + c`.
pub(super) fn find_factor(field: &Field, walks: u64) -> Option<u64> {
    (1..=walks).find_map(|c| walk(field, field.enter(c)))
}

fn walk(field: &Field, c: u64) -> Option<u64> {
    let n = field.modulus();
    let step = |y| field.add(field.square(y), c);
    let mut y = field.enter(2);
    let mut length = 1;
    while length <= MAX_STEPS {
        // `anchor` stands still while `y` goes on for `length` steps; their difference is divisible by a factor
        // once the cycle modulo that factor is shorter than `length`.
        let anchor = y;
        for _ in 0..length {
            y = step(y);
        }
        let mut done = 0;
        while done < length {
            let batch_start = y;
            let mut product = field.one();
            let count = BATCH.min(length - done);
            for _ in 0..count {
                y = step(y);
                product = field.mul(product, field.sub(anchor, y));
            }
            let divisor = gcd(product, n);
            if divisor != 1 {
                return if divisor < n { Some(divisor) } else { retrace(field, anchor, batch_start, step) };
            }
            done += count;
        }
        length *= 2;
    }
    None
}

/// Walks the last batch again, one greatest common divisor per step, to part two factors met in one batch.
fn retrace(field: &Field, anchor: u64, mut y: u64, step: impl Fn(u64) -> u64) -> Option<u64> {
    for _ in 0..BATCH {
        y = step(y);
        let divisor = gcd(field.sub(anchor, y), field.modulus());
        if divisor != 1 {
            return (divisor < field.modulus()).then_some(divisor);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_all_shapes_are_split() {
        for (p, q) in [(3, 5), (101, 181), (65537, 16_777_213), (1_229_739_323, 1_402_015_859)] {
            let factor = find_factor(&Field::new(p * q), 64);
            assert!(factor == Some(p) || factor == Some(q), "{p} * {q}: {factor:?}");
        }
    }

    #[test]
    fn a_prime_ends_the_walks_without_a_factor() {
        assert_eq!(find_factor(&Field::new(1_000_003), 8), None);
    }
}
