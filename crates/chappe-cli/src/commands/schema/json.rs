//! `chappe schema json`.

use std::io::{self, Write};

use chappe::schema::{Definition, Schema};
use serde::Serialize;

use super::{Reading, SchemaPath};
use crate::failure::{Result, Status};
use crate::output::{Output, Report};

/// Converts a schema to Telegram's JSON form, or with `--to-tl` from it to TL
#[derive(clap::Args)]
pub(crate) struct Json {
    /// The schema file, in TL or in Telegram's JSON; `-` reads standard input
    schema: SchemaPath,
    /// Prints TL, with the id of each definition
    #[arg(long, conflicts_with = "json")]
    to_tl: bool,
    #[command(flatten)]
    reading: Reading,
}

/// A schema in Telegram's JSON form.
#[derive(Serialize)]
struct Converted {
    constructors: Vec<Constructor>,
    methods: Vec<Function>,
}

#[derive(Serialize)]
struct Constructor {
    /// Signed and in decimal, as Telegram writes it.
    id: String,
    predicate: String,
    params: Vec<Param>,
    r#type: String,
}

#[derive(Serialize)]
struct Function {
    id: String,
    method: String,
    params: Vec<Param>,
    r#type: String,
}

#[derive(Serialize)]
struct Param {
    name: String,
    r#type: String,
}

impl Json {
    pub(crate) fn run(&self, output: &mut Output) -> Result<Status> {
        let schema = self.reading.read(&self.schema)?;
        if self.to_tl {
            output.raw(&schema.to_string())?;
        } else {
            output.report(&Converted::from(&schema))?;
        }
        Ok(Status::Done)
    }
}

impl From<&Schema> for Converted {
    fn from(schema: &Schema) -> Self {
        let constructor = |definition: &Definition| Constructor {
            id: id(definition),
            predicate: definition.name.to_string(),
            params: params(definition),
            r#type: definition.result.to_string(),
        };
        let method = |definition: &Definition| Function {
            id: id(definition),
            method: definition.name.to_string(),
            params: params(definition),
            r#type: definition.result.to_string(),
        };
        Self {
            constructors: schema.constructors().map(constructor).collect(),
            methods: schema.functions().map(method).collect(),
        }
    }
}

fn id(definition: &Definition) -> String {
    definition.id.cast_signed().to_string()
}

fn params(definition: &Definition) -> Vec<Param> {
    let param = |param: &chappe::schema::Parameter| {
        let text = param.to_string();
        let (name, ty) = text.split_once(':').unwrap_or(("", &text));
        Param { name: name.to_owned(), r#type: ty.to_owned() }
    };
    definition.params.iter().map(param).collect()
}

impl Report for Converted {
    /// The form is JSON, with `--json` and without.
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }
}
