//! Temporary keys: bound, unbound, expired.

use core::time::Duration;

use chappe_crypto::AuthKey;
use chappe_crypto::rng::Drbg;
use chappe_framing::{MsgId, MsgOrigin, UnixTime};
use chappe_handshake::KeyKind;
use chappe_handshake::bind::BindTempAuthKey;
use chappe_loopback::api::Account;
use chappe_loopback::{Loopback, Options};
use chappe_session::EncryptedSession;
use chappe_tl::{Deserializable, Identifiable};
use chappe_tl_api::functions;
use chappe_tl_mtproto::functions::{DestroyAuthKey, Ping};
use chappe_tl_mtproto::types::DestroyAuthKeyOk;
use chappe_transport::{AckRequest, Framing, Incoming, TransportErrorCode};

use crate::client::{Client, PATIENCE, connect, make_key, plain};

const DAY: u32 = 86_400;

/// A client under a temporary key, and the permanent key it may be bound to.
fn unbound(dc: &Loopback) -> (Client, AuthKey) {
    let mut rng = Drbg::from_os().expect("the system has randomness");
    let mut stream = connect(dc, plain(Framing::Abridged), &mut rng);
    let permanent = make_key(dc, &mut stream, KeyKind::Permanent, &mut rng);
    let temporary = make_key(dc, &mut stream, KeyKind::Temporary { expires_in: DAY }, &mut rng);
    let client = Client::with_key(stream, &temporary, rng);
    (client, permanent.key())
}

/// Sends `auth.bindTempAuthKey`.
fn bind(client: &mut Client, permanent: &AuthKey) -> Result<bool, (i32, String)> {
    // The proof names the id of the message that carries it: the first of a session is that of its time.
    let now = UnixTime::now();
    // If the exchange of the key fell on the end of a second, both clocks seem to be one apart.
    let server_time = now.saturating_offset(i64::from(client.session.time_offset) * 1_000_000_000);
    let msg_id = MsgId::at(server_time, MsgOrigin::Client);
    let expires_at = now.saturating_add(Duration::from_secs(u64::from(DAY) - 60));
    let (temporary, session_id) = (client.key().id(), client.session.session_id());
    let request = BindTempAuthKey::new(permanent, temporary, session_id, expires_at, msg_id, &mut client.rng)
        .expect("a proof can be made");
    assert_eq!(client.send_at(now, &request), msg_id);
    let answer = client.answer(msg_id).map_err(|error| (error.code, error.message))?;
    Ok(bool::from_bytes(&answer).expect("a Bool"))
}

#[test]
fn sec_111_an_unbound_key_may_ask_for_the_configuration_and_nothing_else() {
    let dc = Loopback::start().expect("a port is free");
    let (mut client, _) = unbound(&dc);
    client.call(&functions::help::GetConfig {}).expect("an answer");
    let refused = client.call(&functions::updates::GetState {}).expect_err("not before it is bound");
    assert_eq!((refused.code, refused.message.as_str()), (401, "AUTH_KEY_PERM_EMPTY"));
}

#[test]
fn a_bound_key_speaks_for_the_permanent_one() {
    let account = Account { id: 77, first_name: "Ignace".into(), username: "chappe_bot".into() };
    let dc = Options::new().bot("77:secret", account).start().expect("a port is free");
    let (mut client, permanent) = unbound(&dc);
    assert_eq!(bind(&mut client, &permanent), Ok(true));
    let log_in = functions::auth::ImportBotAuthorization {
        flags: 0,
        api_id: 1,
        api_hash: "",
        bot_auth_token: "77:secret",
    };
    let query = client.send(&log_in, AckRequest::No);
    client.answer(query).expect("the token is known");

    // Under the permanent key itself, the same login holds.
    let mut direct = under(&dc, &permanent);
    direct.call(&functions::updates::GetState {}).expect("logged in");
}

#[test]
fn sec_128_a_proof_under_a_foreign_key_is_refused() {
    let dc = Loopback::start().expect("a port is free");
    let (mut client, _) = unbound(&dc);
    let foreign = AuthKey::from_bytes([9; 256]);
    assert_eq!(bind(&mut client, &foreign), Err((400, "ENCRYPTED_MESSAGE_INVALID".into())));
    let refused = client.call(&functions::updates::GetState {}).expect_err("still not bound");
    assert_eq!(refused.message, "AUTH_KEY_PERM_EMPTY");
}

#[test]
fn sec_127_an_expired_temporary_key_gets_404() {
    let dc = Loopback::start().expect("a port is free");
    let (mut client, _) = unbound(&dc);
    client.call(&functions::help::GetConfig {}).expect("an answer");
    dc.expire_temporary_keys();
    assert_eq!(refusal(&mut client), TransportErrorCode::UnknownAuthKey);
    let mut rng = Drbg::from_os().expect("the system has randomness");
    client.stream = connect(&dc, plain(Framing::Abridged), &mut rng);
    assert_eq!(refusal(&mut client), TransportErrorCode::UnknownAuthKey, "and on the next connection");
}

#[test]
fn a_key_that_is_destroyed_ends_at_once_and_so_do_the_keys_that_speak_for_it() {
    let dc = Loopback::start().expect("a port is free");
    let (mut bound, permanent) = unbound(&dc);
    let (mut other, _) = unbound(&dc);
    assert_eq!(bind(&mut bound, &permanent), Ok(true));
    bound.call(&functions::help::GetNearestDc {}).expect("an answer");

    let mut direct = under(&dc, &permanent);
    direct.send(&DestroyAuthKey {}, AckRequest::No);
    direct.receive_object(DestroyAuthKeyOk::CONSTRUCTOR_ID);
    assert_eq!(
        refusal(&mut direct),
        TransportErrorCode::UnknownAuthKey,
        "over the connection that destroyed it"
    );
    assert_eq!(refusal(&mut bound), TransportErrorCode::UnknownAuthKey, "under the key that was bound to it");
    other.call(&functions::help::GetConfig {}).expect("a key that is bound to nothing stays");
}

/// A client that uses a permanent key itself, and knows its salt.
fn under(dc: &Loopback, permanent: &AuthKey) -> Client {
    let mut rng = Drbg::from_os().expect("the system has randomness");
    let stream = connect(dc, plain(Framing::Abridged), &mut rng);
    let session = EncryptedSession::with_rng(*permanent.as_bytes(), 0, 0, &mut rng);
    let mut client = Client::with_session(stream, session, rng);
    client.send(&Ping { ping_id: 1 }, AckRequest::No);
    client.receive().expect("bad_server_salt tells the salt");
    client
}

/// Sends a query and returns the transport error that answers it.
fn refusal(client: &mut Client) -> TransportErrorCode {
    client.send(&functions::help::GetConfig {}, AckRequest::No);
    let code = client.stream.receive(PATIENCE, |incoming| match incoming {
        Incoming::Error(code) => code,
        other => panic!("{other:?} instead of an error"),
    });
    code.expect("an error comes")
}
