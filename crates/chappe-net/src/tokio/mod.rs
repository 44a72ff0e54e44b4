//! Drivers over tokio: a task waits.

mod client;
mod create_key;
mod datacenter;
mod dial;
mod http;
mod stream;

pub use client::Client;
pub use create_key::{create_key, dial_with_new_key};
pub use datacenter::{DataCenter, DataCenters};
pub use dial::dial;
pub use stream::{Reader, Writer};
