//! The binding of a temporary key to a permanent one.
//!
//! The client proves that it has both keys: `auth.bindTempAuthKey`, sent under the **temporary** key, contains a small
//! object that is encrypted under the **permanent** key with MTProto 1.0.
//!
//! ```text
//! encrypted_message = perm_auth_key_id 8 | msg_key 16 | IGE_v1(
//!     random 16 | msg_id 8 | seqno 4 = 0 | length 4 = 40 | bind_auth_key_inner 40 | padding 8)
//! ```
//!
//! Not here: the table of keys, and the repetition of a request whose `msg_id` or salt was refused: it must be built
//! again.
//!
//! Spec: <https://core.telegram.org/method/auth.bindTempAuthKey>.

mod request;
mod verify;

pub use request::{BindTempAuthKey, ENCRYPTED_MESSAGE_LEN};
pub use verify::BindContext;

pub use chappe_types::BindError;

mod field {
    use core::ops::Range;
    pub(super) const PERM_AUTH_KEY_ID: Range<usize> = 0..8;
    pub(super) const MSG_KEY: Range<usize> = PERM_AUTH_KEY_ID.end..24;
    /// Where the encrypted part begins; the ranges of `inner` count from here.
    pub(super) const ENCRYPTED: usize = MSG_KEY.end;

    /// Inside the encryption.
    pub(super) mod inner {
        use core::ops::Range;
        pub(in super::super) const RANDOM: Range<usize> = 0..16;
        pub(in super::super) const MSG_ID: Range<usize> = RANDOM.end..24;
        pub(in super::super) const SEQ_NO: Range<usize> = MSG_ID.end..28;
        pub(in super::super) const LEN: Range<usize> = SEQ_NO.end..32;
        pub(in super::super) const OBJECT: Range<usize> = LEN.end..72;
        pub(in super::super) const PADDING: Range<usize> = OBJECT.end..80;
    }
}

/// Length of `bind_auth_key_inner`, constructor id included.
const OBJECT_LEN: usize = 40;
