//! Why a connection or a call failed, and whose fault it is.
//!
//! The text of an error never contains that of its [`source`](std::error::Error::source): a printed chain shows each
//! text once.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use chappe_session::client::{AuthorizationTrouble, CallFailure, ReceiveError, SendError};
use chappe_tl::DecodeError;
use chappe_transport::{StreamRefusal, TransportError, TransportErrorCode};
use chappe_types::{DcId, RpcError, Rule};

use crate::store::StoreError;
use crate::validate::InvalidOption;
use chappe_carrier::{Address, LinkError, Wait};

/// Who failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Blame {
    /// The network: no route, a lost connection, silence.
    Network,
    /// The proxy.
    Proxy,
    /// The datacenter: it refused, or gave up a key.
    Datacenter,
    /// A check of the protocol failed: what arrived is not what a datacenter sends.
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
    /// A connection to this peer failed, for the reason that [`cause`](Self::cause) returns.
    At {
        /// Where it led.
        peer: Peer,
        /// Why it failed.
        error: Box<ConnectError>,
    },
    /// A connection could not be made, or was lost.
    Link(LinkError),
    /// The datacenter sent a transport error. It is unauthenticated (`SEC-134`).
    Refused(TransportErrorCode),
    /// The exchange that makes a key failed.
    Handshake(chappe_handshake::HandshakeError),
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
        /// The last failure.
        last: Option<Arc<ConnectError>>,
    },
    /// The store of keys failed.
    Store(StoreError),
    /// An option cannot work.
    InvalidOption(InvalidOption),
    /// The options name no address.
    NoCandidates,
    /// The caller closed the client before it was connected.
    Closed,
    /// The operating system gives no randomness, or no thread.
    System(std::io::Error),
}

/// The far end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The datacenter.
    pub dc: DcId,
    /// The address of the datacenter, or of an `MTProxy` in front of it.
    pub address: Address,
    /// `HOST:PORT` of the SOCKS5 or HTTP proxy that the connection went through.
    pub proxy: Option<String>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.dc, self.address)?;
        self.proxy.as_ref().map_or(Ok(()), |proxy| write!(f, " through the proxy {proxy}"))
    }
}

impl ConnectError {
    /// Names the peer of the connection that failed, unless it is named already or there was none.
    pub(crate) fn at(self, peer: impl FnOnce() -> Option<Peer>) -> Self {
        match self {
            Self::Link(_) | Self::Refused(_) | Self::Handshake(_) | Self::Frame(_) | Self::Session(_) => {
                match peer() {
                    Some(peer) => Self::At { peer, error: Box::new(self) },
                    None => self,
                }
            }
            other => other,
        }
    }

    /// Returns what failed, without the peer.
    pub fn cause(&self) -> &Self {
        match self {
            Self::At { error, .. } => error.cause(),
            _ => self,
        }
    }

    /// Returns the peer of the connection that failed, if there was one.
    pub const fn peer(&self) -> Option<&Peer> {
        match self {
            Self::At { peer, .. } => Some(peer),
            _ => None,
        }
    }

    /// Returns who failed.
    pub fn blame(&self) -> Blame {
        match self {
            Self::At { error, .. } => error.blame(),
            Self::Link(error) => Blame::of_link(error),
            Self::Refused(_) | Self::Authorization(_) => Blame::Datacenter,
            Self::Handshake(error) => match error.rule() {
                Some(rule) => Blame::Protocol { rule: Some(rule) },
                None if matches!(error, chappe_handshake::HandshakeError::TimedOut) => Blame::Network,
                None if error.is_fatal() => Blame::Caller,
                None => Blame::Datacenter,
            },
            Self::Frame(error) => Blame::Protocol { rule: error.rule() },
            Self::TimedOut { last: Some(last), .. } => last.blame(),
            Self::Session(_) | Self::TimedOut { last: None, .. } => Blame::Network,
            Self::Store(_) | Self::InvalidOption(_) | Self::NoCandidates | Self::Closed | Self::System(_) => {
                Blame::Caller
            }
        }
    }

    /// Returns whether another attempt with the same options would fail the same way.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::At { error, .. } => error.is_fatal(),
            Self::Handshake(error) => error.is_fatal(),
            Self::Refused(code) => matches!(code, TransportErrorCode::WrongDc),
            Self::Authorization(trouble) => trouble.is_terminal(),
            Self::Link(error) => matches!(error, LinkError::Proxy(error) if error.is_about_credentials()),
            Self::Store(_) | Self::InvalidOption(_) | Self::NoCandidates | Self::Closed | Self::System(_) => {
                true
            }
            Self::Frame(_) | Self::Session(_) | Self::TimedOut { .. } => false,
        }
    }

    /// Returns a text of the error and of all its causes, for a log or a person.
    pub fn report(&self) -> Report<'_> {
        Report(self)
    }
}

impl Blame {
    /// Returns who failed when a connection broke or was not made.
    pub const fn of_link(error: &LinkError) -> Self {
        match error {
            // A client with a wrong secret is answered by a web site, or not at all.
            LinkError::NoAnswer
            | LinkError::Transport(TransportError::Refused(StreamRefusal::ServerHelloDigest)) => Self::Proxy,
            LinkError::Transport(_) => Self::Protocol { rule: None },
            // Name and password are options of the caller.
            LinkError::Proxy(error) if error.is_about_credentials() => Self::Caller,
            LinkError::Proxy(_) | LinkError::TimedOut { waiting_for: Wait::Proxy, .. } => Self::Proxy,
            LinkError::Refused(_) | LinkError::TooMany { .. } | LinkError::Congested => Self::Caller,
            // A middlebox can break TLS and WebSocket; neither is a rule of MTProto.
            _ => Self::Network,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { peer, .. } => write!(f, "the connection to {peer} failed"),
            Self::Link(error) => error.fmt(f),
            Self::Refused(code) => write!(f, "the datacenter answered with {code}"),
            Self::Handshake(_) => f.write_str("no key was made"),
            Self::Frame(_) => f.write_str("a frame was rejected"),
            Self::Authorization(trouble) => {
                write!(f, "the datacenter gave up the login ({trouble:?}): log in again")
            }
            Self::Session(reason) => write!(f, "the session gave up the connection: {reason:?}"),
            Self::TimedOut { after, .. } => write!(f, "there was no connection for {after:?}"),
            Self::Store(error) => error.fmt(f),
            Self::InvalidOption(error) => error.fmt(f),
            Self::NoCandidates => f.write_str("the options name no address to connect to"),
            Self::Closed => f.write_str("the client was closed"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {
    /// A variant that prints the error it holds returns the source of that.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::At { error, .. } => Some(&**error),
            Self::Handshake(error) => Some(error),
            Self::Frame(error) => Some(error),
            Self::TimedOut { last, .. } => last.as_deref().map(|last| last as _),
            Self::Link(error) => error.source(),
            Self::Store(error) => error.source(),
            Self::System(error) => error.source(),
            Self::Refused(_)
            | Self::Authorization(_)
            | Self::Session(_)
            | Self::InvalidOption(_)
            | Self::NoCandidates
            | Self::Closed => None,
        }
    }
}

/// Prints an error and all its causes in one line; see [`ConnectError::report`].
#[derive(Clone, Copy, Debug)]
pub struct Report<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
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
    /// The client ended because it could not connect.
    Connection(Arc<ConnectError>),
    /// The answer is not of the type that the call returns.
    Answer(DecodeError),
    /// The call was not accepted.
    Send(SendError),
    /// This cannot be done; the text says why.
    NotPossible(&'static str),
    /// The client was closed.
    Closed,
}

impl InvokeError {
    /// Returns who failed.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Call(_) => Blame::Call,
            Self::Answer(_)
            | Self::Failed(
                CallFailure::Refused { .. } | CallFailure::SessionRefused | CallFailure::Terminated,
            ) => Blame::Datacenter,
            Self::Failed(CallFailure::Cancelled(_)) | Self::Send(_) | Self::NotPossible(_) | Self::Closed => {
                Blame::Caller
            }
            Self::TimedOut { connection: Some(error) } | Self::Connection(error) => error.blame(),
            Self::TimedOut { connection: None } | Self::Failed(_) => Blame::Network,
        }
    }

    /// Returns the datacenter's error, if the call ended with one.
    pub const fn call(&self) -> Option<&RpcError> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }

    /// Returns how long the client must wait before it repeats the call.
    pub fn wait(&self) -> Option<Duration> {
        self.call()?.wait()
    }

    /// Returns the number of the datacenter to make the call to instead.
    pub fn migrate_to(&self) -> Option<u16> {
        self.call()?.migrate_to()
    }

    /// Returns a text of the error and of all its causes, for a log or a person.
    pub fn report(&self) -> Report<'_> {
        Report(self)
    }
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
            Self::TimedOut { connection: Some(_) } => {
                f.write_str("the call took too long, without a connection")
            }
            Self::TimedOut { connection: None } => CallFailure::TimedOut.fmt(f),
            Self::Connection(error) => error.fmt(f),
            Self::Answer(_) => f.write_str("the answer cannot be read"),
            Self::Send(error) => error.fmt(f),
            Self::NotPossible(reason) => f.write_str(reason),
            Self::Closed => f.write_str("the client was closed"),
        }
    }
}

impl std::error::Error for InvokeError {
    /// A variant that prints the error it holds returns the source of that.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connection(error) => error.source(),
            Self::TimedOut { connection } => connection.as_deref().map(|error| error as _),
            Self::Answer(error) => Some(error),
            Self::Failed(error) => error.source(),
            Self::Send(error) => error.source(),
            Self::Call(_) | Self::NotPossible(_) | Self::Closed => None,
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
    use chappe_tl::Deserializable as _;

    use super::*;
    use chappe_carrier::ProxyError;

    #[test]
    fn every_error_names_who_failed() {
        let call = |code, message: &str| InvokeError::Call(RpcError { code, message: message.into() });
        assert_eq!(call(420, "FLOOD_WAIT_9").wait(), Some(Duration::from_secs(9)));
        assert_eq!(call(303, "USER_MIGRATE_4").migrate_to(), Some(4));
        assert_eq!(call(400, "PEER_ID_INVALID").blame(), Blame::Call);
        let nonce = chappe_handshake::HandshakeError::InvalidAnswer(chappe_handshake::InvalidAnswer::Nonce {
            got: [0; 16],
            expected: [1; 16],
        });
        assert_eq!(ConnectError::Handshake(nonce).blame(), Blame::Protocol { rule: Some(Rule::new(14)) });
        let silent = ConnectError::Handshake(chappe_handshake::HandshakeError::TimedOut);
        assert_eq!(silent.blame(), Blame::Network);
        let late = ConnectError::TimedOut {
            after: Duration::from_secs(1),
            last: Some(Arc::new(ConnectError::Refused(TransportErrorCode::WrongDc))),
        };
        assert_eq!(InvokeError::Connection(Arc::new(late)).blame(), Blame::Datacenter);
        assert_eq!(InvokeError::Closed.blame(), Blame::Caller);
    }

    /// Errors of every kind that has a source.
    fn chains() -> Vec<Box<dyn std::error::Error>> {
        let peer = || {
            let (dc, address) = (DcId::production(2), Address::of("149.154.167.51", 443));
            Some(Peer { dc, address, proxy: Some("proxy.example:1080".into()) })
        };
        let io = || std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let link = |error| ConnectError::Link(error).at(peer);
        let late = ConnectError::TimedOut {
            after: Duration::from_secs(45),
            last: Some(Arc::new(link(io().into()))),
        };
        let late = Arc::new(late);
        let file = StoreError::File { action: "write", path: "/keys/lock".into(), error: io() };
        vec![
            Box::new(link(io().into())),
            Box::new(link(LinkError::Proxy(ProxyError::Unreachable(io())))),
            Box::new(link(LinkError::Proxy(ProxyError::CredentialsRefused))),
            Box::new(ConnectError::Refused(TransportErrorCode::WrongDc).at(peer)),
            Box::new(ConnectError::Handshake(chappe_handshake::HandshakeError::TimedOut).at(peer)),
            Box::new(ConnectError::Store(file)),
            Box::new(ConnectError::Store(StoreError::other("the disk is full"))),
            Box::new(ConnectError::System(io())),
            Box::new(InvokeError::Connection(Arc::clone(&late))),
            Box::new(InvokeError::TimedOut { connection: Some(late) }),
            Box::new(InvokeError::Failed(CallFailure::Uncertain)),
            Box::new(InvokeError::Answer(i32::from_bytes(&[]).expect_err("it is empty"))),
        ]
    }

    #[test]
    fn a_chain_prints_each_text_once() {
        for error in chains() {
            let mut texts = vec![error.to_string()];
            let mut source = error.source();
            while let Some(cause) = source {
                texts.push(cause.to_string());
                source = cause.source();
            }
            for (place, text) in texts.iter().enumerate() {
                let others = texts.iter().enumerate().filter(|(other, _)| *other != place);
                assert!(others.clone().all(|(_, other)| !other.contains(text.as_str())), "{texts:?}");
            }
        }
    }

    #[test]
    fn an_error_names_the_datacenter_the_address_and_the_proxy() {
        let told = chains()[0].to_string();
        for part in ["DC 2", "149.154.167.51:443", "proxy.example:1080"] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn refused_credentials_are_the_callers_and_no_reason_to_try_again() {
        for error in
            [ProxyError::CredentialsRefused, ProxyError::NoCommonMethod, ProxyError::UnusableCredentials]
        {
            let error = ConnectError::Link(error.into());
            assert_eq!((error.blame(), error.is_fatal()), (Blame::Caller, true), "{error}");
        }
        let error = ConnectError::Link(ProxyError::Closed.into());
        assert_eq!((error.blame(), error.is_fatal()), (Blame::Proxy, false));
    }
}
