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
        // "client time is wrong". Ids go up with the clock, so the session can go on.
        BadMsgCode::MsgIdTooLow => (ClockFix::Reset, Resend::Again, SessionFix::NewIfAhead),
        // The server has seen higher ids in this session. Lower ones are accepted in a new session only.
        BadMsgCode::MsgIdTooHigh => (ClockFix::Reset, Resend::Again, SessionFix::New),
        // The message was ignored, and numbers start again in a new session.
        BadMsgCode::WrongLowBits
        | BadMsgCode::SeqNoTooLow
        | BadMsgCode::SeqNoTooHigh
        | BadMsgCode::EvenSeqNoExpected
        | BadMsgCode::OddSeqNoExpected => (ClockFix::Keep, Resend::Again, SessionFix::New),
        // What the first container under the id held may have been executed, so nothing of it counts as refused.
        BadMsgCode::ContainerIdReused => (ClockFix::Keep, Resend::Leave, SessionFix::New),
        // "It cannot be verified whether the server has received a message with this msg_id or not" (SEC-107).
        BadMsgCode::TooOld => (ClockFix::Keep, Resend::IfAllowed, SessionFix::Keep),
        // `bad_server_salt` carries the right salt.
        BadMsgCode::BadServerSalt => (ClockFix::Observe, Resend::Again, SessionFix::Keep),
        // The server read nothing of the container. One of its messages may be the cause, so they part.
        BadMsgCode::InvalidContainer => (ClockFix::Keep, Resend::Alone, SessionFix::Keep),
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
