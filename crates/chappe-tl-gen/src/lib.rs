//! Generates Rust types from a TL (Type Language) schema.
//!
//! The output is the same for the same schema on every machine: one sorted file per TL namespace and kind, in the format of
//! `rustfmt`. At run time it needs only `chappe-tl`.
//!
//! Not here: reading schemas (`chappe-tl-parser`), encoding values (`chappe-tl`).
//!
//! # In a `build.rs`
//!
//! ```no_run
//! use chappe_tl_gen::GeneratorOptions;
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let text = std::fs::read_to_string("schema.tl")?;
//! let schema = chappe_tl_parser::parse("schema.tl", &text)?;
//! let output = chappe_tl_gen::generate(&schema, &GeneratorOptions::new("schema.tl"))?;
//! let out_dir = std::env::var("OUT_DIR")?;
//! std::fs::write(format!("{out_dir}/schema.rs"), output.to_single_file())?;
//! println!("cargo::rerun-if-changed=schema.tl");
//! # Ok(())
//! # }
//! ```
//!
//! and in the crate: `mod schema { include!(concat!(env!("OUT_DIR"), "/schema.rs")); }`.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_alloc, reason = "runs on a build machine")]

mod arena;
mod code;
mod docs;
mod error;
mod modules;
pub mod names;
mod options;
mod output;
mod owned;
mod plan;

pub use error::GenerateError;
pub use options::{GeneratorOptions, Style, UnknownStyle};
pub use output::{Difference, Output};
pub use plan::Plan;

use chappe_tl_parser::Schema;

/// The version of the agreement between generated code and `chappe-tl`.
pub const RUNTIME_VERSION: u32 = 6;

/// Generates all types and functions of a schema.
///
/// # Errors
///
/// Fails if the schema cannot be expressed in Rust, for example if two names become the same.
pub fn generate(schema: &Schema, options: &GeneratorOptions) -> Result<Output, GenerateError> {
    let plan = Plan::new(schema)?.with_pages(options.pages.clone());
    match options.style {
        Style::Owned => Ok(owned::generate(&plan, options)),
        Style::Arena => arena::generate(&plan, options),
    }
}
