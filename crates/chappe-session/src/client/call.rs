//! A call: its id, how it is to be sent, and where it stands.

use alloc::vec::Vec;
use core::time::Duration;

use chappe_framing::{MsgId, SeqNo};

/// A call accepted by [`ClientSession::send`](super::ClientSession::send), until it ends.
///
/// Ids are never used twice in the life of a session.
// One number, slot above generation: ids are handed through several layers for each message, and two halves that
// are written singly and read together would stall every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

impl CallId {
    pub(super) const fn new(slot: u32, generation: u32) -> Self {
        Self((slot as u64) << 32 | generation as u64)
    }

    pub(super) const fn slot(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(super) const fn generation(self) -> u32 {
        self.0 as u32
    }
}

/// May a call be sent a second time if nobody knows whether the first one was executed?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Repeat {
    /// Executing it twice does no harm: it may be sent again without asking.
    Freely,
    /// The server is asked first whether it received the call (SEC-107). What fits most calls.
    #[default]
    AfterAsking,
    /// It is sent again only if the server refused it or certainly did not receive it; else it fails with
    /// [`CallFailure::Uncertain`](super::CallFailure::Uncertain).
    Never,
}

/// Should a body be packed with gzip?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Packing {
    /// If it is large enough and becomes clearly smaller.
    #[default]
    Auto,
    /// Never: for parts of files, which do not shrink.
    Never,
}

/// How to send a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOptions {
    /// Calls that must be executed before this one (`invokeAfterMsg`, `invokeAfterMsgs`). Those that
    /// ended already are left out.
    pub after: Vec<CallId>,
    /// Whether it may be sent twice.
    pub repeat: Repeat,
    /// Whether it may be packed.
    pub packing: Packing,
    /// Ask the transport for a quick acknowledgement.
    pub quick_ack: bool,
    /// How long the call may take from now on; without it, it may take for ever.
    pub timeout: Option<Duration>,
}

impl SendOptions {
    chappe_types::setters! {
        with_after => after: Vec<CallId>,
        with_repeat => repeat: Repeat,
        with_packing => packing: Packing,
        with_quick_ack => quick_ack: bool,
        with_timeout => timeout: Option<Duration>,
    }
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The slot is free.
    Free,
    /// Waits for the next packet.
    Queued,
    /// Sent on this connection; nothing heard of it.
    Sent,
    /// The server has it and has not answered yet.
    Acked,
    /// Sent, but perhaps lost with the connection: its state must be asked for.
    Uncertain,
}

/// A call.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "marks that hold or not whatever the others say")]
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) stage: Stage,
    /// Serialized query, perhaps packed, without any wrapper.
    pub(super) body: Vec<u8>,
    /// The last id it was sent under.
    pub(super) msg_id: MsgId,
    /// The number it was last sent with.
    pub(super) seq_no: SeqNo,
    /// It goes again under its old id, inside a container: whatever of it may still be under way, the server
    /// executes it once.
    pub(super) keeps_id: bool,
    /// It was: a complaint that arrives now may speak of the first frame with it, and proves nothing.
    pub(super) kept_id: bool,
    pub(super) attempts: u8,
    pub(super) repeat: Repeat,
    pub(super) quick_ack: bool,
    /// Which session it was last sent in: they are counted.
    pub(super) era: u32,
    /// It goes without company: a container with it was refused.
    pub(super) alone: bool,
    /// It went out inside `initConnection`.
    pub(super) wrapped: bool,
    /// The server is asked to drop the answer.
    pub(super) cancelled: bool,
    /// It binds a temporary key, and is built anew for every `msg_id`.
    pub(super) is_binding: bool,
    /// There is a note of when the state of the message is to be asked for.
    pub(super) is_watched: bool,
    /// Calls that must be executed before.
    pub(super) after: Vec<CallId>,
    /// The next free slot, while this one is.
    pub(super) next_free: u32,
}

impl Slot {
    /// A slot that holds no call.
    pub(super) const EMPTY: Self = {
        Self {
            generation: 0,
            stage: Stage::Free,
            body: Vec::new(),
            msg_id: MsgId::from_raw(0),
            seq_no: SeqNo::from_raw(0),
            keeps_id: false,
            kept_id: false,
            attempts: 0,
            repeat: Repeat::AfterAsking,
            quick_ack: false,
            era: 0,
            alone: false,
            wrapped: false,
            cancelled: false,
            is_binding: false,
            is_watched: false,
            after: Vec::new(),
            next_free: 0,
        }
    };
}
