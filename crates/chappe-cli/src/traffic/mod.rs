//! What `decode`, `decrypt` and `tap` share: keys and secrets, schemas, and how records are printed.

mod keys;
mod printer;
mod schemas;
mod traffic_sources;

pub(crate) use keys::{KeyLog, KeySources, SecretSources};
pub(crate) use printer::{Format, Printer};
pub(crate) use schemas::{Explored, SchemaNames, SchemaSources};
pub(crate) use traffic_sources::TrafficSources;
