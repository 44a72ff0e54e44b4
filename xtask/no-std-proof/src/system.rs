//! The entry point and the one system call.

use core::arch::{asm, global_asm};

// The kernel enters with the stack pointer at the argument count; a function wants it 16-byte aligned
// before the call.
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {start}",
    start = sym crate::start,
);

/// Number of `exit_group` on x86-64 Linux.
const EXIT_GROUP: usize = 231;

/// Ends the process.
pub fn exit(code: i32) -> ! {
    // SAFETY: `exit_group` takes one number and does not return; no memory is involved.
    unsafe {
        asm!("syscall", in("rax") EXIT_GROUP, in("rdi") code, options(noreturn, nostack));
    }
}

/// Named by the unwind tables of the prebuilt `alloc`. This program aborts, so it is never called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    exit(crate::PANICKED)
}

/// Named by the landing pads of the prebuilt `alloc`. This program aborts, so it is never called.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(crate::PANICKED)
}
