//! Codes of `bad_msg_notification`.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages_about_messages#notice-of-ignored-error-message>.

use core::fmt;

use crate::Rule;

/// Why a server ignored a message: the `error_code` of `bad_msg_notification`, and of `bad_server_salt`.
///
/// Spec: <https://core.telegram.org/mtproto/service_messages_about_messages#notice-of-ignored-error-message>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BadMsgCode {
    /// 16: `msg_id` is too low; the client's clock is probably behind.
    MsgIdTooLow,
    /// 17: `msg_id` is too high; the client's clock is probably ahead.
    MsgIdTooHigh,
    /// 18: the two lowest bits of `msg_id` are not those of a client's message.
    WrongLowBits,
    /// 19: the `msg_id` of the container is that of an earlier message.
    ContainerIdReused,
    /// 20: the message is so old that the server cannot tell whether it was received.
    TooOld,
    /// 32: `seq_no` is too low: an earlier message has the same or a higher one.
    SeqNoTooLow,
    /// 33: `seq_no` is too high: a later message has the same or a lower one.
    SeqNoTooHigh,
    /// 34: `seq_no` is odd for a message that is not content-related.
    EvenSeqNoExpected,
    /// 35: `seq_no` is even for a content-related message.
    OddSeqNoExpected,
    /// 48: the salt is wrong. `bad_server_salt` carries the right one.
    BadServerSalt,
    /// 64: the container is malformed.
    InvalidContainer,
    /// A number that the specification does not define.
    Other(i32),
}

impl BadMsgCode {
    /// Takes the number of the wire.
    pub const fn from_raw(raw: i32) -> Self {
        match raw {
            16 => Self::MsgIdTooLow,
            17 => Self::MsgIdTooHigh,
            18 => Self::WrongLowBits,
            19 => Self::ContainerIdReused,
            20 => Self::TooOld,
            32 => Self::SeqNoTooLow,
            33 => Self::SeqNoTooHigh,
            34 => Self::EvenSeqNoExpected,
            35 => Self::OddSeqNoExpected,
            48 => Self::BadServerSalt,
            64 => Self::InvalidContainer,
            other => Self::Other(other),
        }
    }

    /// Returns the number of the wire.
    pub const fn to_raw(self) -> i32 {
        match self {
            Self::MsgIdTooLow => 16,
            Self::MsgIdTooHigh => 17,
            Self::WrongLowBits => 18,
            Self::ContainerIdReused => 19,
            Self::TooOld => 20,
            Self::SeqNoTooLow => 32,
            Self::SeqNoTooHigh => 33,
            Self::EvenSeqNoExpected => 34,
            Self::OddSeqNoExpected => 35,
            Self::BadServerSalt => 48,
            Self::InvalidContainer => 64,
            Self::Other(raw) => raw,
        }
    }

    /// Returns the rule that a server enforces with this code.
    pub const fn rule(self) -> Rule {
        Rule::new(match self {
            Self::WrongLowBits => 71,
            Self::ContainerIdReused => 96,
            Self::SeqNoTooLow | Self::SeqNoTooHigh => 84,
            Self::EvenSeqNoExpected | Self::OddSeqNoExpected => 85,
            Self::BadServerSalt => 87,
            Self::InvalidContainer => 93,
            Self::MsgIdTooLow | Self::MsgIdTooHigh | Self::TooOld | Self::Other(_) => 79,
        })
    }
}

impl fmt::Display for BadMsgCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::MsgIdTooLow => "msg_id too low",
            Self::MsgIdTooHigh => "msg_id too high",
            Self::WrongLowBits => "wrong low bits in msg_id",
            Self::ContainerIdReused => "container msg_id used before",
            Self::TooOld => "message too old",
            Self::SeqNoTooLow => "seq_no too low",
            Self::SeqNoTooHigh => "seq_no too high",
            Self::EvenSeqNoExpected => "odd seq_no where an even one is expected",
            Self::OddSeqNoExpected => "even seq_no where an odd one is expected",
            Self::BadServerSalt => "bad server salt",
            Self::InvalidContainer => "invalid container",
            Self::Other(raw) => return write!(f, "code {raw}"),
        };
        write!(f, "code {} ({text})", self.to_raw())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::BadMsgCode;

    #[test]
    fn every_number_converts_both_ways() {
        for raw in (-1..=70).chain([i32::MIN, i32::MAX]) {
            assert_eq!(BadMsgCode::from_raw(raw).to_raw(), raw);
        }
    }

    #[test]
    fn the_text_has_the_number_and_the_meaning() {
        assert_eq!(BadMsgCode::MsgIdTooHigh.to_string(), "code 17 (msg_id too high)");
        assert_eq!(BadMsgCode::from_raw(99).to_string(), "code 99");
    }
}
