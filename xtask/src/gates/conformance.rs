//! The checklist: every rule of the protocol has a test or a reason, and the page is up to date.

use anyhow::Result;

use super::{Context, Verdict};
use crate::conformance;

/// Compares `docs/conformance.md` with the rules and the tests.
pub(super) fn run(_: &mut Context) -> Result<Verdict> {
    conformance::check().map(|counts| Verdict::Passed(counts.to_string()))
}
