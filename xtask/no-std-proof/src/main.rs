//! Proof that the protocol crates need no `std`: a static program with its own entry point,
//! allocator and panic handler, and without libc, that links them and uses them.
//!
//! A crate that reaches for `std` brings a second panic handler into the build, which is an error
//! of the compiler. The exit code is 0 if everything that was sealed came back, else the number of
//! the step that failed, or [`PANICKED`].
//!
//! Built by `cargo xtask no-std` for x86-64 Linux, where a program can end without libc.
#![no_std]
#![no_main]

extern crate alloc;

mod heap;
mod memory;
mod steps;
mod system;

use core::panic::PanicInfo;

/// Exit code of a program that panicked.
const PANICKED: i32 = 101;

#[global_allocator]
static HEAP: heap::Bump = heap::Bump::new();

/// Called by the entry point with a stack that is aligned as the platform wants it.
#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    system::exit(steps::run())
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    system::exit(PANICKED)
}
