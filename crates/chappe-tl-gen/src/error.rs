//! Errors of the generator.

use core::fmt;

/// Why no code can be generated for a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GenerateError {
    /// Two names of the schema become the same name in Rust.
    NameClash {
        /// The first one.
        first: String,
        /// The other one.
        second: String,
        /// The name of both in Rust.
        rust_name: String,
    },
    /// The chosen style does not support a definition.
    Unsupported {
        /// The constructor or function.
        definition: String,
        /// The unsupported part.
        what: &'static str,
    },
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameClash { first, second, rust_name } => {
                write!(f, "`{first}` and `{second}` both become `{rust_name}` in Rust")
            }
            Self::Unsupported { definition, what } => {
                write!(f, "`{definition}` has {what}, for which this style has no form")
            }
        }
    }
}

impl core::error::Error for GenerateError {}
