//! `chappe proxy`.

use chappe::proxy::ConfigError;
use chappe::proxy::program::Arguments;

use crate::failure::{Blame, Failure, Result, Status};

/// Runs an MTProxy, as the program `chappe-proxy` does
#[derive(clap::Args)]
pub(crate) struct Proxy {
    #[command(flatten)]
    arguments: Arguments,
}

impl Proxy {
    pub(crate) fn run(self) -> Result<Status> {
        let Err(error) = self.arguments.try_run() else { return Ok(Status::Done) };
        let is_wrong = |error: &ConfigError| !matches!(error, ConfigError::System(_));
        let is_config = error.chain().any(|cause| cause.downcast_ref().is_some_and(is_wrong));
        let blame = if is_config { Blame::Input } else { Blame::Machine };
        Err(Failure::new(blame, format!("{error:#}")))
    }
}
