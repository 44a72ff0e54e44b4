//! Every target in one program, for `cargo xtask fuzz`: one is built much faster than sixteen.
//!
//! `CHAPPE_FUZZ` says what to do: the name of a target, `list`, or `seeds=FOLDER`.
#![no_main]

#[path = "../src/seeds.rs"]
mod seeds;

use std::path::Path;
use std::sync::OnceLock;

use chappe_conformance::fuzz::{self, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&Target> = OnceLock::new();

/// Returns the target, unless something else is wanted; then that is done, and the program ends.
fn find() -> &'static Target {
    let wanted = std::env::var("CHAPPE_FUZZ").expect("CHAPPE_FUZZ says what to do");
    if wanted == "list" {
        seeds::list();
        std::process::exit(0);
    }
    if let Some(folder) = wanted.strip_prefix("seeds=") {
        seeds::write_all(Path::new(folder)).expect("the folder can be written to");
        std::process::exit(0);
    }
    fuzz::find(&wanted).unwrap_or_else(|| panic!("there is no target {wanted}"))
}

fuzz_target!(
    init: {
        TARGET.get_or_init(find);
    },
    |input: &[u8]| {
        let target = TARGET.get().expect("it was found before the first input");
        (target.run)(input);
    }
);
