//! Hands the target `dissect_capture` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("dissect_capture").expect("it is in the list").run)(
    input
));
