//! What generated code says about each type besides its fields.
//!
//! Where the macros are used, the generated crate promises what [`Described`](super::Described) and
//! [`Family`](super::Family) ask for: that is its only `unsafe`. They take lists, and repeat themselves,
//! because each expansion of a macro costs the compiler as much as what it expands to.

/// A generated list of lines: the name by which structs refer to it, and whether the id is written.
#[doc(hidden)]
#[macro_export]
macro_rules! lines {
    ($name:ident, $tables:expr, $boxed:literal) => {
        #[allow(
            unreachable_pub,
            missing_debug_implementations,
            reason = "nobody can name it, and it has no values"
        )]
        pub enum $name {}
        impl $crate::__private::Lines for $name {
            const TABLES: &'static $crate::__private::Tables = $tables;
            const BOXED: bool = $boxed;
        }
    };
}

/// The constructors and rows of a generated crate.
#[doc(hidden)]
#[macro_export]
macro_rules! laid_out {
    ($name:ident, $rows:literal, $lines:literal, $types:expr, $extra:expr, $row_bytes:expr, $line_bytes:expr) => {
        static $name: $crate::__private::Layout<$rows, $lines> = $crate::__private::layout(
            // SAFETY: the generator prints the numbers of kinds, and 0 and 1.
            unsafe { $crate::__private::printed($row_bytes, $line_bytes) },
            $types,
            $extra,
        );
    };
}

/// Generated structs: the lines that describe them, the types of their rows, and what their values can do.
#[doc(hidden)]
#[macro_export]
macro_rules! objects {
    ($lines:ty; $([$($life:lifetime)?] $type:ty, $a:ident $b:ident $c:ident $d:ident, $rows:ty;)*) => {$(
        // SAFETY: the generator prints types, rows and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl$(<$life>)? $crate::__private::Object for $type {
            type Rows = $crate::__private::Of<
                $lines,
                $crate::__private::$a,
                $crate::__private::$b,
                $crate::__private::$c,
                $crate::__private::$d,
                $rows,
            >;
        }
        impl$(<$life>)? Clone for $type {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }
        impl$(<$life>)? Copy for $type {}
        impl$(<$life>)? PartialEq for $type {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                $crate::__private::is_same(self, other)
            }
        }
        impl$(<$life>)? ::core::fmt::Debug for $type {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::__private::debug(self, f)
            }
        }
    )*};
}

/// A generated struct that stands bare in other objects: as in `objects!`, with its table instead of its line.
#[doc(hidden)]
#[macro_export]
macro_rules! bare_object {
    ([$($life:lifetime)?] $type:ty, $of:ty, $table:expr, $rows:ty) => {
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl$(<$life>)? $crate::__private::Described for $type {
            const TYPE: &'static $crate::__private::Type = $table;
        }
        // SAFETY: the generator prints types and rows from one plan.
        unsafe impl$(<$life>)? $crate::__private::Struct for $type {
            type Rows = $rows;
        }
        // SAFETY: both are the same generated type, whose fields are plain data and shared references.
        unsafe impl$(<$life>)? $crate::__private::Family for $type {
            type Of<'o> = $of;
        }
        impl$(<$life>)? Clone for $type {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }
        impl$(<$life>)? Copy for $type {}
        impl$(<$life>)? PartialEq for $type {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                $crate::__private::is_same(self, other)
            }
        }
        impl$(<$life>)? ::core::fmt::Debug for $type {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::__private::debug(self, f)
            }
        }
    };
}

/// Generated functions: as `objects!`, and what they return. That their values can be copied and compared is said by `values!`.
#[doc(hidden)]
#[macro_export]
macro_rules! calls {
    ($lines:ty; $([$($life:lifetime)?] $type:ty, $a:ident $b:ident $c:ident $d:ident, $rows:ty, $return:ty;)*) => {$(
        // SAFETY: the generator prints types, rows and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl$(<$life>)? $crate::__private::Function for $type {
            type Rows = $crate::__private::Of<
                $lines,
                $crate::__private::$a,
                $crate::__private::$b,
                $crate::__private::$c,
                $crate::__private::$d,
                $rows,
            >;
            type Return = $return;
        }
        impl$(<$life>)? ::core::fmt::Debug for $type {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::__private::debug(self, f)
            }
        }
    )*};
}

/// Generated functions whose values can be copied and compared.
#[doc(hidden)]
#[macro_export]
macro_rules! values {
    ($($type:ty),* $(,)?) => {$(
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
                $crate::__private::is_same(self, other)
            }
        }
    )*};
}

/// Generated enums: their tables and what their values can do.
#[doc(hidden)]
#[macro_export]
macro_rules! families {
    ($tables:path; $($type:ty, $of:ty, $table:literal;)*) => {$(
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl $crate::__private::Described for $type {
            const TYPE: &'static $crate::__private::Type = &$tables[$table];
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
                $crate::__private::is_same(self, other)
            }
        }
        impl ::core::fmt::Debug for $type {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::__private::debug(self, f)
            }
        }
        // SAFETY: both are the same generated type, whose fields are plain data and shared references.
        unsafe impl $crate::__private::Family for $type {
            type Of<'a> = $of;
        }
    )*};
}

/// A generated type that can be decoded, and is written by its table.
#[doc(hidden)]
#[macro_export]
macro_rules! described_by_table {
    ($type:ty, $of:ty, $table:expr) => {
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl $crate::__private::Described for $type {
            const TYPE: &'static $crate::__private::Type = $table;
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
                $crate::__private::is_same(self, other)
            }
        }
        impl ::core::fmt::Debug for $type {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::__private::debug(self, f)
            }
        }
        // SAFETY: both are the same generated type, whose fields are plain data and shared references.
        unsafe impl $crate::__private::Family for $type {
            type Of<'a> = $of;
        }
        impl $crate::Serializable for $type {
            fn serialize<S: $crate::Sink + ?Sized>(&self, out: &mut S) -> $crate::__private::Encoded {
                $crate::__private::View::new(self).serialize(out)
            }
        }
    };
}

/// Generated structs that are the only constructors of their types.
#[doc(hidden)]
#[macro_export]
macro_rules! soles {
    ($([$($life:lifetime),*] $type:ty, $of:ty, $struct:ty;)*) => {$(
        // SAFETY: the first two are the same generated struct or references to it, and the third is that struct.
        unsafe impl<$($life),*> $crate::__private::Sole for $type {
            type Struct = $struct;
            type Of<'a> = $of;
        }
    )*};
}

/// A generated type that serde writes by its table.
#[cfg(feature = "serde")]
#[doc(hidden)]
#[macro_export]
macro_rules! written_by_serde {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::__private::serde::Serialize for $type {
            fn serialize<S: $crate::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::__private::serde::serialize(self, serializer)
            }
        }
    )*};
}
