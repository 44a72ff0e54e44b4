//! Hands the target `session_saved_state` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("session_saved_state")
    .expect("it is in the list")
    .run)(input));
