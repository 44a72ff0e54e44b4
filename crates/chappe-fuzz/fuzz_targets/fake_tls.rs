//! Hands the target `fake_tls` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("fake_tls").expect("it is in the list").run)(input));
