//! Parser, schema model and schema diff for TL (Type Language) files.
//!
//! [`parse`] turns the text of a `.tl` file into a checked [`Schema`], or into [`Diagnostics`] that name file, line,
//! column, the line itself and what was expected; one run reports all of them. Constructor ids are recomputed by the
//! CRC-32 rule ([`id`]) and must match.
//!
//! [`SchemaDiff`] lists the changes between two schemas and what they break. [`Schema::subset`] keeps only what a few
//! functions need.
//!
//! Not here: Rust code (`chappe-tl-gen`), encoding of values (`chappe-tl`).
//!
//! Specification: <https://core.telegram.org/mtproto/TL>, <https://core.telegram.org/mtproto/TL-formal>.
//!
//! # Example
//!
//! ```
//! let schema = chappe_tl_parser::parse(
//!     "ping.tl",
//!     "pong#347773c5 msg_id:long ping_id:long = Pong;
//!      ---functions---
//!      ping#7abe77ec ping_id:long = Pong; // answered by pong",
//! )?;
//! let ping = schema.by_id(0x7abe_77ec).expect("it is in the schema");
//! assert_eq!(ping.name.to_string(), "ping");
//!
//! let errors = chappe_tl_parser::parse("bad.tl", "pong msg_id:long = Pong\nping#7abe77ec = ;").unwrap_err();
//! assert_eq!(errors.to_string().lines().next(), Some("bad.tl:2:1: expected `;`, found `ping`"));
//! assert_eq!(errors.len(), 2);
//! # Ok::<(), chappe_tl_parser::Diagnostics>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_alloc, reason = "runs on a build machine")]

mod check;
mod diagnostic;
pub mod diff;
pub mod id;
mod lexer;
mod model;
mod parse;
mod schema;
mod subset;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use diff::{Impact, SchemaDiff};
pub use model::{Category, Condition, Definition, Name, Parameter, ParameterKind, Type};
pub use schema::Schema;
pub use subset::UnknownName;

/// Parses and checks a schema.
///
/// `file` is only used in diagnostics.
///
/// # Errors
///
/// Fails with all problems of the text.
pub fn parse(file: &str, text: &str) -> Result<Schema, Diagnostics> {
    parse_with(file, text, &ParseOptions::default())
}

/// Parses and checks a schema with the given options.
///
/// # Errors
///
/// Fails with all problems of the text.
pub fn parse_with(file: &str, text: &str, options: &ParseOptions) -> Result<Schema, Diagnostics> {
    let source = diagnostic::Source::new(file, text);
    let (tokens, layers, mut problems) = lexer::tokenize(&source);
    let parsed = parse::parse_tokens(&source, &tokens, &mut problems);
    let syntax_is_fine = problems.is_empty();
    let layer = check::layer(&source, &layers, &mut problems);
    let schema = Schema::new(layer, parsed);
    check::check(&source, &schema, options, syntax_is_fine, &mut problems);
    if problems.is_empty() { Ok(schema) } else { Err(Diagnostics::new(problems)) }
}

/// The options of the checks of a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseOptions {
    /// Names of definitions whose ids may break the CRC-32 rule, in addition to [`id::EXCEPTIONS`].
    pub trusted_ids: Vec<String>,
}

impl ParseOptions {
    /// Accepts the id of the definition `name` although it breaks the CRC-32 rule.
    #[must_use]
    pub fn trust_id_of(mut self, name: impl Into<String>) -> Self {
        self.trusted_ids.push(name.into());
        self
    }
}
