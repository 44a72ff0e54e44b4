//! `chappe schema`: what is in schema files, without code generation.

mod check;
mod diff;
mod json;
mod show;

use std::fs;
use std::path::{Path, PathBuf};

use chappe::schema::{Dialect, ParseOptions};
use clap::Subcommand;

use crate::failure::{Blame, Failure, OrBlame as _, Result, Status};
use crate::output::Output;

/// Checks, compares, shows and converts TL schemas
#[derive(clap::Args)]
pub(crate) struct Schema {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Check(check::Check),
    Diff(diff::Diff),
    Show(show::Show),
    Json(json::Json),
}

impl Schema {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        match &self.task {
            Task::Check(task) => task.run(output),
            Task::Diff(task) => task.run(output),
            Task::Show(task) => task.run(output),
            Task::Json(task) => task.run(output),
        }
    }
}

/// How schema files are read.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Reading")]
struct Reading {
    /// The layer, if the file does not name it in a comment `// LAYER n`
    #[arg(long, value_name = "N")]
    layer: Option<i32>,
    /// The dialect: telegram, tdlib or ton; detected without this option
    #[arg(long, value_name = "DIALECT")]
    dialect: Option<Dialect>,
    /// Names of definitions whose ids may differ from the computed ones
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    trust_id: Vec<String>,
}

impl Reading {
    fn options(&self) -> ParseOptions {
        let mut options = ParseOptions::default();
        options.trusted_ids.clone_from(&self.trust_id);
        (options.layer, options.dialect) = (self.layer, self.dialect);
        options
    }

    /// Reads a schema. The failure is the first problem of the text, and how many there are.
    fn read(&self, path: &Path) -> Result<chappe::schema::Schema> {
        let text = text(path)?;
        chappe::schema::parse_with(&path.display().to_string(), &text, &self.options()).map_err(|problems| {
            let first = problems.iter().next().map(ToString::to_string).unwrap_or_default();
            let first = first.lines().next().unwrap_or_default();
            Failure::input(match problems.len() {
                0 | 1 => first.to_owned(),
                more => format!("{first} (and {} more, see `chappe schema check`)", more - 1),
            })
        })
    }
}

/// A schema file; `-` is standard input.
type SchemaPath = PathBuf;

/// Returns the text of a schema file.
fn text(path: &Path) -> Result<String> {
    let name = path.display();
    let bytes = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).map(String::into_bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.or_blame(Blame::Input, format_args!("cannot read {name}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::input(format!("{name}: not UTF-8 at byte {at}"))
    })
}
