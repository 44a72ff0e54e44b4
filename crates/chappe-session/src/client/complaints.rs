//! What a client does about each code of `bad_msg_notification`.
//!
//! [`reaction`] is the whole table; the session applies its value in one place. A call is never sent again alone
//! under its old id (SEC-106).
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages_about_messages#notice-of-ignored-error-message>.

use chappe_types::BadMsgCode;

/// What to do about a complaint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reaction {
    pub(super) clock: ClockFix,
    pub(super) resend: Resend,
    pub(super) session: SessionFix,
}

/// How the complaint moves the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockFix {
    /// It does not.
    Keep,
    /// As any other answer does.
    Observe,
    /// The `msg_id` of the complaint is the right time.
    Reset,
}

/// What becomes of the messages that the complaint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resend {
    /// They were refused, so they are sent again.
    Again,
    /// The same, each without a container.
    Alone,
    /// It is unknown whether they were executed: those that may not be executed twice fail.
    IfAllowed,
    /// Nothing by itself: a new session decides.
    Leave,
    /// Sending them again cannot help.
    Fail,
}

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionFix {
    Keep,
    /// A new one is begun if the ids in use are too far ahead of the corrected clock.
    NewIfAhead,
    New,
}

/// Returns what to do about a code.
pub(super) const fn reaction(code: BadMsgCode) -> Reaction {
    let (clock, resend, session) = match code {
        // 16, "msg_id too low (most likely, client time is wrong)". Ids go up with the clock, so the session can go on. After a
        // step back of the clock they may be ahead of it, and then the server would refuse the next ones by 17.
        BadMsgCode::MsgIdTooLow => (ClockFix::Reset, Resend::Again, SessionFix::NewIfAhead),
        // 17, "msg_id too high (similar to the previous case)". The right ids are lower than those sent before, and within a
        // session ids only grow.
        BadMsgCode::MsgIdTooHigh => (ClockFix::Reset, Resend::Again, SessionFix::New),
        // 18, "incorrect two lower order msg_id bits", and 32 to 35, a sequence number that is too low, too high, or even or odd
        // where it must not be. The message was ignored. Both sides count differently, and start again in a new session.
        BadMsgCode::WrongLowBits
        | BadMsgCode::SeqNoTooLow
        | BadMsgCode::SeqNoTooHigh
        | BadMsgCode::EvenSeqNoExpected
        | BadMsgCode::OddSeqNoExpected => (ClockFix::Keep, Resend::Again, SessionFix::New),
        // 19, "container msg_id is the same as msg_id of a previously received message". What the first container under the id
        // held may have been executed, so nothing of it counts as refused.
        BadMsgCode::ContainerIdReused => (ClockFix::Keep, Resend::Leave, SessionFix::New),
        // 20, "message too old, and it cannot be verified whether the server has received a message with this msg_id or not"
        // (SEC-107). An id that was used once was not received, since this is what the server says of its only use.
        BadMsgCode::TooOld => (ClockFix::Keep, Resend::IfAllowed, SessionFix::Keep),
        // 48, "incorrect server salt". `bad_server_salt` carries the right one. Nothing else was wrong, so the session goes on.
        BadMsgCode::BadServerSalt => (ClockFix::Observe, Resend::Again, SessionFix::Keep),
        // 64, "invalid container". The server read nothing of it. One of its messages may be the cause, so they part.
        BadMsgCode::InvalidContainer => (ClockFix::Keep, Resend::Alone, SessionFix::Keep),
        // The specification has no other codes, so nothing is known that would help.
        _ => (ClockFix::Keep, Resend::Fail, SessionFix::Keep),
    };
    Reaction { clock, resend, session }
}

/// Returns whether the client was wrong about time or salt, and not about the message itself.
pub(super) const fn is_about_circumstances(code: BadMsgCode) -> bool {
    matches!(code, BadMsgCode::MsgIdTooLow | BadMsgCode::MsgIdTooHigh | BadMsgCode::BadServerSalt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(is_meant: impl Fn(Reaction) -> bool) -> Vec<i32> {
        (0..100).filter(|code| is_meant(reaction(BadMsgCode::from_raw(*code)))).collect()
    }

    #[test]
    fn only_time_and_sequence_numbers_cost_a_session() {
        let new = codes(|reaction| reaction.session != SessionFix::Keep);
        assert_eq!(new, [16, 17, 18, 19, 32, 33, 34, 35]);
    }

    #[test]
    fn sec_107_only_a_refusal_lets_a_call_go_again() {
        let again = codes(|reaction| matches!(reaction.resend, Resend::Again | Resend::Alone));
        assert_eq!(again, [16, 17, 18, 32, 33, 34, 35, 48, 64]);
        assert_eq!(reaction(BadMsgCode::TooOld).resend, Resend::IfAllowed);
        assert_eq!(reaction(BadMsgCode::Other(99)).resend, Resend::Fail);
    }
}
