//! Binding a temporary key to the permanent one.
//!
//! The query carries a small message under the *permanent* key, in the old format, that repeats its own
//! `msg_id`; so it is built anew for every `msg_id` it is sent under.
//!
//! Spec: <https://core.telegram.org/method/auth.bindTempAuthKey>.

use chappe_crypto::{AuthKey, AuthKeyId, Side, message};
use chappe_framing::{MsgId, SessionId};
use chappe_tl::Sink;
use rand_core::CryptoRng;
use zeroize::Zeroize;

const BIND_TEMP_AUTH_KEY: u32 = 0xcdd4_2a05;
const BIND_AUTH_KEY_INNER: u32 = 0x75a3_f765;

/// Header and inner object: what `msg_key` is computed over.
const UNPADDED_LEN: usize = 72;
const SEALED_LEN: usize = 80;

/// Length of the whole query: id 4, key id 8, nonce 8, expiry 4, and 104 bytes with their length.
pub(super) const BINDING_LEN: usize = 24 + 1 + 104 + 3;

/// What is bound.
pub(super) struct Binding<'a> {
    pub(super) permanent: &'a AuthKey,
    pub(super) temporary: AuthKeyId,
    pub(super) session_id: SessionId,
    pub(super) expires_at: i32,
}

impl Binding<'_> {
    /// Writes `auth.bindTempAuthKey` for the message `msg_id`.
    pub(super) fn write(
        &self,
        msg_id: MsgId,
        rng: &mut (impl CryptoRng + ?Sized),
        out: &mut (impl Sink + ?Sized),
    ) {
        let mut nonce = [0; 8];
        rng.fill_bytes(&mut nonce);
        let mut inner = [0; SEALED_LEN];
        rng.fill_bytes(&mut inner);
        let expires_at = self.expires_at.to_le_bytes();
        let permanent_id = self.permanent.id();
        let fields: [&[u8]; 9] = [
            &msg_id.to_bytes(),
            &0_i32.to_le_bytes(),
            &40_i32.to_le_bytes(),
            &BIND_AUTH_KEY_INNER.to_le_bytes(),
            &nonce,
            self.temporary.as_bytes(),
            permanent_id.as_bytes(),
            &self.session_id.to_raw().to_le_bytes(),
            &expires_at,
        ];
        // The first 16 bytes stay random, and so do the 8 behind the fields.
        let mut at = 16;
        for field in fields {
            inner[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        debug_assert_eq!(at, UNPADDED_LEN);
        let msg_key = message::seal_v1(self.permanent, Side::Client, &mut inner, UNPADDED_LEN)
            .expect("72 bytes and 8 of padding are five whole blocks");
        out.put_u32(BIND_TEMP_AUTH_KEY);
        out.put(permanent_id.as_bytes());
        out.put(&nonce);
        out.put(&expires_at);
        out.put(&[104]);
        out.put(permanent_id.as_bytes());
        out.put(msg_key.as_bytes());
        out.put(&inner);
        out.put(&[0; 3]);
        inner.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use chappe_crypto::message::{Layout, open_v1};
    use chappe_crypto::rng::Drbg;

    use super::*;

    #[test]
    fn sec_119_the_inner_message_repeats_the_id_of_the_outer_one() {
        let permanent = AuthKey::from_bytes([3; 256]);
        let binding = Binding {
            permanent: &permanent,
            temporary: AuthKeyId::from_raw(77),
            session_id: SessionId::from_raw(5),
            expires_at: 1234,
        };
        let mut query = Vec::new();
        binding.write(MsgId::from_raw(0x1122_3344), &mut Drbg::from_seed([1; 32]), &mut query);
        assert_eq!(query.len(), BINDING_LEN);
        let sealed = &mut query[25..129];
        assert_eq!(sealed[..8], *permanent.id().as_bytes());
        let msg_key = chappe_crypto::MsgKey::from_bytes(sealed[8..24].try_into().unwrap());
        let inner = &mut sealed[24..];
        let opened = open_v1(&permanent, Side::Client, Layout::Envelope, &msg_key, inner).unwrap();
        assert_eq!(opened.unpadded_len, UNPADDED_LEN);
        assert_eq!(inner[16..24], 0x1122_3344_i64.to_le_bytes());
        assert_eq!(inner[24..28], [0; 4], "seqno 0");
        assert_eq!(inner[28..32], 40_i32.to_le_bytes());
        assert_eq!(inner[44..52], 77_i64.to_le_bytes());
        assert_eq!(inner[60..68], 5_i64.to_le_bytes());
        assert_eq!(inner[68..72], 1234_i32.to_le_bytes());
    }
}
