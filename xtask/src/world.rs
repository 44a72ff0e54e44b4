//! `cargo xtask world`: forwarded to a program of `chappe-conformance`.

use anyhow::Result;
use clap::Args;

use crate::shell::{self, Shell};
use crate::workspace;

/// Arguments of `cargo xtask world`.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct World {
    /// `--seed N` plays one seed, `--seeds N` and `--from N` play a range, `--profile P` picks the network, `--trace`
    /// prints everything that happens, and `--table` measures transfers on every network.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

impl World {
    /// Builds the program with optimisation and runs it.
    pub(crate) fn run(&self) -> Result<()> {
        let mut command = shell::cargo(&workspace::root()?);
        command.args([
            "run",
            "--release",
            "--quiet",
            "--package",
            "chappe-conformance",
            "--bin",
            "world",
            "--",
        ]);
        Shell::loud().run(command.args(&self.rest))
    }
}
