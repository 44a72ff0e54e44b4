//! The request, and how a client builds it.

use alloc::vec::Vec;

use chappe_crypto::message::seal_v1;
use chappe_crypto::{AuthKey, AuthKeyId, Side};
use chappe_tl::deserialize::{self, Buffer};
use chappe_tl::{Deserializable, EncodeError, Identifiable, RemoteCall, Serializable, Sink};
use chappe_tl_mtproto::{enums, types};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{OBJECT_LEN, field};
use crate::{MsgId, SessionId, UnixTime};

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
    /// `expires_at` is the time at which the temporary key expires, by the server's clock.
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
    // "seqno = 0" is part of the definition: the inner message belongs to no session.
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

#[cfg(test)]
mod tests {
    use chappe_crypto::MsgKey;
    use chappe_crypto::message::{Layout, open_v1};
    use chappe_crypto::rng::Drbg;

    use super::*;

    #[test]
    fn sec_119_the_inner_message_repeats_the_id_of_the_outer_one() {
        let permanent = AuthKey::from_bytes([3; 256]);
        let (temporary, session_id) = (AuthKeyId::from_raw(77), SessionId::from_raw(5));
        let expires_at = UnixTime::from_secs(1234);
        let msg_id = MsgId::from_raw(0x1122_3344);
        let mut rng = Drbg::from_seed([1; 32]);
        let query =
            BindTempAuthKey::new(&permanent, temporary, session_id, expires_at, msg_id, &mut rng).unwrap();
        assert_eq!(query.try_to_bytes().unwrap().len(), 132);
        let mut sealed = query.encrypted_message;
        assert_eq!(sealed[field::PERM_AUTH_KEY_ID], *permanent.id().as_bytes());
        let msg_key = MsgKey::from_bytes(sealed[field::MSG_KEY].try_into().unwrap());
        let inner = &mut sealed[field::ENCRYPTED..];
        let opened = open_v1(&permanent, Side::Client, Layout::Envelope, &msg_key, inner).unwrap();
        assert_eq!(opened.unpadded_len, field::inner::OBJECT.end);
        assert_eq!(inner[field::inner::MSG_ID], msg_id.to_bytes());
        assert_eq!(inner[field::inner::SEQ_NO], [0; 4]);
        assert_eq!(inner[field::inner::LEN], 40_i32.to_le_bytes());
        assert_eq!(inner[44..52], 77_i64.to_le_bytes());
        assert_eq!(inner[60..68], 5_i64.to_le_bytes());
        assert_eq!(inner[68..72], 1234_i32.to_le_bytes());
    }
}
