//! What is tried. Each step that can fail has a number, which becomes the exit code.

use alloc::vec;

// Linked whole, so that a use of `std` anywhere in them breaks the build.
use {
    chappe_crypto as _, chappe_framing as _, chappe_handshake as _, chappe_session as _, chappe_tl as _,
    chappe_tl_mtproto as _, chappe_transport as _,
};

/// Runs every step.
///
/// # Errors
///
/// Returns the number of the first step that failed.
pub fn run() -> Result<(), i32> {
    let filled = vec![0xa5_u8; 1000];
    if filled.iter().any(|byte| *byte != 0xa5) { Err(1) } else { Ok(()) }
}
