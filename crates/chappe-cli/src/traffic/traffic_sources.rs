//! What `decrypt` and `tap` open traffic with, and how much of it they print.

use chappe::dissect::{Dissector, Keys};

use super::keys::{KeyLog, KeySources, SecretSources};
use super::printer::{Format, Printer};
use super::schemas::SchemaSources;
use crate::failure::Result;

/// Arguments of the commands that print messages of connections.
#[derive(clap::Args)]
pub(crate) struct TrafficSources {
    #[command(flatten)]
    keys: KeySources,
    #[command(flatten)]
    secrets: SecretSources,
    #[command(flatten)]
    schemas: SchemaSources,
    /// Prints the content of messages too
    #[arg(long)]
    bodies: bool,
    /// Prints connections too that carry no MTProto
    #[arg(long)]
    pub(crate) all: bool,
}

impl TrafficSources {
    /// Returns a dissector with all keys and secrets.
    pub(crate) fn dissector(&self) -> Result<Dissector> {
        self.dissector_with(self.keys.read()?)
    }

    /// Returns a dissector with the keys that are there already, and the key logs that add others.
    pub(crate) fn live_dissector(&self) -> Result<(Dissector, Vec<KeyLog>)> {
        Ok((self.dissector_with(self.keys.read_so_far()?)?, self.keys.logs()))
    }

    fn dissector_with(&self, keys: Keys) -> Result<Dissector> {
        Ok(Dissector::new(keys).with_secrets(self.secrets.read()?))
    }

    /// Returns what prints the records.
    pub(crate) fn printer(&self, format: Format) -> Result<Printer> {
        Ok(Printer::new(format, self.schemas.read()?, self.bodies, self.all))
    }
}
