//! The server's half of the exchange: a table of unfinished exchanges and the answers to queries.
//!
//! ```text
//! req_pq_multi → resPQ            the name of the exchange is (nonce, server_nonce)
//! req_DH_params → server_DH_params_ok
//! set_client_DH_params → KeyCandidate → dh_gen_ok | dh_gen_retry | dh_gen_fail
//! ```
//!
//! An exchange belongs to its name, not to a connection: a client whose connection broke continues over another one.
//! The two steps with RSA and Diffie-Hellman cost a thousand times as much as all else. A server can have them done
//! elsewhere: [`ServerHandshakes::begin_frame`] returns them as [`Work`], and [`ServerHandshakes::finish`] takes the result.
//!
//! **Invariant:** after any failed check the exchange is removed, so every later query with its name fails (SEC-57).
//!
//! Spec: <https://core.telegram.org/mtproto/auth_key>.

mod exchange;
mod failed;
mod first_step;
mod handshakes;
mod inner_data;
mod key_candidate;
mod options;
mod primes;
mod rate_limit;
mod refusal;
mod table;
mod work;

pub use handshakes::{FrameStep, QueryReply, ServerHandshakes};
pub use key_candidate::{CreatedKey, KeyCandidate};
pub use options::{DcPolicy, ServerOptions, ServerOptionsError, Tolerance};
pub use rate_limit::{PeerId, RateLimit};
pub use refusal::{QueryRefusal, RefusalReason};
pub use work::{Work, WorkDone};
