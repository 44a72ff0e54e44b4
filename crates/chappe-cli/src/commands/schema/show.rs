//! `chappe schema show`.

use std::io::{self, Write};

use chappe::schema::{Category, Definition, Name, Schema, Type};
use serde::Serialize;

use super::{Reading, SchemaPath};
use crate::failure::{Failure, Result, Status};
use crate::output::{DIM, NAME, Output, Report};

/// Shows a type, constructor or function: its definition, and what uses it
///
/// For example: `chappe schema show api.tl Message`, `chappe schema show api.tl messages.sendMessage`,
/// `chappe schema show api.tl 0x347773c5`.
#[derive(clap::Args)]
pub(crate) struct Show {
    /// The schema file, in TL or in Telegram's JSON; `-` reads standard input
    schema: SchemaPath,
    /// The name of a type, constructor or function, or a constructor id in hexadecimal
    name: String,
    #[command(flatten)]
    reading: Reading,
}

/// What is known about a name.
#[derive(Serialize)]
struct Shown {
    name: String,
    kind: &'static str,
    definitions: Vec<String>,
    /// Functions that return it.
    returned_by: Vec<String>,
    /// Constructors and functions with a field of it.
    used_by: Vec<String>,
}

impl Show {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let schema = self.reading.read(&self.schema)?;
        let shown = Shown::find(&schema, &self.name).ok_or_else(|| self.unknown(&schema))?;
        output.report(&shown)?;
        Ok(Status::Done)
    }

    /// Names what is spelled alike.
    fn unknown(&self, schema: &Schema) -> Failure {
        let wanted = self.name.to_lowercase();
        let names = schema.definitions().iter().map(|definition| definition.name.to_string());
        let mut alike: Vec<String> = names.filter(|name| name.to_lowercase().contains(&wanted)).collect();
        alike.sort_by_key(String::len);
        alike.truncate(3);
        let hint =
            if alike.is_empty() { String::new() } else { format!(": did you mean {}?", alike.join(", ")) };
        Failure::input(format!("{} has no `{}`{hint}", self.schema.display(), self.name))
    }
}

impl Shown {
    fn find(schema: &Schema, text: &str) -> Option<Self> {
        if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix('#')) {
            let definition = schema.by_id(u32::from_str_radix(digits, 16).ok()?)?;
            return Some(Self::of_definition(schema, definition));
        }
        let name = Name::new(text);
        if schema.constructors_of(&name).next().is_some() {
            return Some(Self::of_type(schema, &name));
        }
        let definition = schema.constructor(&name).or_else(|| schema.function(&name))?;
        Some(Self::of_definition(schema, definition))
    }

    fn of_type(schema: &Schema, name: &Name) -> Self {
        Self {
            name: name.to_string(),
            kind: "type",
            definitions: schema.constructors_of(name).map(Definition::line).collect(),
            returned_by: names(schema.functions().filter(|function| is(&function.result, name))),
            used_by: names(
                schema
                    .definitions()
                    .iter()
                    .filter(|definition| definition.fields().any(|(_, ty, _)| is(ty, name))),
            ),
        }
    }

    fn of_definition(schema: &Schema, definition: &Definition) -> Self {
        let of_type = match &definition.result {
            Type::Boxed(ty) if definition.category == Category::Types => Some(Self::of_type(schema, ty)),
            _ => None,
        };
        Self {
            name: definition.name.to_string(),
            kind: if definition.category == Category::Types { "constructor" } else { "function" },
            definitions: vec![definition.line()],
            returned_by: of_type.as_ref().map(|ty| ty.returned_by.clone()).unwrap_or_default(),
            used_by: of_type.map(|ty| ty.used_by).unwrap_or_default(),
        }
    }
}

/// Returns whether a type is `name`, or a vector of it.
fn is(ty: &Type, name: &Name) -> bool {
    matches!(ty.innermost(), Type::Boxed(ty) | Type::Bare(ty) | Type::BareOf(ty) if ty == name)
}

fn names<'a>(definitions: impl Iterator<Item = &'a Definition>) -> Vec<String> {
    definitions.map(|definition| definition.name.to_string()).collect()
}

impl Report for Shown {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{NAME}{}{NAME:#} {DIM}({}){DIM:#}", self.name, self.kind)?;
        for definition in &self.definitions {
            writeln!(out, "  {definition}")?;
        }
        for (heading, names) in [("returned by", &self.returned_by), ("used by", &self.used_by)] {
            if !names.is_empty() {
                writeln!(out, "{NAME}{heading}{NAME:#} {DIM}({}){DIM:#}", names.len())?;
                for name in names {
                    writeln!(out, "  {name}")?;
                }
            }
        }
        Ok(())
    }
}
