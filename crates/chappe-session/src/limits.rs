//! The bounds of a client's session.

use core::time::Duration;

use crate::window::AgeLimits;

/// The most messages that are put into a container. Servers refuse more than 1024 by code 64, and official clients stay at
/// 1020 too.
///
/// <https://core.telegram.org/mtproto/service_messages#containers>
pub(crate) const MAX_CONTAINER_MESSAGES: usize = chappe_framing::MAX_MESSAGES_SENT;

/// The most ids in one `msgs_ack`, `msgs_state_req` or `msg_resend_req` (SEC-103), as the specification sets it.
///
/// <https://core.telegram.org/mtproto/service_messages_about_messages#acknowledgment-of-receipt>
pub const MAX_IDS_PER_LIST: usize = 8192;

/// The bounds of a client's session: no table of a session grows beyond them.
///
/// ```
/// use chappe_session::SessionLimits;
///
/// let limits = SessionLimits::default().with(|limits| limits.pending_calls = 64);
/// assert_eq!(limits.received_ids, 416);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLimits {
    /// Ids of received messages remembered against replays. Default 416; the specification asks for 400 (SEC-78), and a
    /// container brings several at once. A message below all of them may have been seen, and is not handled.
    ///
    /// <https://core.telegram.org/mtproto/security_guidelines#checking-msg-id>
    pub received_ids: usize,
    /// How old and how far in the future a message may be. Default 300 s and 30 s (SEC-79, SEC-80).
    pub age: AgeLimits,
    /// Calls that wait to be sent or answered. Default 16 384.
    pub pending_calls: usize,
    /// Bytes of their bodies. Default 64 MiB.
    pub pending_bytes: usize,
    /// Messages put into one container. Default 1020, which is also the most.
    pub container_messages: usize,
    /// Bytes after which no further message is put into a container. Default 32 KiB; a single larger
    /// message goes alone.
    pub container_bytes: usize,
    /// Largest body that is sent or received. Default 1 MiB outside, see [`SessionLimits::received_bytes`].
    pub body_bytes: usize,
    /// Largest body accepted. Default 16 MiB − 1.
    pub received_bytes: usize,
    /// Most bytes that the packed objects of one frame may unpack to. Default 16 MiB (SEC-97).
    pub unpacked_bytes: usize,
    /// Smallest body that is worth packing. Default 512 bytes.
    pub gzip_from: usize,
    /// Acknowledgements that may wait. Default 8192, which is one list. A server repeats what is not acknowledged.
    pub acks: usize,
    /// Acknowledgements that are sent without waiting any longer. Default 16.
    pub acks_at_once: usize,
    /// How long an acknowledgement may wait for company. Default 10 s: most calls are followed by another within that
    /// time, which carries it.
    pub ack_delay: Duration,
    /// Service messages and containers remembered, so that a complaint about them is believed. Default 8;
    /// containers of calls that have not ended are remembered besides.
    pub sent_service_ids: usize,
    /// How long after sending a message complaints about it are believed. Default 600 s (SEC-82): a complaint moves the clock
    /// and the session, and one about a message of long ago is a recording.
    pub sent_memory: Duration,
    /// Server salts kept. Default 8, which lasts four hours; the most is 64.
    pub salts: usize,
    /// Times one call is sent before it fails. Default 16: wrong time, salt and session can each cost one in a row.
    pub attempts: u8,
    /// Times a session may start anew without an answer to a call in between. Default 6 (SEC-86): one is enough after each
    /// fault of the client, so more mean that the server refuses whatever is tried.
    pub session_resets: u8,
    /// How long a call goes unanswered until its state is asked for, and again after each question. Default 10 s.
    ///
    /// <https://core.telegram.org/mtproto/service_messages_about_messages#request-for-message-status-information>
    pub ask_state_after: Duration,
    /// Events that wait for the caller. Default 32 768; beyond it no frame is accepted.
    pub events: usize,
}

impl SessionLimits {
    chappe_types::with!();
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            received_ids: 416,
            age: AgeLimits::SPEC,
            pending_calls: 16_384,
            pending_bytes: 64 << 20,
            container_messages: MAX_CONTAINER_MESSAGES,
            container_bytes: 32 << 10,
            body_bytes: 1 << 20,
            received_bytes: (16 << 20) - 1,
            unpacked_bytes: 16 << 20,
            gzip_from: 512,
            acks: MAX_IDS_PER_LIST,
            acks_at_once: 16,
            ack_delay: Duration::from_secs(10),
            sent_service_ids: 8,
            sent_memory: Duration::from_secs(600),
            salts: 8,
            attempts: 16,
            session_resets: 6,
            ask_state_after: Duration::from_secs(10),
            events: 32_768,
        }
    }
}
