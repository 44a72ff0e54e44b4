//! `chappe`: MTProto at a shell.
//!
//! | part | content |
//! |---|---|
//! | `args` | the options that all commands share |
//! | `application` | the application that introduces itself |
//! | `commands` | one file, or folder, for each command |
//! | `output` | text and JSON, tables, colours, progress |
//! | `reach` | where a command connects to, and how |
//! | `sessions` | sessions of any library, from files and strings |
//! | `secrets` | passcodes from files, the environment and the terminal |
//! | `traffic` | keys, schemas and printing of the commands that show traffic |
//! | `failure` | errors by who has to act, and exit codes |
#![forbid(unsafe_code)]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program for a host with std")]
#![allow(clippy::doc_markdown, reason = "the comments of arguments are their help, which is no Markdown")]

mod application;
mod args;
mod commands;
mod failure;
mod output;
mod reach;
mod secrets;
mod sessions;
mod traffic;

use std::process::ExitCode;

use args::Args;
use output::Output;

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let mut output = Output::new(args.global);
    match args.command.run(&mut output) {
        Ok(status) => status.into(),
        Err(failure) => output.fail(&failure),
    }
}
