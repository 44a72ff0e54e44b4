//! `chappe schema diff`.

use std::io::{self, Write};

use chappe::schema::SchemaDiff;
use serde::{Serialize, Serializer};

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

impl Diff {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let (old, new) = (self.reading.read(&self.old)?, self.reading.read(&self.new)?);
        let diff = SchemaDiff::between(&old, &new);
        let is_different = !diff.changes.is_empty();
        output.report(&Difference(diff))?;
        Ok(Status::found(is_different))
    }
}

/// The difference, in the library's form.
struct Difference(SchemaDiff);

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.to_json().serialize(serializer)
    }
}

impl Report for Difference {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.0.changes.is_empty() { writeln!(out, "no difference") } else { write!(out, "{}", self.0) }
    }
}
