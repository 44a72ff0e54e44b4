//! What a server checks of a message, and the code it answers with.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages_about_messages#notice-of-ignored-error-message>.

use chappe_framing::{MSG_CONTAINER, MsgId, MsgOrigin, SeqNo, ServerSalt, UnixTime};
use chappe_tl::Identifiable;
use chappe_tl_mtproto::{functions, types};
use chappe_types::BadMsgCode;

use super::{Policy, Received, ServerSession};
use crate::service::Status;
use crate::time::Now;
use crate::window::{Age, Seen};

/// What an object demands of its sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parity {
    Even,
    Odd,
    Either,
}

impl Parity {
    /// By constructor id: the service table of the specification; everything else is a query.
    pub(super) fn of(constructor: u32) -> Self {
        match constructor {
            types::MsgsAck::CONSTRUCTOR_ID
            | MSG_CONTAINER
            | types::HttpWait::CONSTRUCTOR_ID
            | types::MsgsStateInfo::CONSTRUCTOR_ID
            | types::MsgsAllInfo::CONSTRUCTOR_ID => Self::Even,
            functions::Ping::CONSTRUCTOR_ID
            | functions::PingDelayDisconnect::CONSTRUCTOR_ID
            | functions::GetFutureSalts::CONSTRUCTOR_ID
            | types::MsgsStateReq::CONSTRUCTOR_ID
            | types::MsgResendReq::CONSTRUCTOR_ID
            | types::MsgResendAnsReq::CONSTRUCTOR_ID
            | functions::RpcDropAnswer::CONSTRUCTOR_ID
            | functions::DestroySession::CONSTRUCTOR_ID
            | functions::DestroyAuthKey::CONSTRUCTOR_ID => Self::Either,
            _ => Self::Odd,
        }
    }
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    /// Seen before: acknowledge again, and repeat the answer if there is one.
    Duplicate,
    Refuse(BadMsgCode),
}

impl ServerSession {
    /// Judges the outer message of a frame: low bits, time, repetition, salt.
    pub(super) fn judge_outer(&self, now: Now, msg_id: MsgId, salt: ServerSalt, constructor: u32) -> Verdict {
        if msg_id.origin() != Some(MsgOrigin::Client) {
            return Verdict::Refuse(BadMsgCode::WrongLowBits);
        }
        match self.config.age.check(msg_id, now.unix) {
            Age::TooOld => return Verdict::Refuse(BadMsgCode::MsgIdTooLow),
            Age::TooNew => return Verdict::Refuse(BadMsgCode::MsgIdTooHigh),
            Age::Plausible => {}
        }
        match self.seen(msg_id) {
            Seen::TooOld => return Verdict::Refuse(BadMsgCode::TooOld),
            Seen::Duplicate if constructor == MSG_CONTAINER && self.config.policy == Policy::Strict => {
                return Verdict::Refuse(BadMsgCode::ContainerIdReused);
            }
            Seen::Duplicate => return Verdict::Duplicate,
            Seen::Fresh => {}
        }
        if self.is_salt_valid(now.unix, salt) {
            Verdict::Accept
        } else {
            Verdict::Refuse(BadMsgCode::BadServerSalt)
        }
    }

    fn is_salt_valid(&self, now: UnixTime, salt: ServerSalt) -> bool {
        let is_first = self.first_salt.is_some_and(|(first, until)| first == salt && now <= until);
        is_first || self.salts.is_valid(self.key.id(), now, salt)
    }

    /// Judges a single message, alone or in a container: parity and order of sequence numbers, repetition.
    pub(super) fn judge_message(&self, msg_id: MsgId, seq_no: SeqNo, constructor: u32) -> Verdict {
        match self.seen(msg_id) {
            Seen::Duplicate => return Verdict::Duplicate,
            Seen::TooOld => return Verdict::Refuse(BadMsgCode::TooOld),
            Seen::Fresh => {}
        }
        if self.config.policy == Policy::Lenient {
            return Verdict::Accept;
        }
        match (Parity::of(constructor), seq_no.is_content_related()) {
            (Parity::Even, true) => return Verdict::Refuse(BadMsgCode::EvenSeqNoExpected),
            (Parity::Odd, false) => return Verdict::Refuse(BadMsgCode::OddSeqNoExpected),
            _ => {}
        }
        self.judge_order(msg_id, seq_no)
    }

    /// Sequence numbers must grow with ids: by two over each content-related message (SEC-84).
    fn judge_order(&self, msg_id: MsgId, seq_no: SeqNo) -> Verdict {
        let (below, above) = self.received.neighbours(msg_id);
        let least = below.map_or(i32::MIN, |(_, received)| received.seq_no.to_raw());
        let most = above.map_or(i32::MAX, |(_, received)| received.seq_no.to_raw());
        // An even number repeats the count so far; after an odd one the count is higher by one.
        let follows = |low: i32, high: i32| {
            if low & 1 == 1 { high > low } else { high >= low }
        };
        if !follows(least, seq_no.to_raw()) {
            Verdict::Refuse(BadMsgCode::SeqNoTooLow)
        } else if !follows(seq_no.to_raw(), most) {
            Verdict::Refuse(BadMsgCode::SeqNoTooHigh)
        } else {
            Verdict::Accept
        }
    }

    /// Remembers a message that was accepted.
    pub(super) fn remember(&mut self, msg_id: MsgId, seq_no: SeqNo, status: u8) {
        let received = Received { seq_no, status: Status(Status::RECEIVED | status) };
        match self.received.note_mut(msg_id) {
            Some(known) => *known = received,
            None => {
                self.received.insert(msg_id, received);
            }
        }
    }

    /// Looks an id up; one whose message was not shown because of another in its frame was not seen.
    fn seen(&self, msg_id: MsgId) -> Seen {
        let is_missing = |received: &Received| received.status.is_missing();
        match self.received.check(msg_id) {
            Seen::Duplicate if self.received.note(msg_id).is_some_and(is_missing) => Seen::Fresh,
            seen => seen,
        }
    }

    /// Tells what is known of a message of the client.
    pub(super) fn status_of(&self, msg_id: MsgId) -> u8 {
        if let Some(received) = self.received.note(msg_id) {
            return received.status.0;
        }
        match (self.received.lowest(), self.received.highest()) {
            (Some(lowest), _) if msg_id < lowest => Status::UNKNOWN,
            (_, Some(highest)) if msg_id > highest => Status::NOT_RECEIVED_HIGH,
            (None, _) => Status::UNKNOWN,
            _ => Status::NOT_RECEIVED,
        }
    }
}
