//! Worlds that seeds make up.

use chappe_conformance::world::{Settings, run};

#[test]
fn a_seed_decides_everything() {
    for seed in [1, 77, 4_711] {
        let once = run(seed, Settings::default()).map(|report| (report.digest, report.steps));
        let again = run(seed, Settings::default()).map(|report| (report.digest, report.steps));
        assert_eq!(format!("{once:?}"), format!("{again:?}"));
    }
}
