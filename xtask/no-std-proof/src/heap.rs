//! An allocator that only ever goes forward through one static block.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Size of the heap: enough for every step, small enough to show a leak in a loop.
const SIZE: usize = 32 << 20;

/// Hands out a static block piece by piece and never takes a piece back.
pub struct Bump {
    block: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

// SAFETY: `used` is atomic and every piece of `block` is handed out at most once.
unsafe impl Sync for Bump {}

impl Bump {
    /// Returns an allocator with nothing handed out.
    pub const fn new() -> Self {
        Self { block: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) }
    }
}

// SAFETY: each call returns a piece that is aligned, long enough and disjoint from all others, or null.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.block.get().cast::<u8>();
        let mut piece = null_mut();
        let take = |used: usize| {
            let at = (start as usize + used).next_multiple_of(layout.align()) - start as usize;
            let end = at.checked_add(layout.size()).filter(|end| *end <= SIZE)?;
            piece = start.wrapping_add(at);
            Some(end)
        };
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => piece,
            Err(_) => null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}
