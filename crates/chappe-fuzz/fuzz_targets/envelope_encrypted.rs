//! Hands the target `envelope_encrypted` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("envelope_encrypted")
    .expect("it is in the list")
    .run)(input));
