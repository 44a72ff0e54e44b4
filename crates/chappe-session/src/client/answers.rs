//! What answers to calls mean beyond the call itself.
//!
//! Spec: <https://core.telegram.org/mtproto/service_messages#rpc-error>,
//! <https://core.telegram.org/api/errors>.

use chappe_framing::{FrameError, RPC_ERROR};
use chappe_tl::deserialize::Cursor;

use super::events::text;
use super::{AuthorizationTrouble, DropOutcome};
use crate::event_log::Span;
use crate::service::{RPC_ANSWER_DROPPED, RPC_ANSWER_DROPPED_RUNNING};

/// Where the text of an `rpc_error` starts if it is shorter than 254 bytes: behind id, code and length.
const ERROR_TEXT_AT: usize = 9;

/// An `rpc_error` in a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorAnswer<'a> {
    pub(super) code: i32,
    pub(super) message: &'a str,
    /// Where the text stands.
    pub(super) span: Span,
}

impl<'a> ErrorAnswer<'a> {
    pub(super) fn read(result: &'a [u8], span: Span) -> Result<Self, FrameError> {
        let mut cursor = Cursor::from_slice(result);
        cursor.expect_id("rpc_error", RPC_ERROR)?;
        let code = cursor.read_i32()?;
        let message = cursor.read_bytes()?;
        cursor.finish()?;
        // Longer texts have three more bytes of length.
        let text_at = ERROR_TEXT_AT + if message.len() < 254 { 0 } else { 3 };
        Ok(Self { code, message: text(message), span: span.part(text_at, message.len()) })
    }

    /// Returns what the error says about more than the one call.
    pub(super) fn meaning(&self) -> Meaning {
        match (self.code, self.message) {
            (400, "CONNECTION_NOT_INITED" | "CONNECTION_LAYER_INVALID") => Meaning::Uninitialized,
            (400, "MSG_WAIT_FAILED" | "MSG_WAIT_TIMEOUT") => Meaning::OutOfOrder,
            (401, "AUTH_KEY_PERM_EMPTY") => Meaning::Unbound,
            (406, "AUTH_KEY_DUPLICATED") => Meaning::Trouble(AuthorizationTrouble::Duplicated),
            (401, "AUTH_KEY_UNREGISTERED") => Meaning::Trouble(AuthorizationTrouble::Unregistered),
            (401, "AUTH_KEY_INVALID") => Meaning::Trouble(AuthorizationTrouble::Invalid),
            (401, "SESSION_REVOKED") => Meaning::Trouble(AuthorizationTrouble::SessionRevoked),
            (401, "SESSION_EXPIRED") => Meaning::Trouble(AuthorizationTrouble::SessionExpired),
            (401, "USER_DEACTIVATED" | "USER_DEACTIVATED_BAN") => {
                Meaning::Trouble(AuthorizationTrouble::UserDeactivated)
            }
            (420, "FLOOD_WAIT_1") => Meaning::NoRoom,
            _ => Meaning::OfTheCall,
        }
    }
}

/// What an `rpc_error` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The server does not know the layer: the call goes again inside `initConnection`.
    Uninitialized,
    /// A call that must come first was not executed yet.
    OutOfOrder,
    /// The server did not execute the call, since too many run. A longer wait is about the call alone.
    NoRoom,
    /// The temporary key is not bound any more.
    Unbound,
    /// The login.
    Trouble(AuthorizationTrouble),
    /// The call alone.
    OfTheCall,
}

/// Returns what the answer to `rpc_drop_answer` says.
pub(super) const fn drop_outcome(constructor_id: u32) -> DropOutcome {
    match constructor_id {
        RPC_ANSWER_DROPPED_RUNNING => DropOutcome::Running,
        RPC_ANSWER_DROPPED => DropOutcome::Dropped,
        _ => DropOutcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_means_something_only_with_its_code() {
        let span = Span::Frame { start: 0, len: 0 };
        let meaning = |code, message| ErrorAnswer { code, message, span }.meaning();
        assert_eq!(meaning(400, "CONNECTION_NOT_INITED"), Meaning::Uninitialized);
        assert_eq!(meaning(401, "AUTH_KEY_PERM_EMPTY"), Meaning::Unbound);
        assert_eq!(meaning(406, "AUTH_KEY_DUPLICATED"), Meaning::Trouble(AuthorizationTrouble::Duplicated));
        assert_eq!(meaning(400, "AUTH_KEY_DUPLICATED"), Meaning::OfTheCall);
        assert_eq!(meaning(420, "FLOOD_WAIT_1"), Meaning::NoRoom);
        assert_eq!(meaning(420, "FLOOD_WAIT_10"), Meaning::OfTheCall);
    }
}
