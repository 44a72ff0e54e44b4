//! The schemas that objects are read with.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use chappe::dissect::Names;
use chappe::dynamic::{Decoder, Schema, Value, schemas};
use chappe::schema::{ParseOptions, parse_with};

use crate::failure::{Blame, Failure, OrBlame as _, Result};

/// Schemas in addition to the API's of this release.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Schemas")]
pub(crate) struct SchemaSources {
    /// A schema of the API to use instead of that of this release; several with --layer
    #[arg(long, value_name = "FILE")]
    schema: Vec<PathBuf>,
    /// The layer to use, of the schemas that are given by --schema or that of this release
    #[arg(long, value_name = "N")]
    layer: Option<i32>,
}

impl SchemaSources {
    /// Returns the schema of the API and of service messages.
    pub(crate) fn read(&self) -> Result<SchemaNames> {
        let files: Vec<Schema> = self.schema.iter().map(read_file).collect::<Result<_>>()?;
        let chosen = match self.layer {
            None => files.into_iter().next(),
            Some(layer) => {
                let mut at_hand: Vec<i32> = files.iter().filter_map(Schema::layer).collect();
                match files.into_iter().find(|schema| schema.layer() == Some(layer)) {
                    Some(schema) => Some(schema),
                    None if schemas::api().layer() == Some(layer) => None,
                    None => {
                        at_hand.extend(schemas::api().layer());
                        let at_hand: Vec<String> = at_hand.iter().map(ToString::to_string).collect();
                        let at_hand = at_hand.join(", ");
                        return Err(Failure::input(format!(
                            "no schema of layer {layer} is at hand, only {at_hand}: give its file by --schema"
                        )));
                    }
                }
            }
        };
        let schema = match &chosen {
            Some(api) => {
                let parts = [("api", api), ("mtproto", schemas::mtproto()), ("secret", schemas::secret())];
                Box::leak(Box::new(Schema::merge(parts).schema))
            }
            None => schemas::all(),
        };
        Ok(SchemaNames::new(schema))
    }
}

fn read_file(path: &PathBuf) -> Result<Schema> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).or_blame(Blame::Input, format_args!("cannot read {name}"))?;
    parse_with(&name, &text, &ParseOptions::default()).map_err(|problems| {
        let first = problems.iter().next().map(ToString::to_string).unwrap_or_default();
        Failure::input(first.lines().next().unwrap_or_default())
    })
}

/// An object that was read as far as it can be read.
pub(crate) struct Explored {
    pub(crate) value: Value<'static>,
    /// Why it was not read to its end.
    pub(crate) error: Option<String>,
}

/// A schema, for the names and the content of objects.
pub(crate) struct SchemaNames {
    schema: &'static Schema,
    names: HashMap<u32, String>,
}

impl SchemaNames {
    fn new(schema: &'static Schema) -> Self {
        let name = |id: u32| schema.by_id(id).map(|definition| (id, definition.name.to_string()));
        let names = schema.definitions().iter().filter_map(|definition| name(definition.id)).collect();
        Self { schema, names }
    }

    /// Reads an object as far as it can be read; the answer to a query of this constructor, if there is one.
    pub(crate) fn explore(&self, body: &[u8], query: Option<u32>) -> Explored {
        let decoder = Decoder::new(self.schema);
        let answer = query.and_then(|id| self.schema.by_id(id)).map(|definition| &definition.result);
        if let Some(Ok(value)) = answer.map(|ty| decoder.value(ty, body)) {
            return Explored { value, error: None };
        }
        let explored = decoder.explore(body);
        Explored { value: explored.value, error: explored.error.map(|error| error.to_string()) }
    }

    /// Returns an object as JSON.
    pub(crate) fn json(&self, body: &[u8], query: Option<u32>) -> serde_json::Value {
        serde_json::to_value(self.explore(body, query).value).unwrap_or_default()
    }
}

impl Names for SchemaNames {
    fn name(&self, constructor: u32) -> Option<&str> {
        self.names.get(&constructor).map(String::as_str)
    }
}
