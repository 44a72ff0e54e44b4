//! Generated code: nothing in it was written by hand, and no schema is ahead of it.

use anyhow::Result;

use super::{Context, Verdict};
use crate::codegen;

/// Compares the generated files with what the generator makes of the schemas now.
pub(super) fn run(_: &mut Context) -> Result<Verdict> {
    codegen::check().map(|files| Verdict::Passed(format!("{files} files")))
}
