//! `chappe schema diff`.

use std::io::{self, Write};

use chappe::schema::diff::{Change, ChangeKind};
use chappe::schema::{Category, Impact, SchemaDiff};
use serde::Serialize;

use super::{Reading, SchemaPath};
use crate::failure::{Result, Status};
use crate::output::{Output, Report};

/// Compares two schemas, and says what each change breaks
///
/// The exit code is 1 if they differ.
#[derive(clap::Args)]
pub(crate) struct Diff {
    /// The old schema
    old: SchemaPath,
    /// The new schema
    new: SchemaPath,
    #[command(flatten)]
    reading: Reading,
}

/// The difference.
#[derive(Serialize)]
struct Difference {
    old_layer: Option<i32>,
    new_layer: Option<i32>,
    verdict: String,
    constructors: Counts,
    functions: Counts,
    changes: Vec<Changed>,
    #[serde(skip)]
    text: String,
}

#[derive(Serialize)]
struct Counts {
    added: usize,
    removed: usize,
    changed: usize,
}

#[derive(Serialize)]
struct Changed {
    name: String,
    category: &'static str,
    kind: &'static str,
    verdict: String,
    old: Option<String>,
    new: Option<String>,
    fields: Vec<String>,
}

impl Diff {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let (old, new) = (self.reading.read(&self.old)?, self.reading.read(&self.new)?);
        let diff = SchemaDiff::between(&old, &new);
        output.report(&Difference::from(&diff))?;
        Ok(Status::found(!diff.changes.is_empty()))
    }
}

impl From<&SchemaDiff> for Difference {
    fn from(diff: &SchemaDiff) -> Self {
        let counts = |category| {
            let counts = diff.counts(category);
            Counts { added: counts.added, removed: counts.removed, changed: counts.changed }
        };
        Self {
            old_layer: diff.old_layer,
            new_layer: diff.new_layer,
            verdict: diff.impact().to_string(),
            constructors: counts(Category::Types),
            functions: counts(Category::Functions),
            changes: diff.changes.iter().map(Changed::from).collect(),
            text: if diff.changes.is_empty() { "no difference\n".into() } else { diff.to_string() },
        }
    }
}

impl From<&Change> for Changed {
    fn from(change: &Change) -> Self {
        let (kind, old, new, fields) = match &change.kind {
            ChangeKind::Added { new } => ("added", None, Some(new.line()), Vec::new()),
            ChangeKind::Removed { old } => ("removed", Some(old.line()), None, Vec::new()),
            ChangeKind::Changed { old, new, fields } => {
                let fields = fields.iter().map(ToString::to_string).collect();
                ("changed", Some(old.line()), Some(new.line()), fields)
            }
            _ => ("other", None, None, Vec::new()),
        };
        let impact: Impact = change.impact;
        Self {
            name: change.name.to_string(),
            category: if change.category == Category::Types { "constructor" } else { "function" },
            kind,
            verdict: impact.to_string(),
            old,
            new,
            fields,
        }
    }
}

impl Report for Difference {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.text.as_bytes())
    }
}
