//! Why an exchange failed on the client's side.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::dh::DhError;
use chappe_crypto::factorize::FactorizeError;
use chappe_framing::FrameError;
use chappe_tl::EncodeError;
use chappe_types::Rule;

use crate::Retry;

/// Why a step of the exchange failed.
///
/// The state is consumed and its secrets are wiped, whatever the variant. Close the connection and start over with
/// [`step1`](crate::step1_with) and new nonces, unless [`is_fatal`](Self::is_fatal) returns `true`. Only
/// [`DhGenRetry`](Self::DhGenRetry) continues the exchange.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A frame, or the object in it, cannot be read (SEC-09 to SEC-12).
    Frame(FrameError),
    /// The answer breaks a rule of the exchange: it is not the server's, or its values are unsafe.
    InvalidAnswer(InvalidAnswer),
    /// The server offers no key that the client knows (SEC-17). Starting over does not help: the key ring is outdated, or
    /// the server is not a datacenter.
    UnknownFingerprints {
        /// The keys it offers.
        fingerprints: Vec<i64>,
    },
    /// The server refused `req_DH_params`, with proof that the refusal is its own (SEC-39).
    DhParamsFail,
    /// The server asks for another attempt with a new exponent: send the request, keep the state.
    ///
    /// Only [`finish`](crate::finish_with) returns it. [`ExpectDhGen::handle`](crate::ExpectDhGen::handle) has an outcome
    /// for it.
    DhGenRetry(Box<Retry>),
    /// The server refused every key, with proof that the refusal is its own (SEC-39).
    DhGenFail,
    /// The server did not answer in time (SEC-43).
    TimedOut,
    /// The source of randomness failed or repeats itself; nothing may be sent (SEC-01).
    NoRandomness,
    /// The caller asked for something impossible.
    Misuse(ApiMisuse),
}

/// Which rule of the exchange an answer breaks.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum InvalidAnswer {
    /// The answer does not fit the state (SEC-13).
    Unexpected {
        /// Its constructor id.
        id: u32,
    },
    /// The peer did not repeat the client's nonce (SEC-14, SEC-16, SEC-29).
    Nonce {
        /// The nonce in the answer.
        got: [u8; 16],
        /// The nonce that the client sent.
        expected: [u8; 16],
    },
    /// The peer did not repeat the `server_nonce` of its first answer (SEC-15, SEC-29).
    ServerNonce {
        /// The nonce in this answer.
        got: [u8; 16],
        /// The nonce in the first answer.
        expected: [u8; 16],
    },
    /// `pq` is not a product of two distinct primes below 2^63 (SEC-21).
    Pq(FactorizeError),
    /// `encrypted_answer` is empty, too short, or not made of whole blocks (SEC-26).
    NotPadded {
        /// Its length in bytes.
        len: usize,
    },
    /// The decrypted answer is not `server_DH_inner_data` with its hash in front and at most 15 bytes after it (SEC-27,
    /// SEC-28). One variant for all causes, so that the error is no oracle.
    DhInnerData,
    /// The prime, the generator or the server's public value is not safe (SEC-30 to SEC-34).
    DhParams(DhError),
    /// The answer does not prove that the server knows the new nonce and the key (SEC-37 to SEC-39).
    NewNonceHash {
        /// The hash in the answer.
        got: [u8; 16],
    },
    /// The server asked for more attempts than [`MAX_RETRIES`](crate::MAX_RETRIES) (SEC-38).
    TooManyRetries,
}

/// What the caller asked for that is impossible.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// The lifetime of a temporary key is not 1 to 2^31 - 1 seconds.
    InvalidExpiry {
        /// The lifetime in seconds.
        seconds: u32,
    },
    /// The exchange is over: it failed, or its key was returned.
    Over,
    /// An object to be sent cannot be encoded.
    Encode(EncodeError),
}

impl HandshakeError {
    /// Returns whether starting over would fail the same way: the cause is the configuration or this machine.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::UnknownFingerprints { .. } | Self::NoRandomness | Self::Misuse(_))
    }

    /// Returns the rule of the security checklist that the peer's answer broke.
    ///
    /// Returns `None` if the peer refused or was silent, or if the fault is the caller's.
    pub const fn rule(&self) -> Option<Rule> {
        match self {
            Self::Frame(_) => Some(Rule::new(9)),
            Self::UnknownFingerprints { .. } => Some(Rule::new(17)),
            Self::InvalidAnswer(answer) => answer.rule(),
            _ => None,
        }
    }
}

impl InvalidAnswer {
    /// Returns the rule of the security checklist that the answer broke.
    const fn rule(&self) -> Option<Rule> {
        Some(Rule::new(match self {
            Self::Unexpected { .. } => 13,
            Self::Nonce { .. } => 14,
            Self::ServerNonce { .. } => 15,
            Self::Pq(_) => 21,
            Self::NotPadded { .. } => 26,
            Self::DhInnerData => 27,
            Self::DhParams(_) => 30,
            Self::NewNonceHash { .. } => 37,
            Self::TooManyRetries => return None,
        }))
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(_) => f.write_str("answer cannot be read"),
            Self::InvalidAnswer(answer) => answer.fmt(f),
            Self::UnknownFingerprints { fingerprints } => {
                f.write_str("server offers no known public key, only")?;
                fingerprints.iter().try_for_each(|key| write!(f, " {key:016x}"))
            }
            Self::DhParamsFail => f.write_str("server refused req_DH_params"),
            Self::DhGenRetry(_) => f.write_str("server asks for another attempt"),
            Self::DhGenFail => f.write_str("server refused every key"),
            Self::TimedOut => f.write_str("server did not answer in time"),
            Self::NoRandomness => f.write_str("no usable source of randomness"),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl fmt::Display for InvalidAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected { id } => write!(f, "answer {id:08x} does not fit the state"),
            Self::Nonce { got, expected } => write!(f, "nonce {} instead of {}", Hex(got), Hex(expected)),
            Self::ServerNonce { got, expected } => {
                write!(f, "server_nonce {} instead of {}", Hex(got), Hex(expected))
            }
            Self::Pq(_) => f.write_str("pq is not a product of two primes"),
            Self::NotPadded { len } => {
                write!(f, "encrypted_answer of {len} bytes is too short or not a multiple of 16")
            }
            Self::DhInnerData => f.write_str("server_DH_inner_data or its hash is wrong"),
            Self::DhParams(_) => f.write_str("unsafe Diffie-Hellman parameters"),
            Self::NewNonceHash { got } => {
                write!(f, "hash {} does not prove knowledge of new_nonce", Hex(got))
            }
            Self::TooManyRetries => f.write_str("server asked for too many attempts"),
        }
    }
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidExpiry { seconds } => write!(f, "a temporary key cannot live for {seconds} seconds"),
            Self::Over => f.write_str("exchange is over"),
            Self::Encode(_) => f.write_str("request cannot be encoded"),
        }
    }
}

impl core::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Frame(error) => Some(error),
            // The text of these variants is that of the inner error.
            Self::InvalidAnswer(answer) => answer.source(),
            Self::Misuse(misuse) => misuse.source(),
            _ => None,
        }
    }
}

impl core::error::Error for InvalidAnswer {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Pq(error) => Some(error),
            Self::DhParams(error) => Some(error),
            _ => None,
        }
    }
}

impl core::error::Error for ApiMisuse {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<FrameError> for HandshakeError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<InvalidAnswer> for HandshakeError {
    fn from(answer: InvalidAnswer) -> Self {
        Self::InvalidAnswer(answer)
    }
}

impl From<ApiMisuse> for HandshakeError {
    fn from(misuse: ApiMisuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<EncodeError> for HandshakeError {
    fn from(error: EncodeError) -> Self {
        Self::Misuse(ApiMisuse::Encode(error))
    }
}

/// Writes bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
