//! Generated files: what is checked in is what the generator makes.

use anyhow::Result;

use super::{Context, Verdict};
use crate::codegen;

/// Generates everything in memory and compares.
pub(super) fn run(_: &mut Context) -> Result<Verdict> {
    let files = codegen::check()?;
    Ok(Verdict::Passed(format!("{files} files")))
}
