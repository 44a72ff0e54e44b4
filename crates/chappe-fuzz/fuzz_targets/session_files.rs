//! Hands the target `session_files` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("session_files").expect("it is in the list").run)(
    input
));
