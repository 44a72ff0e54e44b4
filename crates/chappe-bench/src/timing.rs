//! Two-class statistical test of what is claimed to be constant time.

use anyhow::Result;

/// What to test.
#[derive(clap::Args)]
pub struct Options {}

/// Runs all tests.
pub fn run(_: &Options) -> Result<()> {
    Ok(())
}
