//! The command line: options that all commands share, and errors in one line.

use std::env;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ColorChoice, Parser};

use crate::commands::Command;
use crate::failure::{Blame, Failure};
use crate::output::Output;

/// MTProto at a shell.
///
/// Reaches datacenters, runs one of its own, makes calls, and shows what is in sessions, schemas, captures and bytes.
#[derive(Parser)]
#[command(name = "chappe", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(clap::Args, Clone, Copy)]
#[command(next_help_heading = "Output")]
pub(crate) struct Global {
    /// Prints JSON; a command that prints as it goes prints one object per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
    /// Prints keys, secrets and session strings instead of hiding them
    #[arg(long, global = true)]
    pub(crate) show_secrets: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  done, and the answer is a problem or a difference
  2  the command line or an input file is wrong
  3  the network or the other end does not answer
  4  the server refused the request
  5  the other end broke the protocol
  6  this machine: files, ports, permissions";

impl Args {
    /// Reads the command line. Help goes to standard output; an error is printed in one line.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                // A closed pipe is no reason to complain about help.
                let _ = error.print();
                ExitCode::from(u8::from(error.use_stderr()) * Blame::Input.code())
            }
            _ => Output::new(Global::unread()).fail(&Failure::new(Blame::Input, one_line(&error))),
        })
    }
}

impl Global {
    /// Returns the options for the report of a command line that cannot be read.
    fn unread() -> Self {
        let json = env::args_os().any(|arg| arg == "--json");
        Self { json, color: ColorChoice::Auto, show_secrets: false }
    }
}

/// Returns the first paragraph of clap's text, and its tip, in one line.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        words.join(" ")
    });
    let problem = paragraphs.next().unwrap_or_default();
    let problem = problem.strip_prefix("error: ").unwrap_or(&problem);
    match paragraphs.find_map(|paragraph| paragraph.strip_prefix("tip: ").map(str::to_owned)) {
        Some(tip) => format!("{problem} ({tip}; see --help)"),
        None => format!("{problem} (see --help)"),
    }
}
