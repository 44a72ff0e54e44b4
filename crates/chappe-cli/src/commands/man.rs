//! `chappe man`.

use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::args::Args;
use crate::failure::{Blame, OrBlame as _, Result, Status};
use crate::output::Output;

/// Prints the manual page, or writes one page for each command into a folder
///
/// For example: `chappe man | man -l -`, or `chappe man ~/.local/share/man/man1`.
#[derive(clap::Args)]
pub(crate) struct Man {
    /// The folder; it must exist
    folder: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let command = Args::command();
        if let Some(folder) = &self.folder {
            clap_mangen::generate_to(command, folder)
                .or_blame(Blame::Machine, format_args!("cannot write to {}", folder.display()))?;
        } else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).or_blame(Blame::Machine, "cannot print")?;
            output.raw(&String::from_utf8_lossy(&page))?;
        }
        Ok(Status::Done)
    }
}
