//! Drivers over tokio: a task waits.

mod client;
mod create_key;
mod dial;
mod listen;
mod serve;
mod stream;

pub use client::Client;
pub use create_key::{create_key, dial_with_new_key};
pub use dial::dial;
pub use listen::{Accepted, Listener, NewConnection};
pub use serve::{Fault, Faults, NoFaults, serve};
pub use stream::{Reader, Writer};
