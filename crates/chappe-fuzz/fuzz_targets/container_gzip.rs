//! Hands the target `container_gzip` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("container_gzip").expect("it is in the list").run)(
    input
));
