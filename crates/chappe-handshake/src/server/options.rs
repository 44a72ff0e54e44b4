//! Options of the server.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use chappe_crypto::dh::Group;
use chappe_crypto::rsa::PrivateKey;

use super::RateLimit;
use crate::DcId;

/// Options of the server. Start from [`ServerOptions::strict`] or [`ServerOptions::lenient`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The private keys. The server announces all of them, in this order.
    pub keys: Vec<PrivateKey>,
    /// The Diffie-Hellman group. The type proves that it passes a client's checks (SEC-55).
    pub group: Group,
    /// Which datacenters clients may ask for.
    pub dcs: DcPolicy,
    /// Whether old forms of messages are accepted.
    pub tolerance: Tolerance,
    /// Most exchanges in memory at once, finished ones included. A new exchange replaces the oldest (SEC-60). Default 4096.
    pub max_exchanges: usize,
    /// The same of one peer: its own oldest exchange makes room, so that no peer pushes out those of others. Default 512.
    pub max_exchanges_per_peer: usize,
    /// How long an exchange and its answers are kept (SEC-58). Default 10 minutes, as in the specification.
    pub lifetime: Duration,
    /// Longest lifetime of a temporary key, in seconds (SEC-51). Default 30 days.
    pub max_expires_in: u32,
    /// How often a peer may start an exchange or make the server decrypt (SEC-59). `None` sets no limit.
    pub rate: Option<RateLimit>,
}

impl ServerOptions {
    chappe_types::setters! {
        with_keys => keys: Vec<PrivateKey>,
        with_group => group: Group,
        with_dcs => dcs: DcPolicy,
        with_tolerance => tolerance: Tolerance,
        with_max_exchanges => max_exchanges: usize,
        with_max_exchanges_per_peer => max_exchanges_per_peer: usize,
        with_lifetime => lifetime: Duration,
        with_max_expires_in => max_expires_in: u32,
        with_rate => rate: Option<RateLimit>,
    }
}

/// Which datacenters clients may ask for (SEC-50).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DcPolicy {
    /// Any.
    Any,
    /// Only these. Others are answered with the transport error -444.
    Only(Vec<DcId>),
}

/// Whether the server accepts forms of messages that only old clients write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tolerance {
    /// Only `RSA_PAD`, and inner data with a datacenter.
    Strict,
    /// Also the RSA form with SHA-1 in front, and inner data without a datacenter. Many clients in use send these.
    Lenient,
}

impl ServerOptions {
    /// Accepts only what the specification requires of clients, for these datacenters.
    pub fn strict(keys: Vec<PrivateKey>, dcs: Vec<DcId>) -> Self {
        let options = Self::lenient(keys);
        Self { dcs: DcPolicy::Only(dcs), tolerance: Tolerance::Strict, ..options }
    }

    /// Accepts what clients in use send, for any datacenter.
    pub fn lenient(keys: Vec<PrivateKey>) -> Self {
        Self {
            keys,
            group: Group::known(3).expect("3 generates the subgroup of the published prime"),
            dcs: DcPolicy::Any,
            tolerance: Tolerance::Lenient,
            max_exchanges: 4096,
            max_exchanges_per_peer: 512,
            lifetime: Duration::from_secs(600),
            max_expires_in: 30 * 24 * 60 * 60,
            rate: Some(RateLimit::default()),
        }
    }
}

impl DcPolicy {
    /// Returns whether a client may ask for this value of `dc`.
    pub(super) fn accepts(&self, raw: i32) -> bool {
        match self {
            Self::Any => true,
            Self::Only(dcs) => dcs.iter().any(|dc| dc.to_raw() == raw),
        }
    }
}

/// Why the server cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerOptionsError {
    /// There is no private key.
    NoKeys,
    /// The table has no room for a single exchange.
    NoRoom,
}

impl fmt::Display for ServerOptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKeys => "there is no private key",
            Self::NoRoom => "the table of exchanges has no room",
        })
    }
}

impl core::error::Error for ServerOptionsError {}
