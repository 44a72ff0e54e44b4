//! Which objects are content-related, and so have an odd sequence number.

use chappe_framing::MSG_CONTAINER;
use chappe_tl::Identifiable;
use chappe_tl_mtproto::{functions, types};

/// What an object demands of its sequence number.
///
/// Spec: <https://core.telegram.org/mtproto/description#message-sequence-number-msg-seqno>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parity {
    Even,
    Odd,
    Either,
}

impl Parity {
    /// By constructor id: the service messages of the specification; everything else is a query.
    pub(super) fn of(constructor: u32) -> Self {
        match constructor {
            types::MsgsAck::CONSTRUCTOR_ID
            | MSG_CONTAINER
            | types::HttpWait::CONSTRUCTOR_ID
            | types::MsgsStateInfo::CONSTRUCTOR_ID
            | types::MsgsAllInfo::CONSTRUCTOR_ID => Self::Even,
            // Clients disagree about messages that are answered, which acknowledges them anyway.
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
