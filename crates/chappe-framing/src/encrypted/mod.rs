//! Encrypted messages, sealed and opened in one buffer.
//!
//! [`EncryptedWriter`] takes the body, writes both headers in front and encrypts in place.
//! [`open`] decrypts in place and returns a view of the same bytes. With the feature `batch`, `seal_many` and
//! `open_many` process several frames together.
//!
//! ```text
//! auth_key_id 8 | msg_key 16 | encrypted: salt 8 | session_id 8 | msg_id 8 | seq_no 4 | len 4 | body | padding 12..=1024
//! ```
//!
//! Not here: choosing `msg_id`, `seq_no` or the salt; splitting a stream into frames.
//! **Invariant:** no decrypted byte is used before `msg_key` is compared (SEC-65).
//!
//! Spec: <https://core.telegram.org/mtproto/description#encrypted-message>.

#[cfg(feature = "batch")]
mod batch;
mod open;
mod padding;
mod seal;

#[cfg(feature = "batch")]
pub use batch::{OpenFrame, SealFrame, open_many, seal_many};
pub use open::{Opened, TransportTail, open};
pub use padding::Padding;
pub use seal::{EncryptedHeader, EncryptedWriter, Prepared};

use crate::{FrameError, MalformedFrame, MessageHeader};
use chappe_crypto::AuthKeyId;

use crate::message::array;

/// Length of the header that is not encrypted: `auth_key_id` 8, `msg_key` 16.
pub const OUTER_HEADER_LEN: usize = outer::MSG_KEY.end;

/// Length of the header in front of the body, inside the encryption.
pub const INNER_HEADER_LEN: usize = inner::MESSAGE.end;

/// Length of the shortest encrypted frame: both headers, four bytes of body, twelve of padding.
pub const MIN_FRAME_LEN: usize = 72;

mod outer {
    use core::ops::Range;
    pub(super) const AUTH_KEY_ID: Range<usize> = 0..8;
    pub(super) const MSG_KEY: Range<usize> = AUTH_KEY_ID.end..24;
}

mod inner {
    use core::ops::Range;
    pub(super) const SALT: Range<usize> = 0..8;
    pub(super) const SESSION_ID: Range<usize> = SALT.end..16;
    pub(super) const MESSAGE: Range<usize> = SESSION_ID.end..SESSION_ID.end + super::MessageHeader::LEN;
}

const BLOCK: usize = 16;

/// Returns the id of the key of a frame. Zero marks a plain frame.
///
/// # Errors
///
/// [`MalformedFrame::TooShort`] if there are fewer than eight bytes. The transport handles payloads below 16
/// bytes, which are its errors and acknowledgements.
pub fn auth_key_id(frame: &[u8]) -> Result<AuthKeyId, FrameError> {
    let id = frame
        .get(outer::AUTH_KEY_ID)
        .ok_or(MalformedFrame::TooShort { len: frame.len(), min: outer::AUTH_KEY_ID.end })?;
    Ok(AuthKeyId::from_bytes(array(id)))
}
