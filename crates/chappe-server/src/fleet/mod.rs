//! Several server processes behind one address.
//!
//! The processes share a [directory of keys](crate::directory) and a [`SessionDirectory`]. A session is owned by one process
//! at a time. It moves to the process that its client sends to: at once if the owner is alive and hands it over, and after
//! the end of the owner's lease if the owner is dead.
//!
//! What holds, whatever happens to processes and store:
//!
//! - **A query is executed at most once.** A process executes a message only after it has reserved its `msg_id` in the
//!   store, and a process that takes a session over leaves all reserved ids to its predecessor. A query of which no process knows
//!   whether it was executed is answered with the error 409 `QUERY_OUTCOME_UNKNOWN`.
//! - **An update that was [published](crate::Engine::publish) is sent at least once**, by whichever process owns the session, until the
//!   client acknowledges it. One update may come twice after a move; the application's ids in it tell.
//! - **Order within a session.** One process executes the queries of a session at a time, and messages of a later owner have higher
//!   ids. A process that was paused while it executed a query may finish it after the next owner has begun:
//!   pass [`Context::fence`](crate::Context::fence) to a store of your own to refuse what is late.

mod claims;
mod engine;
mod entry;
mod options;
mod session_directory;

pub(crate) use claims::Ownership;
pub(crate) use engine::{Admission, EngineFleet};
pub(crate) use entry::Entry;
pub use options::Fleet;
pub use session_directory::{
    Claim, ClaimRequest, FleetEvent, Membership, ProcessId, SessionDirectory, SessionName,
};
