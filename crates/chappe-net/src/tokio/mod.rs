//! Drivers over tokio: a task waits.

mod dial;
mod listen;
mod stream;

pub use dial::dial;
pub use listen::{Accepted, Listener, NewConnection};
pub use stream::{Reader, Writer};
