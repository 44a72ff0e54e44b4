//! `chappe schema check`.

use std::io::{self, Write};

use chappe::schema::{Diagnostic, Severity};
use serde::Serialize;

use super::{Reading, SchemaPath, text};
use crate::failure::{Result, Status};
use crate::output::{BAD, DIM, GOOD, Output, Report, WARN, count};

/// Checks a schema: syntax, names, types, and constructor ids against their CRC-32
#[derive(clap::Args)]
pub(crate) struct Check {
    /// The schema file, in TL or in Telegram's JSON; `-` reads standard input
    schema: SchemaPath,
    /// Treats warnings as errors: ids that differ from the computed ones, and ids that occur twice
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    reading: Reading,
}

/// The result.
#[derive(Serialize)]
struct Checked {
    file: String,
    layer: Option<i32>,
    constructors: usize,
    functions: usize,
    problems: Vec<Problem>,
}

/// A problem and its place.
#[derive(Serialize)]
struct Problem {
    severity: &'static str,
    line: usize,
    column: usize,
    message: String,
    source: String,
}

impl Check {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let file = self.schema.display().to_string();
        let mut options = self.reading.options();
        options.strict = self.strict;
        let checked = match chappe::schema::parse_with(&file, &text(&self.schema)?, &options) {
            Ok(schema) => Checked {
                layer: schema.layer(),
                constructors: schema.constructors().count(),
                functions: schema.functions().count(),
                problems: schema.warnings().iter().map(Problem::from).collect(),
                file,
            },
            Err(problems) => Checked {
                file,
                layer: None,
                constructors: 0,
                functions: 0,
                problems: problems.iter().map(Problem::from).collect(),
            },
        };
        output.report(&checked)?;
        Ok(Status::found(checked.errors() > 0))
    }
}

impl Checked {
    fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == "error").count()
    }
}

impl From<&Diagnostic> for Problem {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            line: diagnostic.line,
            column: diagnostic.column,
            message: diagnostic.message.clone(),
            source: diagnostic.source_line.clone(),
        }
    }
}

impl Report for Checked {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for Problem { severity, line, column, message, source } in &self.problems {
            let style = if *severity == "error" { BAD } else { WARN };
            writeln!(out, "{}:{line}:{column}: {style}{severity}:{style:#} {message}", self.file)?;
            if !source.is_empty() {
                writeln!(out, "{DIM}  {source}{DIM:#}")?;
            }
        }
        let warnings = self.problems.len() - self.errors();
        if self.errors() > 0 {
            let errors = count(self.errors(), "error");
            return writeln!(out, "{}: {errors}, {}", self.file, count(warnings, "warning"));
        }
        let layer = self.layer.map(|layer| format!("layer {layer}, ")).unwrap_or_default();
        let (constructors, functions) = (self.constructors, self.functions);
        writeln!(
            out,
            "{}: {GOOD}in order{GOOD:#}, {layer}{constructors} constructors, {functions} functions, {}",
            self.file,
            count(warnings, "warning")
        )
    }
}
