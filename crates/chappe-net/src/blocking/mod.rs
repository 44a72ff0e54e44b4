//! Drivers over `std::net`: a thread waits.

mod dial;
mod stream;

pub use dial::dial;
pub use stream::Stream;
