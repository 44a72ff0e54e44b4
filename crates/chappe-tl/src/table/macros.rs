//! What generated code says about each type besides its fields.
//!
//! Where the macros are used, the generated crate promises what [`Described`](super::Described) and
//! [`Family`](super::Family) ask for: that is its only `unsafe`. They repeat themselves because each expansion of a macro costs the
//! compiler as much as what it expands to: there are thousands, so none calls another one.

/// A generated struct: its constructor, what its values can do, and the rows that are written.
#[doc(hidden)]
#[macro_export]
macro_rules! object {
    ($type:ty, $constructor:expr, $self:ident, $rows:expr) => {
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl $crate::table::Described for $type {
            const TYPE: &'static $crate::table::Type = &$crate::table::Type::of_struct(&$constructor);
        }
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
        impl $crate::Serializable for $type {
            #[inline]
            fn serialize<S: $crate::Sink + ?Sized>(&self, out: &mut S) -> $crate::codegen::Encoded {
                let $self = self;
                $crate::table::write($self, $rows, out)
            }
        }
    };
}

/// A generated struct that stands bare in other objects: as `object!`, with its table instead of its constructor.
#[doc(hidden)]
#[macro_export]
macro_rules! bare_object {
    ($type:ty, $table:expr, $self:ident, $rows:expr) => {
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl $crate::table::Described for $type {
            const TYPE: &'static $crate::table::Type = $table;
        }
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
        impl $crate::Serializable for $type {
            #[inline]
            fn serialize<S: $crate::Sink + ?Sized>(&self, out: &mut S) -> $crate::codegen::Encoded {
                let $self = self;
                $crate::table::write($self, $rows, out)
            }
        }
    };
}

/// A generated function: as `object!`, and what it returns.
#[doc(hidden)]
#[macro_export]
macro_rules! call {
    ($type:ty, $constructor:expr, $self:ident, $rows:expr, $return:ty) => {
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl $crate::table::Described for $type {
            const TYPE: &'static $crate::table::Type = &$crate::table::Type::of_call(&$constructor);
        }
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
        impl $crate::Serializable for $type {
            #[inline]
            fn serialize<S: $crate::Sink + ?Sized>(&self, out: &mut S) -> $crate::codegen::Encoded {
                let $self = self;
                $crate::table::write($self, $rows, out)
            }
        }
        impl $crate::RemoteCall for $type {
            type Return = $return;
        }
    };
}

/// A generated enum: its table and what its values can do.
#[doc(hidden)]
#[macro_export]
macro_rules! family {
    ($type:ty, $of:ty, $table:expr) => {
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl $crate::table::Described for $type {
            const TYPE: &'static $crate::table::Type = $table;
        }
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
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl $crate::table::Described for $type {
            const TYPE: &'static $crate::table::Type = $table;
        }
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
        // SAFETY: both are the same generated type, whose fields are plain data and shared references.
        unsafe impl $crate::table::Family for $type {
            type Of<'a> = $of;
        }
        impl $crate::Serializable for $type {
            fn serialize<S: $crate::Sink + ?Sized>(&self, out: &mut S) -> $crate::codegen::Encoded {
                $crate::table::View::new(self).serialize(out)
            }
        }
    };
}

/// A generated struct that is the only constructor of its type.
#[doc(hidden)]
#[macro_export]
macro_rules! sole {
    ($type:ty, $of:ty, $table:expr) => {
        // SAFETY: both are the same generated struct or references to it, and the table is that of its type.
        unsafe impl $crate::table::Sole for $type {
            const TYPE: &'static $crate::table::Type = $table;
            type Of<'a> = $of;
        }
    };
}

/// A generated type that serde writes by its table.
#[cfg(feature = "serde")]
#[doc(hidden)]
#[macro_export]
macro_rules! written_by_serde {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::table::serde::Serialize for $type {
            fn serialize<S: $crate::table::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::table::serde::serialize(self, serializer)
            }
        }
    )*};
}
