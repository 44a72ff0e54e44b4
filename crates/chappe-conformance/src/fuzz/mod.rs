//! What is fuzzed: every place where bytes of a peer, a proxy, a file or a person come in.
//!
//! A [`Target`] is a function over bytes that panics if something does not hold, and the inputs to start from. The
//! targets know the keys: where an honest peer would need one to be listened to, they encrypt the input with it, so
//! that what lies behind `msg_key`, digests and ciphers is reached.
//!
//! [`run`] is an engine for machines that have no other: it mutates inputs at random and remembers nothing. The
//! binaries in `crates/chappe-fuzz` hand the same targets to `libFuzzer`.
//!
//! ```
//! use chappe_conformance::fuzz;
//!
//! let target = fuzz::find("proxy_secret").expect("it is in the list");
//! for seed in (target.seeds)() {
//!     (target.run)(&seed);
//! }
//! ```

mod dissect;
mod engine;
mod envelope;
mod handshake;
mod import;
mod proxy;
mod relay;
mod rng;
mod service;
mod session;
mod tl;
mod transport;

pub use engine::{Finding, Outcome, Stop, run};
pub use rng::Seeded;

/// One thing that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, in small letters and underscores.
    pub name: &'static str,
    /// What it exercises, in a few words.
    pub about: &'static str,
    /// Uses the input; panics if something does not hold that must hold whatever the input is.
    pub run: fn(&[u8]),
    /// Makes inputs to start from, from our own encoders and the vectors.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Inputs longer than this many bytes are not worth their time.
    pub max_len: usize,
}

/// Every target.
pub const ALL: &[Target] = &[
    tl::API_TYPE,
    tl::API_CALL,
    service::SERVICE_TYPE,
    tl::SCHEMA,
    tl::DYNAMIC,
    transport::DECODER,
    transport::ACCEPT,
    transport::HTTP,
    relay::RELAY,
    proxy::PROXY_SECRET,
    proxy::FAKE_TLS,
    proxy::PROXY_HEADER,
    proxy::PROXY_CONFIG,
    envelope::PLAIN,
    envelope::ENCRYPTED,
    envelope::CONTAINER,
    handshake::PAIR,
    session::PAIR,
    session::SAVED_STATE,
    import::IMPORT,
    import::FILES,
    dissect::STREAM,
    dissect::CAPTURE,
];

/// Returns the target of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}
