//! What a client's session reports to its caller.
//!
//! Events borrow the frame they came in, or the scratch that packed objects were unpacked to; only
//! places are recorded while a frame is worked on, so nothing is copied or allocated for them.

use core::fmt;

use chappe_framing::{MsgId, SessionId};
use chappe_types::{BadMsgCode, RpcErrorRef, TransportErrorCode};

use super::calls::CallId;
use crate::SessionLimits;
use crate::event_log::{EventLog, Recorded, Span};
use crate::service::KeyDestruction;

/// Something the caller should know.
///
/// Every call that [`send`](super::ClientSession::send) accepted ends with exactly one of
/// [`Event::Answer`], [`Event::CallError`] and [`Event::CallFailed`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A call was answered; `body` is the result, unpacked, constructor id first.
    Answer {
        /// The call.
        call: CallId,
        /// Its result.
        body: &'a [u8],
    },
    /// The server answered a call with an error.
    CallError {
        /// The call.
        call: CallId,
        /// The error.
        error: RpcErrorRef<'a>,
    },
    /// A call ended without an answer.
    CallFailed {
        /// The call.
        call: CallId,
        /// Why.
        failure: CallFailure,
    },
    /// The server received the packet with a call for which a quick acknowledgement was asked.
    QuickAcked {
        /// The call.
        call: CallId,
    },
    /// An update: an object that answers no call.
    Update {
        /// Identifier of its message.
        msg_id: MsgId,
        /// The object, unpacked, constructor id first.
        body: &'a [u8],
    },
    /// Updates may have been lost: the server began a new session, or a message could not be verified. Fetch the
    /// difference.
    UpdatesMayBeMissing,
    /// The clock was corrected.
    TimeCorrected {
        /// Seconds to add to the local wall clock to get the server's time.
        offset_seconds: i32,
    },
    /// Another session of this `auth_key` was destroyed, or did not exist.
    SessionDestroyed {
        /// The session.
        session_id: SessionId,
        /// Whether it existed.
        existed: bool,
    },
    /// The answer to [`destroy_auth_key`](super::ClientSession::destroy_auth_key).
    KeyDestroyed(KeyDestruction),
    /// A temporary key is needed: make one and give it to
    /// [`install_temporary_key`](super::ClientSession::install_temporary_key).
    NeedTemporaryKey,
    /// The temporary key is bound; calls flow under it from now on.
    TemporaryKeyBound,
    /// The connection is of no use: close it, open another, then call
    /// [`handle_connected`](super::ClientSession::handle_connected).
    Reconnect(ReconnectReason),
    /// Something about the authorization concerns more than one call.
    Authorization(AuthorizationTrouble),
}

/// Why a connection must be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReconnectReason {
    /// A ping was not answered in time.
    Silence,
    /// The server refused messages several times in a row.
    Refused,
    /// The transport reported an error; wait with growing delays before trying again.
    TransportError(TransportErrorCode),
}

/// Trouble with the authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthorizationTrouble {
    /// `AUTH_KEY_DUPLICATED`: the key was used from two places and is revoked. The session accepts no more
    /// calls; a new login is needed.
    Duplicated,
    /// `AUTH_KEY_UNREGISTERED`: no user is logged in under this key.
    Unregistered,
    /// `AUTH_KEY_INVALID`: the server does not accept the key.
    Invalid,
    /// `SESSION_REVOKED`: the user ended this login elsewhere.
    SessionRevoked,
    /// `SESSION_EXPIRED`: the login ran out.
    SessionExpired,
    /// `USER_DEACTIVATED` or `USER_DEACTIVATED_BAN`: the account was deleted or banned.
    UserDeactivated,
    /// The server refused, in an authenticated answer, to bind a temporary key to a permanent key that is
    /// older than a minute: the permanent key is no longer known. The session takes no more calls.
    PermanentKeyRefused,
    /// The datacenter answers -404 under a permanent key that is used without temporary ones. That does *not*
    /// prove that the key is gone: make a temporary key and install it; its binding proves it either way.
    PermanentKeyDoubtful,
}

impl AuthorizationTrouble {
    /// Returns whether the session can never be used again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Duplicated | Self::PermanentKeyRefused)
    }
}

/// Why a call ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallFailure {
    /// The caller cancelled it.
    Cancelled(DropOutcome),
    /// Its time was over. It may still be executed.
    TimedOut,
    /// It is unknown whether it was executed, and it may not be sent twice.
    Uncertain,
    /// It was sent too often without an answer.
    TooManyAttempts,
    /// The server refused it with a `bad_msg_notification`.
    Refused {
        /// The code.
        code: BadMsgCode,
    },
    /// The server refused every new session (SEC-86).
    SessionRefused,
    /// The session ended for good.
    Terminated,
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled(_) => f.write_str("the call was cancelled"),
            Self::TimedOut => f.write_str("the call took too long"),
            Self::Uncertain => f.write_str("the call may or may not have been executed"),
            Self::TooManyAttempts => f.write_str("the call was sent too often without an answer"),
            Self::Refused { code } => write!(f, "the server refused the message: {code}"),
            Self::SessionRefused => f.write_str("the server refused every new session"),
            Self::Terminated => f.write_str("the session has ended"),
        }
    }
}

impl core::error::Error for CallFailure {}

/// The state of a cancelled call at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropOutcome {
    /// It was never sent.
    NotSent,
    /// The server knows nothing of it (`rpc_answer_unknown`), did not accept it, or could not be asked.
    Unknown,
    /// It was running (`rpc_answer_dropped_running`).
    Running,
    /// Its answer waited and was thrown away (`rpc_answer_dropped`).
    Dropped,
}

/// An event with spans instead of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record {
    Answer(CallId, Span),
    CallError(CallId, i32, Span),
    Update(MsgId, Span),
    /// An event without bytes.
    Plain(Event<'static>),
}

/// The events of a frame, and those that commands and timers left before it.
#[derive(Debug)]
#[must_use = "the results of calls are reported here and nowhere else"]
pub struct Events<'a>(Recorded<'a, Record>);

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    #[inline]
    fn next(&mut self) -> Option<Event<'a>> {
        Some(match self.0.next()? {
            Record::Answer(call, span) => Event::Answer { call, body: self.0.bytes(span) },
            Record::Update(msg_id, span) => Event::Update { msg_id, body: self.0.bytes(span) },
            Record::CallError(call, code, span) => {
                Event::CallError { call, error: RpcErrorRef { code, message: text(self.0.bytes(span)) } }
            }
            Record::Plain(event) => event,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

/// Returns the part of the bytes that is UTF-8; error names are ASCII.
pub(super) fn text(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// What a client adds to the log of events.
impl EventLog<Record> {
    pub(super) fn plain(&mut self, event: Event<'static>) {
        self.push(Record::Plain(event));
    }

    pub(super) fn call_failed(&mut self, call: CallId, failure: CallFailure) {
        self.plain(Event::CallFailed { call, failure });
    }

    /// Hands everything out.
    pub(super) fn events<'a>(&'a mut self, frame: &'a [u8]) -> Events<'a> {
        Events(self.take(frame))
    }

    /// Returns whether no further frame may be taken: the caller has not fetched events for too long.
    pub(super) const fn is_full(&self, limits: &SessionLimits) -> bool {
        self.records.len() >= limits.events || self.scratch.len() > limits.unpacked_bytes
    }

    /// Copies the bytes of the events from a place on, since the frame goes away before they are handed out.
    pub(super) fn outlive(&mut self, first: usize, frame: &[u8]) {
        for record in self.records.iter_mut().skip(first) {
            let (Record::Answer(_, span) | Record::CallError(_, _, span) | Record::Update(_, span)) = record
            else {
                continue;
            };
            if matches!(span, Span::Frame { .. }) {
                let bytes = span.of(frame, &[]);
                let start = self.scratch.len() as u32;
                self.scratch.extend_from_slice(bytes);
                *span = Span::Scratch { start, len: bytes.len() as u32 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf_8_is_cut_and_not_refused() {
        assert_eq!(text(b"FLOOD\xff_WAIT"), "FLOOD");
    }
}
