//! Formatting, including packages outside the workspace.

use anyhow::Result;

use super::{Context, Verdict};
use crate::shell;

/// Packages that are workspaces of their own.
const OUTSIDE: &[&str] = &[
    "crates/chappe-bench",
    "crates/chappe-fuzz",
    "crates/examples/import-session",
    "xtask/instructions",
    "xtask/no-std-proof",
];

/// Runs `cargo fmt --check` everywhere.
pub(super) fn run(context: &mut Context) -> Result<Verdict> {
    let root = context.workspace.root();
    context.shell.run(shell::cargo(root).args(["fmt", "--all", "--check"]))?;
    for folder in OUTSIDE {
        let manifest = root.join(folder).join("Cargo.toml");
        if manifest.is_file() {
            let mut fmt = shell::cargo(root);
            context.shell.run(fmt.args(["fmt", "--check", "--manifest-path"]).arg(manifest))?;
        }
    }
    Ok(Verdict::Passed(String::new()))
}
