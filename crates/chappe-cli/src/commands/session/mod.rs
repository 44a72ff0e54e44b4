//! `chappe session`: sessions of any library.

mod convert;
mod show;

use clap::Subcommand;

use crate::failure::{Result, Status};
use crate::output::Output;

pub(crate) use convert::Destination;

/// Shows what is in a session of any library, and converts it for another one
#[derive(clap::Args)]
pub(crate) struct Session {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Show(show::Show),
    Convert(convert::Convert),
}

impl Session {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        match &self.task {
            Task::Show(task) => task.run(output),
            Task::Convert(task) => task.run(output),
        }
    }
}
