//! Keys that outlive a process, and that several processes share.
//!
//! An engine holds the keys that its clients use. Behind it, a [`KeyDirectory`] keeps all keys: a file, Redis,
//! PostgreSQL, or memory for tests. The engine never waits for a directory. It makes futures that a listener runs
//! ([`DirectoryWorker`]), and a connection whose client uses a key that the engine does
//! not hold reads no further until the look-up is done.

mod engine;
#[cfg(feature = "file")]
mod file;
mod gate;
mod key_directory;
mod key_record;
mod key_sealer;
mod look_ups;
mod memory;
mod options;
mod tasks;

#[cfg(feature = "file")]
pub use file::FileDirectory;
pub use key_directory::{DirectoryError, DirectoryFuture, Found, KeyDirectory, SealedKey};
pub use key_record::KeyRecord;
pub use key_sealer::KeySealer;
pub use memory::MemoryDirectory;
pub use options::Directory;

pub(crate) use engine::{EngineDirectory, Search};
pub(crate) use gate::{Gate, Outcome};
pub(crate) use look_ups::{Limits, LookUpGuard, LookUpStart, LookUps};
pub use tasks::{DirectoryTask, DirectoryWorker};
