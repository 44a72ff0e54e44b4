//! Hands the target `dissect_stream` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("dissect_stream").expect("it is in the list").run)(
    input
));
