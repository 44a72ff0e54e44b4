//! How a server's half is set up.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use chappe_crypto::dh::Group;
use chappe_crypto::rsa::PrivateKey;

use super::RateLimit;
use crate::DcId;

/// How a server's half is set up. Start from [`ServerOptions::strict`] or
/// [`ServerOptions::lenient`].
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The private keys; all are announced, in this order.
    pub keys: Vec<PrivateKey>,
    /// The Diffie-Hellman group. The type proves that it passes a client's checks (SEC-55).
    pub group: Group,
    /// Which datacenters clients may ask for.
    pub dcs: DcPolicy,
    /// Whether old forms of messages are accepted.
    pub tolerance: Tolerance,
    /// Most exchanges remembered at once, finished ones included; the oldest make room (SEC-60).
    pub max_exchanges: usize,
    /// How long an exchange and its answers are remembered: 10 minutes by the specification.
    pub lifetime: Duration,
    /// Longest lifetime of a temporary key, in seconds (SEC-51).
    pub max_expires_in: u32,
    /// How often a peer may start an exchange or make us decrypt (SEC-59); `None` for no limit.
    pub rate: Option<RateLimit>,
    /// Misbehaviour for tests; nothing by default.
    pub faults: Faults,
}

/// Which datacenters clients may ask for (SEC-50).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DcPolicy {
    /// Any.
    Any,
    /// These alone; others are answered with the transport error -444.
    Only(Vec<DcId>),
}

/// Whether forms of messages that only old clients write are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tolerance {
    /// `RSA_PAD` and inner data with a datacenter alone.
    Strict,
    /// Also the RSA form with SHA-1 in front, and inner data without a datacenter: what half of the
    /// world's clients send.
    Lenient,
}

/// Misbehaviour for tests of clients.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// How often `dh_gen_retry` is answered before a key is accepted.
    pub retries: u8,
    /// Whether every attempt ends in `dh_gen_fail`, once the retries are used up.
    pub fail: bool,
    /// Fingerprints announced in front of our own, of keys that nobody has.
    pub foreign_fingerprints: Vec<i64>,
    /// Fixed factors of `pq` instead of random ones.
    pub factors: Option<(u32, u32)>,
}

impl ServerOptions {
    /// Accepts what the specification demands of clients and nothing else, for these datacenters.
    pub fn strict(keys: Vec<PrivateKey>, dcs: Vec<DcId>) -> Self {
        let options = Self::lenient(keys);
        Self { dcs: DcPolicy::Only(dcs), tolerance: Tolerance::Strict, ..options }
    }

    /// Accepts what real clients send, for any datacenter.
    pub fn lenient(keys: Vec<PrivateKey>) -> Self {
        Self {
            keys,
            group: Group::known(3).expect("3 generates the subgroup of the published prime"),
            dcs: DcPolicy::Any,
            tolerance: Tolerance::Lenient,
            max_exchanges: 4096,
            lifetime: Duration::from_secs(600),
            max_expires_in: 30 * 24 * 60 * 60,
            rate: Some(RateLimit::default()),
            faults: Faults::default(),
        }
    }
}

impl DcPolicy {
    /// Says whether a client may ask for this value of `dc`.
    pub(super) fn accepts(&self, raw: i32) -> bool {
        match self {
            Self::Any => true,
            Self::Only(dcs) => dcs.iter().any(|dc| dc.to_raw() == raw),
        }
    }
}

/// Why a server's half cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no private key.
    NoKeys,
    /// The table has no room for a single exchange.
    NoRoom,
    /// The fixed factors of `pq` are not two different primes.
    BadFactors,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKeys => "there is no private key",
            Self::NoRoom => "the table of exchanges has no room",
            Self::BadFactors => "the fixed factors are not two different primes",
        })
    }
}

impl core::error::Error for ConfigError {}
