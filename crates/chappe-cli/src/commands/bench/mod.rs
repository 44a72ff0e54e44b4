//! `chappe bench`.

mod crypto;

use clap::Subcommand;

use crate::failure::{Result, Status};
use crate::output::Output;

/// Measures this machine
#[derive(clap::Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Crypto(crypto::Crypto),
}

impl Bench {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        match &self.task {
            Task::Crypto(task) => task.run(output),
        }
    }
}
