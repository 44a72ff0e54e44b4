//! One call: what is to be sent, and how far it is.

use alloc::boxed::Box;
use alloc::vec::Vec;

use chappe_framing::{MessageHeader, MsgId};

use super::{CallId, Repeat, StatusRules};
use crate::client::key_session::Generation;
use crate::client::{CallFailure, DropOutcome};
use crate::service::Status;

/// A place for a call. Places are reused with their memory.
#[derive(Debug)]
pub(in crate::client) struct Slot {
    pub(in crate::client) generation: u32,
    pub(in crate::client) stage: Stage,
    /// Serialized query, packed if that pays, without any wrapper.
    pub(in crate::client) body: Vec<u8>,
    /// Calls that must be executed before.
    pub(in crate::client) after: Box<[CallId]>,
    pub(in crate::client) repeat: Repeat,
    /// How often it was sent.
    pub(in crate::client) attempts: u8,
    pub(in crate::client) quick_ack: bool,
    /// It travels without a container: the server refused a container with it.
    pub(in crate::client) alone: bool,
    /// The server was asked to drop the answer.
    pub(in crate::client) cancelled: bool,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Stage {
    /// The slot holds no call; it names the next free one.
    Free { next: u32 },
    /// It waits for the next packet.
    Queued(QueuedAs),
    /// It was sent on this connection.
    Sent(SentAs),
    /// It was sent, but may have been lost with the connection: its state must be asked for.
    Uncertain(SentAs),
}

/// What a queued call is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum QueuedAs {
    /// It has never been sent.
    First,
    /// It was sent as this, and is sent again under a new id (SEC-106).
    NewId(SentAs),
    /// It is sent again under its old id, inside a container. Even if an earlier copy is still in flight, the
    /// server executes it once.
    SameId(SentAs),
}

/// How a call was last sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct SentAs {
    pub(in crate::client) header: MessageHeader,
    /// The session it was sent in.
    pub(in crate::client) generation: Generation,
    pub(in crate::client) receipt: Receipt,
    /// It went out inside `initConnection`.
    pub(in crate::client) wrapped: bool,
    /// The id was used before. A complaint that arrives now may be about the earlier frame, and proves nothing.
    pub(in crate::client) reused_id: bool,
    /// There is a note of when the state of the message is to be asked for.
    pub(in crate::client) watched: bool,
}

/// What the server said about having received a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Receipt {
    /// Nothing.
    Unknown,
    /// Nothing, but it said something else since, which set the clock back. The id does not tell this by its time.
    Passed,
    /// It has the message.
    Confirmed,
    /// The next that it said on the connection that the message was sent on was -404. That is unauthenticated, so it counts
    /// only where the state cannot be asked for.
    Denied,
}

/// What is known of a message whose session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Evidence {
    /// Nothing, and the state cannot be asked for.
    None,
    /// The server says that it did not receive it.
    NotReceived,
}

/// What becomes of a call that the server does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its answer is still to come.
    Wait,
    /// It is sent again.
    NewId,
    SameId,
    Fail(CallFailure),
}

impl Slot {
    pub(in crate::client) fn free(next: u32) -> Self {
        Self {
            generation: 0,
            stage: Stage::Free { next },
            body: Vec::new(),
            after: Box::default(),
            repeat: Repeat::AfterAsking,
            attempts: 0,
            quick_ack: false,
            alone: false,
            cancelled: false,
        }
    }

    /// Returns how the call was last sent; `None` if it never was.
    #[inline]
    pub(in crate::client) const fn last_sent(&self) -> Option<&SentAs> {
        match &self.stage {
            Stage::Free { .. } | Stage::Queued(QueuedAs::First) => None,
            Stage::Queued(QueuedAs::NewId(sent) | QueuedAs::SameId(sent))
            | Stage::Sent(sent)
            | Stage::Uncertain(sent) => Some(sent),
        }
    }

    pub(in crate::client) const fn last_sent_mut(&mut self) -> Option<&mut SentAs> {
        match &mut self.stage {
            Stage::Free { .. } | Stage::Queued(QueuedAs::First) => None,
            Stage::Queued(QueuedAs::NewId(sent) | QueuedAs::SameId(sent))
            | Stage::Sent(sent)
            | Stage::Uncertain(sent) => Some(sent),
        }
    }

    /// Returns the `msg_id` that the call was last sent under; `None` if it was not sent.
    #[inline]
    pub(in crate::client) fn msg_id(&self) -> Option<MsgId> {
        self.last_sent().map(|sent| sent.header.msg_id)
    }

    /// Returns how the call was sent if it waits for an answer, and not for the next packet.
    #[inline]
    pub(in crate::client) const fn in_flight(&self) -> Option<&SentAs> {
        match &self.stage {
            Stage::Sent(sent) | Stage::Uncertain(sent) => Some(sent),
            Stage::Free { .. } | Stage::Queued(_) => None,
        }
    }

    /// Returns whether the call waits for an answer to the message with this id.
    #[inline]
    pub(in crate::client) fn is_in_flight_as(&self, msg_id: MsgId) -> bool {
        self.in_flight().is_some_and(|sent| sent.header.msg_id == msg_id)
    }

    /// Returns whether the call may be sent again under a new id when `evidence` is all that is known.
    ///
    /// A server that has the message may be executing it, whatever it said later.
    pub(in crate::client) fn may_repeat(&self, evidence: Evidence) -> bool {
        match (self.repeat, evidence) {
            (Repeat::Freely, _) => true,
            (Repeat::AfterAsking, _) => match (self.last_sent().map(|sent| sent.receipt), evidence) {
                (None | Some(Receipt::Denied), _) => true,
                (Some(Receipt::Unknown | Receipt::Passed), evidence) => evidence == Evidence::NotReceived,
                (Some(Receipt::Confirmed), _) => false,
            },
            (Repeat::Never, _) => false,
        }
    }

    /// Decides about a call whose message the server does not have, as it says, or knows nothing of (SEC-107).
    pub(super) fn fate(&self, status: Status, rules: &StatusRules) -> Fate {
        let Some(sent) = self.in_flight() else {
            return Fate::Wait;
        };
        let is_unknown = status.0 & 7 == Status::UNKNOWN;
        if sent.receipt == Receipt::Confirmed {
            // The server did receive it, and has forgotten the id since. It may be executing the query still.
            return match (&self.stage, self.repeat) {
                // The connection has not been lost, and neither has the answer.
                (Stage::Sent(_), _) => Fate::Wait,
                (_, Repeat::Freely) => Fate::NewId,
                (_, Repeat::AfterAsking | Repeat::Never) => Fate::Fail(CallFailure::Uncertain),
            };
        }
        if self.cancelled {
            Fate::Fail(CallFailure::Cancelled(DropOutcome::Unknown))
        } else if self.repeat == Repeat::Never && is_unknown {
            Fate::Fail(CallFailure::Uncertain)
        } else if self.attempts >= rules.attempts {
            Fate::Fail(CallFailure::TooManyAttempts)
        } else if !is_unknown && rules.generation == Some(sent.generation) {
            // States 2 and 3: not received. An earlier copy may still be in flight, so the id stays.
            Fate::SameId
        } else {
            Fate::NewId
        }
    }

    pub(in crate::client) const fn is_free(&self) -> bool {
        matches!(self.stage, Stage::Free { .. })
    }

    pub(in crate::client) const fn is_queued(&self) -> bool {
        matches!(self.stage, Stage::Queued(_))
    }
}
