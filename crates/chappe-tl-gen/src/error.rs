//! What has no form in Rust.

use core::fmt;

/// Why a schema cannot be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GenerateError {
    /// Two names of the schema become the same name in Rust.
    NameClash {
        /// The one that came first.
        first: String,
        /// The other one.
        second: String,
        /// What both become.
        rust_name: String,
    },
    /// A constructor has type parameters; only functions may.
    GenericConstructor {
        /// The constructor.
        name: String,
    },
    /// A namespace is called like a module that generated code needs for itself.
    ReservedNamespace {
        /// The namespace.
        name: String,
    },
    /// The chosen style has no form for something.
    Unsupported {
        /// The constructor or function.
        definition: String,
        /// What it has that has no form.
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
