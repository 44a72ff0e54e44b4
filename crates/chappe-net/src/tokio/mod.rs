//! Drivers over tokio: a task waits.

mod dial;
mod listen;
mod serve;
mod stream;

pub use dial::dial;
pub use listen::{Accepted, Listener, NewConnection};
pub use serve::{Fault, Faults, NoFaults, serve};
pub use stream::{Reader, Writer};
