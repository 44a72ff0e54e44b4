//! The commands. Each is a type that clap fills, and a function `run` that prints by [`Output`].

mod bench;
mod call;
mod completions;
mod decode;
mod decrypt;
mod doctor;
mod login;
mod man;
mod ping;
mod proxy;
mod schema;
mod serve;
mod session;
mod tap;

use clap::Subcommand;

use crate::failure::{Result, Status};
use crate::output::Output;

/// A command and its arguments.
#[derive(Subcommand)]
pub(crate) enum Command {
    Ping(ping::Ping),
    Doctor(doctor::Doctor),
    Serve(serve::Serve),
    /// Runs an MTProxy, as the program `chappe-proxy` does
    Proxy(proxy::Proxy),
    Call(call::Call),
    Login(login::Login),
    Session(session::Session),
    Decode(decode::Decode),
    Decrypt(decrypt::Decrypt),
    Tap(tap::Tap),
    Schema(schema::Schema),
    Bench(bench::Bench),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(self, output: &mut Output) -> Result<Status> {
        match self {
            Self::Ping(command) => command.run(output),
            Self::Doctor(command) => command.run(output),
            Self::Serve(command) => command.run(output),
            Self::Proxy(command) => command.run(),
            Self::Call(command) => command.run(output),
            Self::Login(command) => command.run(output),
            Self::Session(command) => command.run(output),
            Self::Decode(command) => command.run(output),
            Self::Decrypt(command) => command.run(output),
            Self::Tap(command) => command.run(output),
            Self::Schema(command) => command.run(output),
            Self::Bench(command) => command.run(output),
            Self::Completions(command) => command.run(output),
            Self::Man(command) => command.run(output),
        }
    }
}
