//! Generated code: it is the output of the generator for the current schemas.

use anyhow::Result;

use super::{Context, Verdict};
use crate::codegen;

/// Compares the generated files with the output of the generator.
pub(super) fn run(_: &mut Context) -> Result<Verdict> {
    codegen::check().map(|files| Verdict::Passed(format!("{files} files")))
}
