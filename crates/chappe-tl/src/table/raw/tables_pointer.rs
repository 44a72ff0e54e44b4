//! A reference to tables that the compiler does not follow when it evaluates a constant.
//!
//! The compiler checks the value of each constant together with everything that references in it reach. A type reaches all
//! types of its schema by its tables: for the API of Telegram, such a check takes 0.1 s, and each type that a program uses has
//! a constant. Pointers are not followed, and what is behind them was checked where it is defined.
//!
//! Proof: the pointer is only ever made of a `&'static Tables`, and nothing writes through it.

use crate::table::Tables;

/// A `&'static Tables` that constants may contain at no cost.
#[derive(Clone, Copy)]
pub(in crate::table) struct TablesPointer(*const Tables);

// SAFETY: it stands for a `&'static Tables`, which may be sent and shared.
unsafe impl Send for TablesPointer where &'static Tables: Send {}
// SAFETY: as above.
unsafe impl Sync for TablesPointer where &'static Tables: Sync {}

impl TablesPointer {
    /// Keeps the reference.
    pub(in crate::table) const fn new(tables: &'static Tables) -> Self {
        Self(tables)
    }

    /// Returns the reference again.
    #[inline(always)]
    pub(in crate::table) const fn get(self) -> &'static Tables {
        // SAFETY: `new` made it of a reference that is valid indefinitely.
        unsafe { &*self.0 }
    }
}
