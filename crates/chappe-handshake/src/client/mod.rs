//! The client's half of the exchange: one type per awaited message. The answer consumes the type.
//!
//! [`ExpectResPq`] → [`ExpectServerDhParams`] → [`ExpectDhGen`] → [`Finished`].
//!
//! Not here: frames, deadlines and repeats ([`ClientHandshake`](crate::ClientHandshake)).

mod dh_gen;
mod dh_params;
mod finished;
mod machine;
mod options;
mod res_pq;

pub use dh_gen::{ExpectDhGen, MAX_RETRIES, Outcome, Retry};
pub use dh_params::ExpectServerDhParams;
pub use finished::Finished;
pub use machine::{ClientHandshake, HANDSHAKE_TIMEOUT, Progress};
pub use options::ClientOptions;
pub use res_pq::ExpectResPq;
pub(crate) use res_pq::minimal_bytes;
