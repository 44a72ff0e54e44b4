//! Binding of temporary keys against `bind_temp_auth_key.json`; SEC-119, SEC-125 to SEC-128.

use chappe_conformance::script::Script;
use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::{AuthKey, AuthKeyId, Side, message};
use chappe_framing::{MsgId, SessionId, UnixTime};
use chappe_handshake::bind::{BindContext, BindError, BindTempAuthKey, ENCRYPTED_MESSAGE_LEN};
use chappe_tl::{Deserializable, Serializable};

struct Case {
    entry: Entry,
    permanent: AuthKey,
    temporary: AuthKeyId,
    session_id: SessionId,
    msg_id: MsgId,
    expires_at: UnixTime,
}

fn cases() -> Vec<Case> {
    let entries = vectors::load("bind_temp_auth_key").list("vectors");
    entries.into_iter().map(Case::new).collect()
}

impl Case {
    fn new(entry: Entry) -> Self {
        Self {
            permanent: AuthKey::from_bytes(entry.array("perm_auth_key")),
            temporary: AuthKey::from_bytes(entry.array("temp_auth_key")).id(),
            session_id: SessionId::from_raw(entry.number::<i128>("temp_session_id") as i64),
            msg_id: MsgId::from_raw(entry.number("msg_id")),
            expires_at: UnixTime::from_secs(entry.number("expires_at")),
            entry,
        }
    }

    fn nonce(&self) -> i64 {
        self.entry.number::<i128>("nonce") as i64
    }

    /// Builds the request with the randomness of the vector.
    fn request(&self) -> BindTempAuthKey {
        let mut script = self.nonce().to_le_bytes().to_vec();
        script.extend(self.entry.bytes("random_int128"));
        script.extend(self.entry.bytes("padding"));
        let mut rng = Script::new(script);
        let Self { permanent, temporary, session_id, msg_id, expires_at, .. } = self;
        let request =
            BindTempAuthKey::new(permanent, *temporary, *session_id, *expires_at, *msg_id, &mut rng);
        request.expect("the objects are of fixed size")
    }

    fn context(&self) -> BindContext<'_> {
        BindContext {
            msg_id: self.msg_id,
            session_id: self.session_id,
            key_id: self.temporary,
            key_expires_at: Some(self.expires_at),
            bound_to: None,
            permanent: Some(&self.permanent),
        }
    }

    fn now(&self) -> UnixTime {
        UnixTime::from_secs(self.expires_at.as_secs() - 3600)
    }

    fn verify(&self, request: &BindTempAuthKey) -> Result<AuthKeyId, BindError> {
        request.verify(self.now(), &self.context())
    }
}

const INVALID: Result<AuthKeyId, BindError> = Err(BindError::EncryptedMessageInvalid);

#[test]
fn sec_119_the_client_builds_the_message_of_the_vectors() {
    for case in cases() {
        let request = case.request();
        assert_eq!(request.encrypted_message, case.entry.bytes("encrypted_message"), "{:?}", case.entry);
        assert_eq!(request.encrypted_message.len(), ENCRYPTED_MESSAGE_LEN);
        assert_eq!(request.to_bytes(), case.entry.bytes("bind_request_body"), "{:?}", case.entry);
        assert_eq!(request.serialized_len(), request.to_bytes().len());
    }
}

#[test]
fn the_server_accepts_the_message_of_the_vectors() {
    for case in cases() {
        let request = BindTempAuthKey::from_bytes(&case.entry.bytes("bind_request_body")).unwrap();
        assert_eq!(case.verify(&request), Ok(case.permanent.id()), "{:?}", case.entry);
        let again = BindContext { bound_to: Some(case.permanent.id()), ..case.context() };
        assert_eq!(request.verify(case.now(), &again), Ok(case.permanent.id()), "binding again is harmless");
    }
}

#[test]
fn sec_125_any_changed_byte_is_refused() {
    let case = &cases()[0];
    for at in 0..ENCRYPTED_MESSAGE_LEN {
        let mut request = case.request();
        request.encrypted_message[at] ^= 1;
        // The padding is not part of the hash of protocol 1, but its block is chained to the one before.
        let padding_only = at >= ENCRYPTED_MESSAGE_LEN - 16;
        let result = case.verify(&request);
        assert!(result == INVALID || padding_only, "{at}: {result:?}");
    }
}

#[test]
fn sec_125_another_length_is_refused() {
    let case = &cases()[0];
    for len in [0, 8, 24, 88, 103, 105, 120] {
        let mut request = case.request();
        request.encrypted_message.resize(len, 0);
        assert_eq!(case.verify(&request), INVALID, "{len}");
    }
}

#[test]
fn sec_125_outer_fields_that_differ_from_the_inner_are_refused() {
    let case = &cases()[0];
    let good = case.request();
    let changed = [
        BindTempAuthKey { nonce: good.nonce ^ 1, ..good.clone() },
        BindTempAuthKey { expires_at: good.expires_at - 1, ..good.clone() },
        BindTempAuthKey { perm_auth_key_id: good.perm_auth_key_id ^ 1, ..good.clone() },
    ];
    for request in &changed {
        assert_eq!(case.verify(request), INVALID, "{request:?}");
    }
}

#[test]
fn sec_125_a_message_for_another_place_is_refused() {
    let case = &cases()[0];
    let request = case.request();
    let context = case.context();
    let other_msg = BindContext { msg_id: MsgId::from_raw(case.msg_id.to_raw() + 4), ..context };
    let other_session = BindContext { session_id: SessionId::from_raw(1), ..context };
    let other_key = BindContext { key_id: AuthKeyId::from_raw(77), ..context };
    for context in [other_msg, other_session, other_key] {
        assert_eq!(request.verify(case.now(), &context), INVALID, "{context:?}");
    }
}

/// Encrypts a plaintext of our making under the permanent key.
fn forge(case: &Case, change: impl FnOnce(&mut Vec<u8>)) -> BindTempAuthKey {
    let mut plaintext = case.entry.bytes("plaintext_without_padding");
    change(&mut plaintext);
    plaintext.resize(80, 0);
    let msg_key = message::seal_v1(&case.permanent, Side::Client, &mut plaintext, 72).expect("80 bytes");
    let encrypted = [&case.permanent.id().as_bytes()[..], msg_key.as_bytes(), &plaintext].concat();
    BindTempAuthKey { encrypted_message: encrypted, ..case.request() }
}

#[test]
fn sec_125_seqno_and_constructor_inside_are_checked() {
    let case = &cases()[0];
    assert!(case.verify(&forge(case, |_| {})).is_ok(), "an unchanged forgery shows that forging works");
    assert_eq!(case.verify(&forge(case, |plaintext| plaintext[24] = 1)), INVALID, "seqno");
    assert_eq!(case.verify(&forge(case, |plaintext| plaintext[32] ^= 1)), INVALID, "constructor");
    assert_eq!(case.verify(&forge(case, |plaintext| plaintext[28] = 36)), INVALID, "length");
}

#[test]
fn sec_126_the_end_of_the_binding_must_be_plausible() {
    let case = &cases()[0];
    let request = case.request();
    let at = |seconds: u64| UnixTime::from_secs(seconds);
    let end = case.expires_at.as_secs();
    let key_lives = BindContext { key_expires_at: Some(at(end + 1000)), ..case.context() };
    assert!(request.verify(at(end - 1), &key_lives).is_ok());
    assert_eq!(request.verify(at(end), &key_lives), Err(BindError::ExpiresAtInvalid));
    let key_dies_early = BindContext { key_expires_at: Some(at(end - 301)), ..case.context() };
    assert_eq!(request.verify(at(end - 3600), &key_dies_early), Err(BindError::ExpiresAtInvalid));
    let clocks_differ = BindContext { key_expires_at: Some(at(end - 299)), ..case.context() };
    assert!(request.verify(at(end - 3600), &clocks_differ).is_ok());
}

#[test]
fn sec_126_a_key_is_bound_to_one_permanent_key_only() {
    let case = &cases()[0];
    let context = BindContext { bound_to: Some(AuthKeyId::from_raw(5)), ..case.context() };
    let refused = case.request().verify(case.now(), &context);
    assert_eq!(refused, Err(BindError::TempAuthKeyAlreadyBound));
}

#[test]
fn sec_127_a_key_that_is_permanent_or_expired_cannot_be_bound() {
    let case = &cases()[0];
    for key_expires_at in [None, Some(case.now())] {
        let context = BindContext { key_expires_at, ..case.context() };
        assert_eq!(case.request().verify(case.now(), &context), Err(BindError::TempAuthKeyEmpty));
    }
}

#[test]
fn sec_128_nobody_binds_to_a_key_he_does_not_have() {
    let case = &cases()[0];
    let foreign = AuthKey::from_bytes([0x77; 256]);
    // The server knows no such key, or the proof was made with another one.
    let unknown = BindContext { permanent: None, ..case.context() };
    assert_eq!(case.request().verify(case.now(), &unknown), INVALID);
    let mut request = case.request();
    request.perm_auth_key_id = foreign.id().to_raw();
    request.encrypted_message[..8].copy_from_slice(foreign.id().as_bytes());
    let context = BindContext { permanent: Some(&foreign), ..case.context() };
    assert_eq!(request.verify(case.now(), &context), INVALID);
}

#[test]
fn errors_carry_the_names_clients_know() {
    let names = [
        (BindError::EncryptedMessageInvalid, "ENCRYPTED_MESSAGE_INVALID"),
        (BindError::ExpiresAtInvalid, "EXPIRES_AT_INVALID"),
        (BindError::TempAuthKeyAlreadyBound, "TEMP_AUTH_KEY_ALREADY_BOUND"),
        (BindError::TempAuthKeyEmpty, "TEMP_AUTH_KEY_EMPTY"),
    ];
    for (error, name) in names {
        assert_eq!(error.rpc_message(), name);
    }
}
