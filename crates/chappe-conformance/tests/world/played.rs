//! Worlds that seeds make up.

use chappe_conformance::world::{Settings, run};

/// Worlds in all.
const SEEDS: u64 = 10_000;
/// Tests that share them.
const PARTS: u64 = 8;

fn play(part: u64) {
    let each = SEEDS / PARTS;
    let failed: Vec<_> = (part * each..(part + 1) * each)
        .filter_map(|seed| run(seed, Settings::default()).err())
        .take(5)
        .map(|violation| {
            format!("{violation}; repeat with: cargo xtask world --seed {} --trace", violation.seed)
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

macro_rules! parts {
    ($($name:ident: $part:literal;)*) => {$(
        #[test]
        fn $name() {
            play($part);
        }
    )*};
}

parts! {
    what_must_hold_does_in_the_first_eighth: 0;
    what_must_hold_does_in_the_second_eighth: 1;
    what_must_hold_does_in_the_third_eighth: 2;
    what_must_hold_does_in_the_fourth_eighth: 3;
    what_must_hold_does_in_the_fifth_eighth: 4;
    what_must_hold_does_in_the_sixth_eighth: 5;
    what_must_hold_does_in_the_seventh_eighth: 6;
    what_must_hold_does_in_the_last_eighth: 7;
}

#[test]
fn a_seed_decides_everything() {
    for seed in [1, 77, 4_711] {
        let once = run(seed, Settings::default()).map(|report| (report.digest, report.steps));
        let again = run(seed, Settings::default()).map(|report| (report.digest, report.steps));
        assert_eq!(format!("{once:?}"), format!("{again:?}"));
    }
}
