//! Builder methods of configuration structs.

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
