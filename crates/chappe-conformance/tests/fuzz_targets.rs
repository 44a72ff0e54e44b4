//! The fuzzing targets as ordinary tests: the inputs that once failed, the seeds, and a second of changed ones.
//!
//! `cargo xtask fuzz` runs them for longer and with a better engine.

use core::time::Duration;
use std::fs;
use std::path::Path;

use chappe_conformance::fuzz::{self, Stop, Target};

/// Inputs of each part, and the time it may take. On any machine the first bound is the one that counts.
const SEEDS: Stop = Stop { runs: 240, time: Duration::from_millis(700) };
const CHANGED: Stop = Stop { runs: 600, time: Duration::from_millis(700) };

/// Inputs that made a target fail before something was mended.
fn kept(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("the folder can be read").path();
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    entries.map(read).collect()
}

fn attempt(name: &str) {
    let target = fuzz::find(name).expect("it is in the list");
    for input in kept(target) {
        (target.run)(&input);
    }
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{name} has seeds");
    let step = seeds.len().div_ceil(SEEDS.runs as usize);
    let some: Vec<Vec<u8>> = seeds.into_iter().step_by(step).collect();
    // Not 0: the seeds come first only there.
    for (first, stop) in [(0, SEEDS), (1, CHANGED)] {
        let stop = if first == 0 { Stop { runs: some.len() as u64, ..stop } } else { stop };
        let outcome = fuzz::run(target, &some, first, stop, |_| {});
        if let Some(finding) = outcome.finding {
            panic!("{name}: {}\ninput: {}", finding.message, hex::encode(&finding.input));
        }
        assert!(outcome.runs > 0, "{name} was tried");
    }
}

/// A test for each target.
macro_rules! targets {
    ($($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                attempt(stringify!($name));
            }
        )+

        #[test]
        fn every_target_is_tried_and_has_a_program_of_its_own() {
            let tried = [$(stringify!($name)),+];
            let listed: Vec<&str> = fuzz::ALL.iter().map(|target| target.name).collect();
            assert_eq!(tried[..], listed[..]);
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chappe-fuzz");
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("it is in the repository");
            for name in tried {
                let program = fs::read_to_string(folder.join("fuzz_targets").join(name).with_extension("rs"));
                assert!(program.is_ok_and(|text| text.contains(&format!("find(\"{name}\")"))), "{name}");
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            }
        }
    };
}

targets! {
    tl_api_type tl_api_call tl_service_type tl_schema tl_dynamic
    transport_decoder transport_accept transport_http
    transport_relay proxy_secret fake_tls proxy_header proxy_config
    envelope_plain envelope_encrypted container_gzip
    handshake_pair session_pair session_saved_state session_import session_files
    dissect_stream dissect_capture
}
