//! Hands the target `transport_relay` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("transport_relay").expect("it is in the list").run)(
    input
));
