//! Why a temporary key was not bound to a permanent one.
//!
//! Spec: <https://core.telegram.org/method/auth.bindTempAuthKey>.

use alloc::borrow::ToOwned;
use core::fmt;

use crate::RpcError;

/// Why a server refuses `auth.bindTempAuthKey`: an `rpc_error` with code 400.
///
/// Spec: <https://core.telegram.org/method/auth.bindTempAuthKey#possible-errors>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BindError {
    /// The proof does not fit the keys, the message or the outer fields, or the permanent key is unknown (SEC-125,
    /// SEC-128). The client does not learn which.
    EncryptedMessageInvalid,
    /// The binding ends in the past, or later than the temporary key (SEC-126).
    ExpiresAtInvalid,
    /// The temporary key is bound to another permanent key (SEC-126).
    TempAuthKeyAlreadyBound,
    /// The request was not sent under a live temporary key.
    TempAuthKeyEmpty,
}

impl BindError {
    /// Returns the name of the error, which is the text of the `rpc_error`.
    pub const fn rpc_message(self) -> &'static str {
        match self {
            Self::EncryptedMessageInvalid => "ENCRYPTED_MESSAGE_INVALID",
            Self::ExpiresAtInvalid => "EXPIRES_AT_INVALID",
            Self::TempAuthKeyAlreadyBound => "TEMP_AUTH_KEY_ALREADY_BOUND",
            Self::TempAuthKeyEmpty => "TEMP_AUTH_KEY_EMPTY",
        }
    }
}

impl From<BindError> for RpcError {
    fn from(error: BindError) -> Self {
        Self { code: 400, message: error.rpc_message().to_owned() }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncryptedMessageInvalid => "the proof of the permanent key does not fit",
            Self::ExpiresAtInvalid => "the binding ends in the past or after the key",
            Self::TempAuthKeyAlreadyBound => "the temporary key is bound to another permanent key",
            Self::TempAuthKeyEmpty => "the request was not sent under a live temporary key",
        })
    }
}

impl core::error::Error for BindError {}
