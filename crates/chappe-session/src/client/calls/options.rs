//! How a call is to be sent.

use alloc::vec::Vec;
use core::time::Duration;

use super::CallId;

/// Whether a call may be sent a second time while it is unknown if the first one was executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Repeat {
    /// Executing it twice does no harm: it may be sent again without asking.
    Freely,
    /// The server is asked first whether it received the call (SEC-107). Where the server cannot be asked, because the session is
    /// gone, the call fails with [`CallFailure::Uncertain`](crate::client::CallFailure::Uncertain). This fits most calls.
    #[default]
    AfterAsking,
    /// It is sent again only if the server refused it or certainly did not receive it; otherwise it fails with
    /// [`CallFailure::Uncertain`](crate::client::CallFailure::Uncertain).
    Never,
}

/// Whether a body may be packed with gzip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Packing {
    /// It is packed if it is large enough and becomes clearly smaller.
    #[default]
    Auto,
    /// It is not packed: for parts of files, which do not shrink.
    Never,
}

/// How to send a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOptions {
    /// Calls that must be executed before this one (`invokeAfterMsg`, `invokeAfterMsgs`). Those that have
    /// ended are left out.
    pub after: Vec<CallId>,
    /// Whether it may be sent twice.
    pub repeat: Repeat,
    /// Whether it may be packed.
    pub packing: Packing,
    /// Requests a quick acknowledgement from the transport.
    pub quick_ack: bool,
    /// How long the call may take from now on; `None` means indefinitely.
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
