//! Builder methods of configuration structs.

/// Defines the builder method of a struct of bounds: `limits.with(|limits| limits.pending_calls = 64)`.
///
/// Such a struct has many fields of which a program changes few, so one method serves all.
#[doc(hidden)]
#[macro_export]
macro_rules! with {
    () => {
        /// Changes fields: the struct is `#[non_exhaustive]`, so `..Default::default()` is not possible.
        #[must_use]
        pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
            change(&mut self);
            self
        }
    };
}

/// Defines builder methods: `setters! { with_len => len: usize }` sets the field `len`.
///
/// Configuration structs are `#[non_exhaustive]`, so users start from a constructor or `Default` and change single fields.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($($setter:ident => $field:ident: $ty:ty),* $(,)?) => {
        $(
            #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
            #[must_use]
            pub fn $setter(mut self, $field: $ty) -> Self {
                self.$field = $field;
                self
            }
        )*
    };
}
