//! The page of bounds: it lists what the sources define.

use anyhow::Result;

use super::{Context, Verdict};
use crate::limits;

/// Compares `docs/limits.md` with the sources.
pub(super) fn run(_: &mut Context) -> Result<Verdict> {
    limits::check().map(|count| Verdict::Passed(format!("{count} bounds")))
}
