//! `chappe completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Args;
use crate::failure::{Result, Status};
use crate::output::Output;

/// Prints the completions for a shell
///
/// For example: `chappe completions bash > ~/.local/share/bash-completion/completions/chappe`.
#[derive(clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Args::command(), "chappe", &mut script);
        output.raw(&String::from_utf8_lossy(&script))?;
        Ok(Status::Done)
    }
}
