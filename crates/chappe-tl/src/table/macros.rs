//! What generated code says about each type besides its fields.
//!
//! The macros take the type with any lifetime (`Peer<'_>`), the same with the lifetime `'a`, and its table. Where they
//! are used, the generated crate promises what [`Described`](super::Described) asks for: that is its only `unsafe`.

/// A generated type: `Copy`, with a table.
#[doc(hidden)]
#[macro_export]
macro_rules! described_only {
    ($type:ty, $of:ty, $table:expr) => {
        // SAFETY: the generator prints types and tables from one plan, and every offset is taken by `offset_of!`.
        unsafe impl $crate::table::Described for $type {
            type Of<'a> = $of;
            const TYPE: &'static $crate::table::Type = $table;
        }
    };
}

/// A generated type whose encoding is generated as well.
#[doc(hidden)]
#[macro_export]
macro_rules! described {
    ($type:ty, $of:ty, $table:expr) => {
        $crate::described_only! { $type, $of, $table }
        $crate::described_values! { $type }
    };
}

/// A generated type that is written by its table.
#[doc(hidden)]
#[macro_export]
macro_rules! described_by_table {
    ($type:ty, $of:ty, $table:expr) => {
        $crate::described_only! { $type, $of, $table }
        $crate::described_values! { $type }
        impl $crate::Serializable for $type {
            fn serialize<S: $crate::Sink + ?Sized>(&self, out: &mut S) -> $crate::codegen::Encoded {
                $crate::table::View::new(self).serialize(out)
            }
        }
    };
}

/// What a value of a generated type can do.
#[doc(hidden)]
#[macro_export]
macro_rules! described_values {
    ($type:ty) => {
        impl Clone for $type {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }
        impl Copy for $type {}
        impl PartialEq for $type {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                $crate::table::is_same(self, other)
            }
        }
        impl ::core::fmt::Debug for $type {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::table::debug(self, f)
            }
        }
    };
}
