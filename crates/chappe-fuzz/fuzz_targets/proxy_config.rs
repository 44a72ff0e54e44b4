//! Hands the target `proxy_config` to libFuzzer.
#![no_main]

use chappe_conformance::fuzz;

libfuzzer_sys::fuzz_target!(|input: &[u8]| (fuzz::find("proxy_config").expect("it is in the list").run)(
    input
));
