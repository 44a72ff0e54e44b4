//! Hands the target `tl_dynamic` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("tl_dynamic").expect("it is in the list").run)(input));
