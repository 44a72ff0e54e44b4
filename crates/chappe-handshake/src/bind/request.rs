//! The request, and the client's half.

use alloc::vec::Vec;

use chappe_crypto::message::seal_v1;
use chappe_crypto::{AuthKey, AuthKeyId, Side};
use chappe_framing::{MsgId, SessionId, UnixTime};
use chappe_tl::deserialize::{self, Buffer};
use chappe_tl::{Deserializable, EncodeError, Identifiable, RemoteCall, Serializable, Sink};
use chappe_tl_mtproto::{enums, types};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{OBJECT_LEN, field};

/// Length of [`BindTempAuthKey::encrypted_message`].
pub const ENCRYPTED_MESSAGE_LEN: usize = field::ENCRYPTED + field::inner::PADDING.end;

/// `auth.bindTempAuthKey#cdd42a05 perm_auth_key_id:long nonce:long expires_at:int encrypted_message:bytes = Bool`
///
/// The message is content-related, uncompressed, sent under the temporary key, and has the `msg_id` that the request was
/// built for.
#[derive(Clone, Debug, PartialEq)]
pub struct BindTempAuthKey {
    /// Id of the permanent key.
    pub perm_auth_key_id: i64,
    /// A random number, which the encrypted object repeats.
    pub nonce: i64,
    /// Unix time at which the binding ends, in seconds.
    pub expires_at: i32,
    /// The object that proves possession of the permanent key: [`ENCRYPTED_MESSAGE_LEN`] bytes.
    pub encrypted_message: Vec<u8>,
}

impl BindTempAuthKey {
    /// Builds the request for one message. It is valid only under this `msg_id` and in this session (SEC-119).
    ///
    /// `expires_at` is the time, by the server's clock, at which the temporary key expires.
    ///
    /// # Errors
    ///
    /// Fails only if an object cannot be encoded, which no argument causes.
    pub fn new(
        permanent: &AuthKey,
        temporary: AuthKeyId,
        session_id: SessionId,
        expires_at: UnixTime,
        msg_id: MsgId,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, EncodeError> {
        let nonce = rng.next_u64() as i64;
        let expires_at = expires_at.to_tl_int();
        let inner = types::BindAuthKeyInner {
            nonce,
            temp_auth_key_id: temporary.to_raw(),
            perm_auth_key_id: permanent.id().to_raw(),
            temp_session_id: session_id.to_raw(),
            expires_at,
        };
        let encrypted_message = encrypt(permanent, inner, msg_id, rng)?;
        Ok(Self { perm_auth_key_id: permanent.id().to_raw(), nonce, expires_at, encrypted_message })
    }
}

/// Encrypts the inner object with MTProto 1.0, as a message of the client.
fn encrypt(
    permanent: &AuthKey,
    inner: types::BindAuthKeyInner,
    msg_id: MsgId,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, EncodeError> {
    let object = enums::BindAuthKeyInner::BindAuthKeyInner(inner).try_to_bytes()?;
    let mut plaintext = Zeroizing::new([0; field::inner::PADDING.end]);
    rng.fill_bytes(&mut plaintext[field::inner::RANDOM]);
    plaintext[field::inner::MSG_ID].copy_from_slice(&msg_id.to_bytes());
    // The seqno stays zero.
    plaintext[field::inner::LEN].copy_from_slice(&(OBJECT_LEN as u32).to_le_bytes());
    plaintext[field::inner::OBJECT].copy_from_slice(&object);
    rng.fill_bytes(&mut plaintext[field::inner::PADDING]);
    let unpadded = field::inner::OBJECT.end;
    let msg_key = seal_v1(permanent, Side::Client, &mut plaintext[..], unpadded)
        .expect("80 bytes are whole blocks, 8 of them padding");
    let mut message = Vec::with_capacity(ENCRYPTED_MESSAGE_LEN);
    message.extend_from_slice(permanent.id().as_bytes());
    message.extend_from_slice(msg_key.as_bytes());
    message.extend_from_slice(&plaintext[..]);
    Ok(message)
}

impl Identifiable for BindTempAuthKey {
    const CONSTRUCTOR_ID: u32 = 0xcdd4_2a05;
}

impl RemoteCall for BindTempAuthKey {
    type Return = bool;
}

impl Serializable for BindTempAuthKey {
    fn serialized_len(&self) -> usize {
        4 + 8 + 8 + 4 + self.encrypted_message.serialized_len()
    }

    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Result<(), EncodeError> {
        out.put_u32(Self::CONSTRUCTOR_ID);
        self.perm_auth_key_id.serialize(out)?;
        self.nonce.serialize(out)?;
        self.expires_at.serialize(out)?;
        self.encrypted_message.serialize(out)
    }
}

impl Deserializable for BindTempAuthKey {
    fn deserialize(buf: Buffer<'_, '_>) -> deserialize::Result<Self> {
        buf.expect_id("auth.bindTempAuthKey", Self::CONSTRUCTOR_ID)?;
        Ok(Self {
            perm_auth_key_id: i64::deserialize(buf)?,
            nonce: i64::deserialize(buf)?,
            expires_at: i32::deserialize(buf)?,
            encrypted_message: Vec::deserialize(buf)?,
        })
    }
}
