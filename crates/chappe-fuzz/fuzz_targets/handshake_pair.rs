//! Hands the target `handshake_pair` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("handshake_pair").expect("it is in the list").run)(
    input
));
