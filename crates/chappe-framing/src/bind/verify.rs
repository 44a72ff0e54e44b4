//! How a server checks the request.

use core::time::Duration;

use chappe_crypto::message::{Layout, open_v1};
use chappe_crypto::{AuthKey, AuthKeyId, MsgKey, Side};
use chappe_tl::Deserializable;
use chappe_tl_mtproto::{enums, types};
use chappe_types::BindError;
use zeroize::Zeroizing;

use super::{BindTempAuthKey, ENCRYPTED_MESSAGE_LEN, OBJECT_LEN, field};
use crate::{MsgId, SessionId, UnixTime};

/// The message with the request, and the keys that the server knows.
#[derive(Clone, Copy, Debug)]
pub struct BindContext<'a> {
    /// Its `msg_id`.
    pub msg_id: MsgId,
    /// Its session.
    pub session_id: SessionId,
    /// The key that encrypted it.
    pub key_id: AuthKeyId,
    /// When that key expires; `None` if it is permanent.
    pub key_expires_at: Option<UnixTime>,
    /// The permanent key that it is already bound to.
    pub bound_to: Option<AuthKeyId>,
    /// The permanent key that the request names, if the server has a permanent key of that id.
    pub permanent: Option<&'a AuthKey>,
}

/// How much later than the key a binding may end (SEC-126). The client computes the end by its own clock, which may be ahead.
const SLACK: Duration = Duration::from_secs(300);

impl BindTempAuthKey {
    /// Checks the request and its encrypted object. Returns the id of the permanent key.
    ///
    /// # Errors
    ///
    /// The caller answers with the error as an `rpc_error` and leaves the key unbound.
    pub fn verify(&self, now: UnixTime, context: &BindContext<'_>) -> Result<AuthKeyId, BindError> {
        let key_expires_at = context.key_expires_at.ok_or(BindError::TempAuthKeyEmpty)?;
        if key_expires_at <= now {
            return Err(BindError::TempAuthKeyEmpty);
        }
        let permanent = context.permanent.ok_or(BindError::EncryptedMessageInvalid)?;
        let inner = self.decrypt(permanent, context.msg_id)?;
        if !self.fits(&inner, permanent.id(), context) {
            return Err(BindError::EncryptedMessageInvalid);
        }
        let expires_at = UnixTime::from_tl_int(self.expires_at);
        if expires_at <= now || expires_at > key_expires_at.saturating_add(SLACK) {
            return Err(BindError::ExpiresAtInvalid);
        }
        match context.bound_to {
            Some(bound) if bound != permanent.id() => Err(BindError::TempAuthKeyAlreadyBound),
            _ => Ok(permanent.id()),
        }
    }

    /// Decrypts the proof and checks its header. Only the holder of the permanent key can make one (SEC-128).
    fn decrypt(&self, permanent: &AuthKey, msg_id: MsgId) -> Result<types::BindAuthKeyInner, BindError> {
        let invalid = BindError::EncryptedMessageInvalid;
        let message: &[u8; ENCRYPTED_MESSAGE_LEN] =
            self.encrypted_message.as_slice().try_into().map_err(|_| invalid)?;
        if message[field::PERM_AUTH_KEY_ID] != *permanent.id().as_bytes() {
            return Err(invalid);
        }
        let msg_key = message[field::MSG_KEY].try_into().expect("field range is 16 bytes wide");
        let mut plaintext = Zeroizing::new(message[field::ENCRYPTED..].to_vec());
        open_v1(permanent, Side::Client, Layout::Envelope, &MsgKey::from_bytes(msg_key), &mut plaintext)
            .map_err(|_| invalid)?;
        let is_framed = plaintext[field::inner::MSG_ID] == msg_id.to_bytes()
            && plaintext[field::inner::SEQ_NO] == [0; 4]
            && plaintext[field::inner::LEN] == (OBJECT_LEN as u32).to_le_bytes();
        if !is_framed {
            return Err(invalid);
        }
        let object = enums::BindAuthKeyInner::from_bytes(&plaintext[field::inner::OBJECT]);
        let enums::BindAuthKeyInner::BindAuthKeyInner(inner) = object.map_err(|_| invalid)?;
        Ok(inner)
    }

    /// Returns whether the encrypted object repeats the outer fields and names the keys and the session (SEC-125).
    fn fits(&self, inner: &types::BindAuthKeyInner, permanent: AuthKeyId, context: &BindContext<'_>) -> bool {
        inner.nonce == self.nonce
            && inner.expires_at == self.expires_at
            && inner.perm_auth_key_id == self.perm_auth_key_id
            && self.perm_auth_key_id == permanent.to_raw()
            && inner.temp_auth_key_id == context.key_id.to_raw()
            && inner.temp_session_id == context.session_id.to_raw()
    }
}
