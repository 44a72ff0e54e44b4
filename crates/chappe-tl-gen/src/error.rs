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
    /// A constructor has type parameters, which only functions may have.
    GenericConstructor {
        /// The constructor.
        name: String,
    },
    /// A namespace has the name of a module that generated code uses.
    ReservedNamespace {
        /// The namespace.
        name: String,
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
            Self::GenericConstructor { name } => write!(f, "constructor `{name}` has type parameters"),
            Self::ReservedNamespace { name } => {
                write!(f, "namespace `{name}` has the name of a generated module")
            }
            Self::Unsupported { definition, what } => {
                write!(f, "`{definition}` has {what}, for which this style has no form")
            }
        }
    }
}

impl core::error::Error for GenerateError {}
