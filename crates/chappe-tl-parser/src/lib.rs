//! Parser, schema model and schema diff for TL (Type Language) files.
//!
//! [`parse`] turns the text of a `.tl` file into a checked [`Schema`], or into [`Diagnostics`] that name file, line,
//! column, the line itself and what was expected; one run reports all of them. An explicit constructor id wins; one that breaks
//! the CRC-32 rule ([`id`]) is a warning ([`Schema::warnings`]), or an error with [`ParseOptions::strict`].
//!
//! # What is read
//!
//! * Schemas of Telegram, TDLib and TON ([`Dialect`]), with `---types---` and `---functions---`, comments, a `// LAYER n` line;
//!   the secret-chat schema with its sections `===8===`: the last definition of a name keeps it, an earlier one gets the number
//!   of its layer (`decryptedMessageLayer8`).
//! * Telegram's JSON form (`{"constructors":[…],"methods":[…]}`).
//! * Names with namespaces of any depth; parameters `name:type` and `name:flags.N?type`; flags words and numbers (`#`); bare
//!   types (`future_salt`, `%Message`); vectors in every spelling (`Vector<T>`, `Vector T`, `(vector T)`, `%Vector<T>`); type
//!   parameters of functions (`{X:Type}`, `!X`).
//! * Declarations of built-in types: `int ? = Int`, `int32 = Int32`, `int128 4*[ int ] = Int128`, `secureBytes ?`.
//!
//! Refused, because no schema needs it: other parts of the full language, that is `{n:#}`, multiplicities and anonymous fields
//! in definitions (`t*[ x:int ]`), parametrised types other than vectors (`Maybe`), constructors with type parameters.
//!
//! [`SchemaDiff`] lists the changes between two schemas and what they break. [`Schema::subset`] keeps only what a few
//! functions need. [`Schema::merge`] joins schemas and reports what they disagree about.
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

mod builtin;
mod check;
mod diagnostic;
mod dialect;
mod diff;
pub mod id;
mod json;
mod lexer;
mod merge;
mod model;
mod parse;
mod schema;
mod subset;

use std::borrow::Cow;

pub use diagnostic::{Diagnostic, Diagnostics, MAX_DIAGNOSTICS, Severity};
pub use dialect::{Dialect, UnknownDialect};
pub use diff::{Change, ChangeCounts, ChangeKind, FieldChange, GrownType, Impact, SchemaDiff};
pub use merge::{MergeConflict, Merged};
pub use model::{Category, Condition, Definition, Name, Parameter, ParameterKind, Type};
pub use schema::Schema;
pub use subset::UnknownName;

/// Parses and checks a schema.
///
/// `file` is only used in diagnostics.
///
/// # Errors
///
/// Fails with all problems of the text, the first [`MAX_DIAGNOSTICS`] in full.
pub fn parse(file: &str, text: &str) -> Result<Schema, Diagnostics> {
    parse_with(file, text, &ParseOptions::default())
}

/// Parses and checks a schema with the given options.
///
/// # Errors
///
/// Fails with all problems of the text, the first [`MAX_DIAGNOSTICS`] in full.
pub fn parse_with(file: &str, text: &str, options: &ParseOptions) -> Result<Schema, Diagnostics> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = diagnostic::Problems::default();
    let text = if json::looks_like_json(text) {
        match json::to_tl(text) {
            Ok(text) => Cow::Owned(text),
            Err(error) => {
                let source = diagnostic::Source::new(file, text);
                problems.error(&source, error.offset(text), error.message);
                Cow::Borrowed("")
            }
        }
    } else {
        Cow::Borrowed(text)
    };
    let source = diagnostic::Source::new(file, &text);
    let (tokens, marks) = lexer::tokenize(&source, &mut problems);
    let dialect = options.dialect.unwrap_or_else(|| Dialect::detect(&tokens));
    let parsed = parse::parse_tokens(&source, &tokens, dialect, &mut problems);
    let syntax_is_fine = problems.is_empty();
    let layer = check::layer(&source, &marks, options, &mut problems).or(parsed.layer);
    let schema = Schema::new(layer, dialect, parsed.definitions);
    check::check(&source, &schema, options, syntax_is_fine, &mut problems);
    problems.finish().map(|warnings| schema.with_warnings(warnings))
}

/// The options of reading a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseOptions {
    /// Names of definitions whose ids may break the CRC-32 rule without a warning, in addition to [`id::EXCEPTIONS`].
    pub trusted_ids: Vec<String>,
    /// The layer, instead of the one that the text names.
    pub layer: Option<i32>,
    /// The dialect, instead of the one that the text looks like.
    pub dialect: Option<Dialect>,
    /// Whether warnings are errors: ids that differ from the computed ones, and ids that occur twice.
    pub strict: bool,
}

impl ParseOptions {
    /// Accepts the id of the definition `name` without a warning although it breaks the CRC-32 rule.
    #[must_use]
    pub fn trust_id_of(mut self, name: impl Into<String>) -> Self {
        self.trusted_ids.push(name.into());
        self
    }

    /// Sets the layer of the schema.
    #[must_use]
    pub const fn layer(mut self, layer: i32) -> Self {
        self.layer = Some(layer);
        self
    }

    /// Sets the dialect of the schema.
    #[must_use]
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// Turns warnings into errors.
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }
}
