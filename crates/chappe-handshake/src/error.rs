//! Why an exchange failed on the client's side.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use chappe_crypto::dh::DhError;
use chappe_crypto::factorize::FactorizeError;
use chappe_framing::FrameError;
use chappe_tl::EncodeError;

use crate::Retry;

/// Why a step of the exchange failed.
///
/// Whatever the variant, the state is gone and its secrets are wiped: close the connection and start
/// over with [`step1`](crate::step1_with) and new nonces, unless [`is_fatal`](Self::is_fatal) says
/// that the same would happen again. [`DhGenRetry`](Self::DhGenRetry) alone carries on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    // Malformed bytes.
    /// A frame, or the object in it, cannot be read (SEC-09 to SEC-12).
    Frame(FrameError),
    /// `encrypted_answer` is empty, too short, or not made of whole blocks (SEC-26).
    EncryptedResponseNotPadded {
        /// Its length in bytes.
        len: usize,
    },
    /// The decrypted answer is not `server_DH_inner_data` with its hash in front and at most 15
    /// bytes behind (SEC-27, SEC-28). Which of these is wrong is not told.
    InvalidDhInnerData,

    // A peer that breaks a rule.
    /// The answer does not fit the state (SEC-13).
    UnexpectedAnswer {
        /// Its constructor id.
        id: u32,
    },
    /// The peer did not repeat our nonce (SEC-14, SEC-16, SEC-29).
    InvalidNonce {
        /// What it sent.
        got: [u8; 16],
        /// What we sent.
        expected: [u8; 16],
    },
    /// The peer did not repeat the `server_nonce` of its first answer (SEC-15, SEC-29).
    InvalidServerNonce {
        /// What it sent now.
        got: [u8; 16],
        /// What it sent first.
        expected: [u8; 16],
    },
    /// `pq` is not a product of two distinct primes below 2^63 (SEC-21).
    InvalidPq(FactorizeError),
    /// The server offers no key that we know (SEC-17).
    UnknownFingerprints {
        /// The keys it offers.
        fingerprints: Vec<i64>,
    },
    /// The prime, the generator or the server's public value is not safe (SEC-30 to SEC-34).
    InvalidDhParams(DhError),
    /// An answer does not prove that the server knows the new nonce and the key (SEC-37 to SEC-39).
    InvalidNewNonceHash {
        /// The hash it sent.
        got: [u8; 16],
    },
    /// The server refused our `req_DH_params`, and proved that it is the one who did.
    DhParamsFail,
    /// The server wants another attempt with a new exponent: send the request, keep the state.
    ///
    /// Only [`finish`](crate::finish_with) returns it;
    /// [`ExpectDhGen::handle`](crate::ExpectDhGen::handle) has an outcome for it.
    DhGenRetry(Box<Retry>),
    /// The server gave up, and proved that it is the one who did.
    DhGenFail,
    /// The server asked for more attempts than [`MAX_RETRIES`](crate::MAX_RETRIES).
    TooManyRetries,
    /// The server did not answer in time (SEC-43).
    TimedOut,

    // Our own side.
    /// The lifetime asked for a temporary key is not 1 to 2^31 - 1 seconds.
    InvalidExpiry {
        /// What was asked for, in seconds.
        seconds: u32,
    },
    /// The exchange is over: it failed or gave its key already.
    Over,
    /// The source of randomness failed or repeats itself; nothing may be sent (SEC-01).
    NoRandomness,
    /// An object to be sent cannot be encoded.
    Encode(EncodeError),
}

impl Error {
    /// Says whether starting over would end the same way: the cause lies in configuration or on this
    /// machine, not in this one exchange.
    pub const fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::UnknownFingerprints { .. }
                | Self::InvalidExpiry { .. }
                | Self::Over
                | Self::NoRandomness
                | Self::Encode(_)
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => write!(f, "unusable answer: {error}"),
            Self::EncryptedResponseNotPadded { len } => {
                write!(f, "encrypted_answer of {len} bytes is too short or not a multiple of 16")
            }
            Self::InvalidDhInnerData => f.write_str("server_DH_inner_data or its hash is wrong"),
            Self::UnexpectedAnswer { id } => write!(f, "answer {id:08x} was not expected now"),
            Self::InvalidNonce { got, expected } => {
                write!(f, "nonce {} instead of {}", Hex(got), Hex(expected))
            }
            Self::InvalidServerNonce { got, expected } => {
                write!(f, "server_nonce {} instead of {}", Hex(got), Hex(expected))
            }
            Self::InvalidPq(error) => write!(f, "pq is not a product of two primes: {error}"),
            Self::UnknownFingerprints { fingerprints } => {
                f.write_str("server offers no known public key, only")?;
                fingerprints.iter().try_for_each(|key| write!(f, " {key:016x}"))
            }
            Self::InvalidDhParams(error) => write!(f, "unsafe Diffie-Hellman parameters: {error}"),
            Self::InvalidNewNonceHash { got } => {
                write!(f, "hash {} does not prove knowledge of new_nonce", Hex(got))
            }
            Self::DhParamsFail => f.write_str("server refused req_DH_params"),
            Self::DhGenRetry(_) => f.write_str("server wants another attempt"),
            Self::DhGenFail => f.write_str("server gave up"),
            Self::TooManyRetries => f.write_str("server asked for too many attempts"),
            Self::TimedOut => f.write_str("server did not answer in time"),
            Self::InvalidExpiry { seconds } => {
                write!(f, "a temporary key cannot live for {seconds} seconds")
            }
            Self::Over => f.write_str("exchange is over"),
            Self::NoRandomness => f.write_str("no usable source of randomness"),
            Self::Encode(error) => write!(f, "request cannot be encoded: {error}"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Frame(error) => Some(error),
            Self::InvalidPq(error) => Some(error),
            Self::InvalidDhParams(error) => Some(error),
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// Writes bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
