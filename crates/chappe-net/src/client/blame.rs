//! What went wrong with a connection or a call, by who is to blame.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use chappe_session::client::{AuthorizationTrouble, CallFailure, ReceiveError, SendError};
use chappe_tl::deserialize;
use chappe_transport::TransportErrorCode;
use chappe_types::{RpcError, Rule};

use crate::store::StoreError;
use chappe_carrier::{LinkError, Wait};

/// Who failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Blame {
    /// The network in between: no route, a lost connection, silence.
    Network,
    /// The proxy.
    Proxy,
    /// The datacenter: it refused, or gave up a key.
    Datacenter,
    /// A check of the protocol: what came is not what the datacenter would send.
    Protocol {
        /// The rule of the security checklist that it broke.
        rule: Option<Rule>,
    },
    /// The call: the datacenter answered it with an error.
    Call,
    /// The caller, or the machine the program runs on.
    Caller,
}

/// Why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// A connection could not be made, or was lost.
    Link(LinkError),
    /// The datacenter sent a transport error. Nobody vouches for it (`SEC-134`).
    Refused(TransportErrorCode),
    /// The exchange that makes a key failed.
    Handshake(chappe_handshake::Error),
    /// A frame failed a check.
    Frame(ReceiveError),
    /// The datacenter gave up the key or the login: only a new login helps.
    Authorization(AuthorizationTrouble),
    /// The session asked for a new connection, because the server was silent or refused what was sent.
    Session(chappe_session::client::ReconnectReason),
    /// There was no connection for as long as the options allow.
    TimedOut {
        /// How long.
        after: Duration,
        /// What went wrong last.
        last: Option<Arc<ConnectError>>,
    },
    /// The store of keys failed.
    Store(StoreError),
    /// The options name no address.
    NoCandidates,
    /// The caller closed the client before it was connected.
    Closed,
    /// The operating system gives no randomness, or no thread.
    System(std::io::Error),
}

impl ConnectError {
    /// Says who failed.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Link(error) => Blame::of_link(error),
            Self::Refused(_) | Self::Authorization(_) => Blame::Datacenter,
            Self::Handshake(error) => match error.rule() {
                Some(rule) => Blame::Protocol { rule: Some(rule) },
                None if matches!(error, chappe_handshake::Error::TimedOut) => Blame::Network,
                None if error.is_fatal() => Blame::Caller,
                None => Blame::Datacenter,
            },
            Self::Frame(error) => Blame::Protocol { rule: error.rule() },
            Self::TimedOut { last: Some(last), .. } => last.blame(),
            Self::Session(_) | Self::TimedOut { last: None, .. } => Blame::Network,
            Self::Store(_) | Self::NoCandidates | Self::Closed | Self::System(_) => Blame::Caller,
        }
    }

    /// Says whether trying again the same way would end the same way.
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Handshake(error) => error.is_fatal(),
            Self::Refused(code) => matches!(code, TransportErrorCode::WrongDc),
            Self::Authorization(trouble) => trouble.is_terminal(),
            Self::NoCandidates | Self::Closed | Self::Store(_) | Self::System(_) => true,
            Self::Link(_) | Self::Frame(_) | Self::Session(_) | Self::TimedOut { .. } => false,
        }
    }
}

impl Blame {
    /// Returns who failed when a connection broke or was not made.
    pub const fn of_link(error: &LinkError) -> Self {
        match error {
            LinkError::Transport(_) => Self::Protocol { rule: None },
            LinkError::Proxy(_) | LinkError::TimedOut { waiting_for: Wait::Proxy, .. } => Self::Proxy,
            LinkError::Refused(_) | LinkError::TooMany { .. } => Self::Caller,
            // Who sits in between can break TLS and WebSocket; neither is a rule of MTProto.
            _ => Self::Network,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(error) => error.fmt(f),
            Self::Refused(code) => write!(f, "the datacenter answered with {code}"),
            Self::Handshake(error) => write!(f, "no key was made: {error}"),
            Self::Frame(error) => write!(f, "a frame was refused: {error}"),
            Self::Authorization(trouble) => write!(f, "the datacenter gave up the login: {trouble:?}"),
            Self::Session(reason) => write!(f, "the connection is of no use any more: {reason:?}"),
            Self::TimedOut { after, last: Some(last) } => {
                write!(f, "no connection for {after:?}; the last attempt: {last}")
            }
            Self::TimedOut { after, last: None } => write!(f, "no connection for {after:?}"),
            Self::Store(error) => error.fmt(f),
            Self::NoCandidates => f.write_str("no address to connect to"),
            Self::Closed => f.write_str("the client was closed"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Link(error) => Some(error),
            Self::Refused(code) => Some(code),
            Self::Handshake(error) => Some(error),
            Self::Frame(error) => Some(error),
            Self::TimedOut { last, .. } => last.as_deref().map(|last| last as _),
            Self::Store(error) => Some(error),
            Self::System(error) => Some(error),
            Self::Authorization(_) | Self::Session(_) | Self::NoCandidates | Self::Closed => None,
        }
    }
}

impl From<LinkError> for ConnectError {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// Why a call has no result.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum InvokeError {
    /// The datacenter answered with an error.
    Call(RpcError),
    /// The call ended without an answer.
    Failed(CallFailure),
    /// The call took too long.
    TimedOut {
        /// Why there was no connection, if there was none.
        connection: Option<Arc<ConnectError>>,
    },
    /// There will be no connection any more.
    Connection(Arc<ConnectError>),
    /// The answer is not of the type that the call promises.
    Answer(deserialize::Error),
    /// The call was not accepted.
    Send(SendError),
    /// The client was closed.
    Closed,
}

impl InvokeError {
    /// Says who failed.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Call(_) => Blame::Call,
            Self::Answer(_)
            | Self::Failed(
                CallFailure::Refused { .. } | CallFailure::SessionRefused | CallFailure::Terminated,
            ) => Blame::Datacenter,
            Self::Failed(CallFailure::Cancelled(_)) | Self::Send(_) | Self::Closed => Blame::Caller,
            Self::TimedOut { connection: Some(error) } | Self::Connection(error) => error.blame(),
            Self::TimedOut { connection: None } | Self::Failed(_) => Blame::Network,
        }
    }

    /// Returns the datacenter's error, if that is what the call ended with.
    pub const fn call(&self) -> Option<&RpcError> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }

    /// Returns how long the datacenter wants to be left alone with this.
    pub fn wait(&self) -> Option<Duration> {
        self.call()?.wait()
    }

    /// Returns the datacenter on which the call should be made instead.
    pub fn migrate_to(&self) -> Option<u16> {
        self.call()?.migrate_to()
    }
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
            Self::TimedOut { connection: Some(error) } => write!(f, "the call took too long: {error}"),
            Self::TimedOut { connection: None } => CallFailure::TimedOut.fmt(f),
            Self::Connection(error) => error.fmt(f),
            Self::Answer(error) => write!(f, "the answer cannot be read: {error}"),
            Self::Send(error) => error.fmt(f),
            Self::Closed => f.write_str("the client was closed"),
        }
    }
}

impl std::error::Error for InvokeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call(error) => Some(error),
            Self::Failed(error) => Some(error),
            Self::Connection(error) => Some(&**error),
            Self::TimedOut { connection } => connection.as_deref().map(|error| error as _),
            Self::Answer(error) => Some(error),
            Self::Send(error) => Some(error),
            Self::Closed => None,
        }
    }
}

impl From<SendError> for InvokeError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_names_who_failed() {
        let call = |code, message: &str| InvokeError::Call(RpcError { code, message: message.into() });
        assert_eq!(call(420, "FLOOD_WAIT_9").wait(), Some(Duration::from_secs(9)));
        assert_eq!(call(303, "USER_MIGRATE_4").migrate_to(), Some(4));
        assert_eq!(call(400, "PEER_ID_INVALID").blame(), Blame::Call);
        let nonce = chappe_handshake::Error::InvalidNonce { got: [0; 16], expected: [1; 16] };
        assert_eq!(ConnectError::Handshake(nonce).blame(), Blame::Protocol { rule: Some(Rule::new(14)) });
        let silent = ConnectError::Handshake(chappe_handshake::Error::TimedOut);
        assert_eq!(silent.blame(), Blame::Network);
        let late = ConnectError::TimedOut {
            after: Duration::from_secs(1),
            last: Some(Arc::new(ConnectError::Refused(TransportErrorCode::WrongDc))),
        };
        assert_eq!(InvokeError::Connection(Arc::new(late)).blame(), Blame::Datacenter);
        assert_eq!(InvokeError::Closed.blame(), Blame::Caller);
    }
}
