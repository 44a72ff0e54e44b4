//! What generated code says about each type besides its fields.
//!
//! The macros contain `unsafe impl`, which the compiler does not report in a crate that forbids unsafe code, since it is not
//! written there. So each of them takes a [`Promise`], which only an `unsafe` block at the place of use can make: that block
//! is reported. The macros take lists, and repeat themselves, because each expansion of a macro costs the compiler as much as
//! what it expands to.

/// That types, rows and tables that are given to a macro are printed from one plan of the generator.
///
/// A crate that forbids unsafe code cannot make it:
///
/// ```
/// struct Spy(&'static u64);
/// let _: fn() = || {
///     // What follows compiles because this crate allows it, and is a lie: the table of `long` does not describe a reference.
///     chappe_tl::described_by_table! {
///         unsafe { chappe_tl::__private::Promise::new() };
///         Spy, Spy, <i64 as chappe_tl::__private::Described>::TYPE
///     }
/// };
/// ```
/// ```compile_fail
/// #![forbid(unsafe_code)]
/// struct Spy(&'static u64);
/// let _: fn() = || {
///     chappe_tl::described_by_table! {
///         unsafe { chappe_tl::__private::Promise::new() };
///         Spy, Spy, <i64 as chappe_tl::__private::Described>::TYPE
///     }
/// };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Promise(());

impl Promise {
    /// Makes the promise.
    ///
    /// # Safety
    ///
    /// Every type that the macro is given must be what its table says, as [`Described`](super::Described),
    /// [`Family`](super::Family), [`Object`](super::Object), [`Function`](super::Function) and [`Sole`](super::Sole) ask for, and
    /// the bytes of a layout what [`printed`](super::printed) asks for.
    #[allow(unsafe_code)]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

/// A generated list of lines: the name by which structs refer to it, and whether the id is written.
#[doc(hidden)]
#[macro_export]
macro_rules! lines {
    ($name:ident, $tables:expr, $boxed:literal) => {
        #[allow(
            unreachable_pub,
            missing_debug_implementations,
            reason = "it cannot be named, and it has no values"
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
    ($promise:expr; $name:ident, $rows:literal, $lines:literal, $types:expr, $extra:expr, $row_bytes:expr, $line_bytes:expr) => {
        const _: $crate::__private::Promise = $promise;
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
    ($promise:expr; $lines:ty; $([$($life:lifetime)?] $type:ty, $a:ident $b:ident $c:ident $d:ident;)*) => {
        const _: $crate::__private::Promise = $promise;
        $(
        // SAFETY: the generator prints types, rows and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl$(<$life>)? $crate::__private::Object for $type {
            type Line = $crate::__private::Of<
                $lines,
                $crate::__private::$a,
                $crate::__private::$b,
                $crate::__private::$c,
                $crate::__private::$d,
            >;
        }
        impl$(<$life>)? ::core::clone::Clone for $type {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }
        impl$(<$life>)? ::core::marker::Copy for $type {}
        impl$(<$life>)? ::core::cmp::PartialEq for $type {
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
    ($promise:expr; [$($life:lifetime)?] $type:ty, $of:ty, $table:expr) => {
        const _: $crate::__private::Promise = $promise;
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl$(<$life>)? $crate::__private::Described for $type {
            const TYPE: &'static $crate::__private::Type = $table;
        }
        // SAFETY: both are the same generated type, whose fields are plain data and shared references.
        unsafe impl$(<$life>)? $crate::__private::Family for $type {
            type Of<'o> = $of;
        }
        impl$(<$life>)? ::core::clone::Clone for $type {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }
        impl$(<$life>)? ::core::marker::Copy for $type {}
        impl$(<$life>)? ::core::cmp::PartialEq for $type {
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
        impl$(<$life>)? $crate::__private::Tabled for $type {}
    };
}

/// Generated functions: as `objects!`, and what they return. That their values can be copied and compared is said by `values!`.
#[doc(hidden)]
#[macro_export]
macro_rules! calls {
    ($promise:expr; $lines:ty; $([$($life:lifetime)?] $type:ty, $a:ident $b:ident $c:ident $d:ident, $return:ty;)*) => {
        const _: $crate::__private::Promise = $promise;
        $(
        // SAFETY: the generator prints types, rows and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl$(<$life>)? $crate::__private::Function for $type {
            type Line = $crate::__private::Of<
                $lines,
                $crate::__private::$a,
                $crate::__private::$b,
                $crate::__private::$c,
                $crate::__private::$d,
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
        impl ::core::clone::Clone for $type {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }
        impl ::core::marker::Copy for $type {}
        impl ::core::cmp::PartialEq for $type {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                $crate::__private::is_same(self, other)
            }
        }
    )*};
}

/// Generated functions that can be decoded each on its own, as servers do.
#[doc(hidden)]
#[macro_export]
macro_rules! received {
    ($promise:expr; $($type:ty, $of:ty;)*) => {
        const _: $crate::__private::Promise = $promise;
        $(
        // SAFETY: both are the same generated type, whose fields are plain data and shared references.
        unsafe impl $crate::__private::Family for $type {
            type Of<'a> = $of;
        }
    )*};
}

/// Generated functions that borrow nothing, so that a decoded one needs no arena.
#[doc(hidden)]
#[macro_export]
macro_rules! received_whole {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::Deserializable for $type {
            const LEAST_LEN: usize = <$type as $crate::__private::Described>::TYPE.least();

            fn deserialize(
                buf: $crate::deserialize::Buffer<'_, '_>,
            ) -> $crate::deserialize::Result<Self> {
                $crate::__private::whole(buf)
            }
        }
    )*};
}

/// Generated structs whose fields can all be empty.
#[doc(hidden)]
#[macro_export]
macro_rules! defaults {
    ($($type:ty),* $(,)?) => {$(
        impl ::core::default::Default for $type {
            #[inline]
            fn default() -> Self {
                $crate::__private::empty()
            }
        }
    )*};
}

/// Generated enums: their tables and what their values can do.
#[doc(hidden)]
#[macro_export]
macro_rules! families {
    ($promise:expr; $tables:path; $($type:ty, $of:ty, $table:literal;)*) => {
        const _: $crate::__private::Promise = $promise;
        $(
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl $crate::__private::Described for $type {
            const TYPE: &'static $crate::__private::Type = &$tables[$table];
        }
        impl ::core::clone::Clone for $type {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }
        impl ::core::marker::Copy for $type {}
        impl ::core::cmp::PartialEq for $type {
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
        impl $crate::__private::Tabled for $type {}
    )*};
}

/// A generated type that can be decoded, and is written by its table.
#[doc(hidden)]
#[macro_export]
macro_rules! described_by_table {
    ($promise:expr; $type:ty, $of:ty, $table:expr) => {
        const _: $crate::__private::Promise = $promise;
        // SAFETY: the generator prints types and tables from one plan, and offsets follow from the rows as in `repr(C)`.
        unsafe impl $crate::__private::Described for $type {
            const TYPE: &'static $crate::__private::Type = $table;
        }
        impl ::core::clone::Clone for $type {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }
        impl ::core::marker::Copy for $type {}
        impl ::core::cmp::PartialEq for $type {
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
        impl $crate::__private::Tabled for $type {}
    };
}

/// Generated structs that are the only constructors of their types.
#[doc(hidden)]
#[macro_export]
macro_rules! soles {
    ($promise:expr; $([$($life:lifetime),*] $type:ty, $of:ty, $struct:ty;)*) => {
        const _: $crate::__private::Promise = $promise;
        $(
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
