//! What a client's session reports to its caller.
//!
//! Events borrow the frame they came in, or the scratch that packed objects were unpacked to; only
//! places are recorded while a frame is worked on, so nothing is copied or allocated for them.

use alloc::vec::Vec;
use core::fmt;

use chappe_framing::{MsgId, SessionId};
use chappe_types::{BadMsgCode, RpcErrorRef, TransportErrorCode};
use zeroize::Zeroize;

use super::calls::CallId;
use crate::SessionLimits;
use crate::service::KeyDestruction;
use crate::unpack::KEPT_SCRATCH;

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
    /// `AUTH_KEY_UNREGISTERED`: nobody is logged in under this key.
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
    /// The server remembers nothing of it (`rpc_answer_unknown`).
    Unknown,
    /// It was running (`rpc_answer_dropped_running`).
    Running,
    /// Its answer waited and was thrown away (`rpc_answer_dropped`).
    Dropped,
}

/// Where the bytes of an event are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Span {
    Frame { start: u32, len: u32 },
    Scratch { start: u32, len: u32 },
}

impl Span {
    /// The bytes `from..` of the span.
    pub(super) const fn skip(self, from: usize) -> Self {
        match self {
            Self::Frame { start, len } => Self::Frame { start: start + from as u32, len: len - from as u32 },
            Self::Scratch { start, len } => {
                Self::Scratch { start: start + from as u32, len: len - from as u32 }
            }
        }
    }

    /// The `len` bytes from `from` on.
    pub(super) const fn part(self, from: usize, len: usize) -> Self {
        match self.skip(from) {
            Self::Frame { start, .. } => Self::Frame { start, len: len as u32 },
            Self::Scratch { start, .. } => Self::Scratch { start, len: len as u32 },
        }
    }

    #[inline]
    fn of<'a>(self, frame: &'a [u8], scratch: &'a [u8]) -> &'a [u8] {
        let (bytes, start, len) = match self {
            Self::Frame { start, len } => (frame, start, len),
            Self::Scratch { start, len } => (scratch, start, len),
        };
        // The span was taken from these very bytes; it is empty if the caller mixed frames up.
        bytes.get(start as usize..start as usize + len as usize).unwrap_or_default()
    }
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
pub struct Events<'a> {
    records: core::slice::Iter<'a, Record>,
    frame: &'a [u8],
    scratch: &'a [u8],
}

impl<'a> Events<'a> {
    pub(super) fn new(records: &'a [Record], frame: &'a [u8], scratch: &'a [u8]) -> Self {
        Self { records: records.iter(), frame, scratch }
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    #[inline]
    fn next(&mut self) -> Option<Event<'a>> {
        let bytes = |span: Span| span.of(self.frame, self.scratch);
        Some(match *self.records.next()? {
            Record::Answer(call, span) => Event::Answer { call, body: bytes(span) },
            Record::Update(msg_id, span) => Event::Update { msg_id, body: bytes(span) },
            Record::CallError(call, code, span) => {
                Event::CallError { call, error: RpcErrorRef { code, message: text(bytes(span)) } }
            }
            Record::Plain(event) => event,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

/// Returns the part of the bytes that is UTF-8; error names are ASCII.
pub(super) fn text(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// Events recorded and not yet handed out.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    pub(super) records: Vec<Record>,
    pub(super) scratch: Vec<u8>,
    /// Whether the records were handed out and may be forgotten.
    handed_out: bool,
}

impl EventLog {
    /// Forgets the events that were handed out.
    #[inline]
    pub(super) fn begin(&mut self) {
        if core::mem::take(&mut self.handed_out) {
            self.records.clear();
            self.scratch.clear();
            self.scratch.shrink_to(KEPT_SCRATCH);
        }
    }

    #[inline]
    pub(super) fn push(&mut self, record: Record) {
        self.begin();
        if self.records.len() == self.records.capacity() {
            self.grow();
        }
        self.records.push(record);
    }

    /// Not four at once: most sessions have one event at a time.
    #[cold]
    fn grow(&mut self) {
        self.records.reserve_exact(self.records.len().max(1));
    }

    pub(super) fn plain(&mut self, event: Event<'static>) {
        self.push(Record::Plain(event));
    }

    pub(super) fn call_failed(&mut self, call: CallId, failure: CallFailure) {
        self.plain(Event::CallFailed { call, failure });
    }

    /// Returns whether no further frame may be taken: the caller has not fetched events for too long.
    pub(super) fn is_full(&self, limits: &SessionLimits) -> bool {
        self.records.len() >= limits.events || self.scratch.len() > limits.unpacked_bytes
    }

    /// Gives the memory back if no event waits.
    pub(super) fn release(&mut self) {
        if self.is_idle() {
            *self = Self::default();
        }
    }

    /// Returns how many events were recorded.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Copies the bytes of events, since the frame goes away before they are handed out.
    pub(super) fn outlive(&mut self, frame: &[u8]) {
        self.outlive_from(0, frame);
    }

    /// The same for the events from a place on.
    pub(super) fn outlive_from(&mut self, first: usize, frame: &[u8]) {
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

    /// Returns whether no event waits.
    const fn is_idle(&self) -> bool {
        self.handed_out || (self.records.is_empty() && self.scratch.is_empty())
    }

    /// Hands everything out.
    pub(super) fn take<'a>(&'a mut self, frame: &'a [u8]) -> Events<'a> {
        self.begin();
        self.handed_out = true;
        Events::new(&self.records, frame, &self.scratch)
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        // Answers that were unpacked may hold secrets of the user.
        self.scratch.zeroize();
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
