//! What generated code says about each type besides its fields.
//!
//! Where the macros are used, the generated crate promises what [`Described`](super::Described) and
//! [`Family`](super::Family) ask for: that is its only `unsafe`.

/// A generated type with its table.
#[doc(hidden)]
#[macro_export]
macro_rules! described_only {
    ($type:ty, $table:expr) => {
        // SAFETY: the generator prints types and tables from one plan, and every offset is taken by `offset_of!`.
        unsafe impl $crate::table::Described for $type {
            const TYPE: &'static $crate::table::Type = $table;
        }
    };
}

/// What the values of a generated type can do.
#[cfg(not(feature = "serde"))]
#[doc(hidden)]
#[macro_export]
macro_rules! plain {
    ($type:ty, $table:expr) => {
        $crate::plain_without_serde! { $type, $table }
    };
}

/// What the values of a generated type can do, serde's traits among it.
#[cfg(feature = "serde")]
#[doc(hidden)]
#[macro_export]
macro_rules! plain {
    ($type:ty, $table:expr) => {
        $crate::plain_without_serde! { $type, $table }
        impl $crate::table::serde::Serialize for $type {
            fn serialize<S: $crate::table::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::table::serde::serialize(self, serializer)
            }
        }
    };
}

/// What the values of a generated type can do without serde.
#[doc(hidden)]
#[macro_export]
macro_rules! plain_without_serde {
    ($type:ty, $table:expr) => {
        $crate::described_only! { $type, $table }
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

/// A generated struct: its table, what its values can do, and the rows that are written.
#[doc(hidden)]
#[macro_export]
macro_rules! object {
    ($type:ty, $table:expr, $self:ident, $rows:expr) => {
        $crate::plain! { $type, $table }
        impl $crate::Serializable for $type {
            #[inline]
            fn serialize<S: $crate::Sink + ?Sized>(&self, out: &mut S) -> $crate::codegen::Encoded {
                let $self = self;
                $crate::table::write($self, $rows, out)
            }
        }
    };
}

/// A generated enum: its table and what its values can do.
#[doc(hidden)]
#[macro_export]
macro_rules! family {
    ($type:ty, $of:ty, $table:expr) => {
        $crate::plain! { $type, $table }
        // SAFETY: both are the same generated type, whose fields are plain data and shared references.
        unsafe impl $crate::table::Family for $type {
            type Of<'a> = $of;
        }
    };
}

/// A generated type that can be decoded, and is written by its table.
#[doc(hidden)]
#[macro_export]
macro_rules! described_by_table {
    ($type:ty, $of:ty, $table:expr) => {
        $crate::family! { $type, $of, $table }
        impl $crate::Serializable for $type {
            fn serialize<S: $crate::Sink + ?Sized>(&self, out: &mut S) -> $crate::codegen::Encoded {
                $crate::table::View::new(self).serialize(out)
            }
        }
    };
}
