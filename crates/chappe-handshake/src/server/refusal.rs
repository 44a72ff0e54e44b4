//! Refusals of queries, and the transport error for each.

use chappe_framing::{FrameError, MalformedFrame};
use core::fmt;

use chappe_types::TransportErrorCode;

/// The refusal of a query.
///
/// The peer learns only the code. The reason is for logs and tests.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRefusal {
    /// The transport error to send before the connection is closed. `None` sends nothing.
    pub code: Option<TransportErrorCode>,
    /// The reason.
    pub reason: RefusalReason,
}

/// Why a query was refused.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The frame is not a plain message of the handshake, or its object cannot be read.
    Frame(FrameError),
    /// The peer exceeds its rate limit (SEC-59).
    TooOften,
    /// No exchange has this name, or it is over, or it expects another query (SEC-44, SEC-57, SEC-58).
    UnknownExchange,
    /// `p` and `q` are not the factors of the issued `pq` (SEC-45).
    WrongFactors,
    /// The server did not announce this fingerprint (SEC-46).
    UnknownFingerprint {
        /// The fingerprint in the query.
        fingerprint: i64,
    },
    /// `encrypted_data` of `req_DH_params` does not decrypt (SEC-47). All causes look the same.
    Undecryptable,
    /// The inner object is of a kind that the options do not accept (SEC-49).
    UnexpectedInnerData,
    /// A number in the inner object differs from the outer one (SEC-49).
    InnerMismatch,
    /// The client asked for another datacenter (SEC-50).
    WrongDc {
        /// The number in the query.
        dc: i32,
    },
    /// The lifetime of a temporary key is not positive, or too long (SEC-51).
    BadExpiry {
        /// The lifetime in the query, in seconds.
        expires_in: i32,
    },
    /// `encrypted_data` of `set_client_DH_params`, its hash or its padding is wrong (SEC-52).
    BadClientData,
    /// `retry_id` does not name the previous attempt (SEC-53).
    WrongRetryId,
    /// The client's public value is out of range (SEC-54).
    BadPublicValue,
    /// The server's source of randomness is broken (SEC-01), or an answer cannot be encoded.
    Internal,
}

impl RefusalReason {
    pub(super) const fn code(&self) -> Option<TransportErrorCode> {
        match self {
            Self::TooOften => Some(TransportErrorCode::TooManyConnections),
            Self::WrongDc { .. } => Some(TransportErrorCode::WrongDc),
            Self::Frame(FrameError::Malformed(MalformedFrame::Tl(_))) => {
                Some(TransportErrorCode::UnknownAuthKey)
            }
            // A peer that does not speak the protocol learns nothing.
            Self::Frame(_) | Self::Internal => None,
            // -404 makes a client start over with new nonces.
            _ => Some(TransportErrorCode::UnknownAuthKey),
        }
    }
}

impl From<RefusalReason> for QueryRefusal {
    fn from(reason: RefusalReason) -> Self {
        Self { code: reason.code(), reason }
    }
}

impl fmt::Display for QueryRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)?;
        match self.code {
            Some(code) => write!(f, " ({code})"),
            None => f.write_str(" (connection closed)"),
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(_) => f.write_str("query cannot be read"),
            Self::TooOften => f.write_str("peer exceeds its rate limit"),
            Self::UnknownExchange => f.write_str("query belongs to no exchange"),
            Self::WrongFactors => f.write_str("p and q are not the factors of the issued pq"),
            Self::UnknownFingerprint { fingerprint } => write!(f, "no key {fingerprint:016x}"),
            Self::Undecryptable => f.write_str("encrypted_data does not decrypt"),
            Self::UnexpectedInnerData => f.write_str("inner data of an unaccepted kind"),
            Self::InnerMismatch => f.write_str("inner data differs from the outer message"),
            Self::WrongDc { dc } => write!(f, "datacenter {dc} is not served here"),
            Self::BadExpiry { expires_in } => write!(f, "a temporary key cannot live {expires_in} s"),
            Self::BadClientData => f.write_str("client_DH_inner_data or its hash is wrong"),
            Self::WrongRetryId => f.write_str("retry_id does not name the previous attempt"),
            Self::BadPublicValue => f.write_str("g_b is out of range"),
            Self::Internal => f.write_str("internal failure"),
        }
    }
}

impl core::error::Error for QueryRefusal {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.reason {
            RefusalReason::Frame(error) => Some(error),
            _ => None,
        }
    }
}
