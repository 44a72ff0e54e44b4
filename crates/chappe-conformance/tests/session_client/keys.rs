//! Keys: temporary ones, and what is believed of permanent ones.

use super::pair::*;
use chappe_types::TransportErrorCode;

#[test]
fn auth_key_duplicated_ends_the_session_for_good() {
    let mut pair = Pair::new();
    let (first, second) = (pair.call(), pair.call());
    let query = pair.queries()[0].msg_id;
    let seen = pair.refuse(query, 406, "AUTH_KEY_DUPLICATED");
    assert_eq!(seen[0], Seen::Error(first, 406, "AUTH_KEY_DUPLICATED".into()));
    assert_eq!(seen[1], failed(second, CallFailure::Terminated));
    assert_eq!(seen[2], Seen::Other(Event::Authorization(AuthorizationTrouble::Duplicated)));
    let refused = pair.client.send_bytes(pair.now(), &GET_CONFIG, SendOptions::default());
    assert_eq!(refused, Err(SendError::Terminated));
}

#[test]
fn sec_134_transport_errors_alone_never_end_a_key() {
    let mut pair = Pair::new();
    let call = pair.call();
    pair.sent();
    for _ in 0..100 {
        let now = pair.now();
        pair.client.handle_transport_error(now, TransportErrorCode::UnknownAuthKey);
        for seen in own(pair.client.events()) {
            let harmless = [
                Event::Reconnect(ReconnectReason::TransportError(TransportErrorCode::UnknownAuthKey)),
                Event::Authorization(AuthorizationTrouble::PermanentKeyDoubtful),
            ];
            assert!(harmless.map(Seen::Other).contains(&seen), "{seen:?}");
        }
    }
    assert!(pair.client.is_pending(call) && !pair.client.is_terminated());
    assert_eq!(pair.client.auth_key_id(), Some(key().id()));
}

/// A client with forward secrecy whose first temporary key has been installed and bound.
pub fn pair_under_temporary_key(byte: u8) -> (Pair, CallId) {
    let config = ClientConfig::default().with_forward_secrecy(ForwardSecrecy::On);
    let mut pair = Pair::with(config, 0);
    let call = pair.call();
    assert_eq!(pair.sent(), [], "SEC-73: nothing travels under the permanent key");
    assert_eq!(pair.pass(0), [Seen::Other(Event::NeedTemporaryKey)]);
    install(&mut pair, byte, 86_400);
    let sent = pair.sent();
    assert!(!sent.iter().any(|sent| sent.body == GET_CONFIG), "SEC-120: not before the key is bound");
    let binding = binding(&sent).msg_id;
    let bound = pair.answer(binding, &BOOL_TRUE);
    assert_eq!(bound, [Seen::Other(Event::TemporaryKeyBound)]);
    (pair, call)
}

pub fn install(pair: &mut Pair, byte: u8, life: u64) {
    let auth_key = AuthKey::from_bytes([byte; 256]);
    pair.key = auth_key.clone();
    let expires_at = (START + pair.second + life) as i64;
    let first_salt = ServerSalt::from_raw(1);
    let now = pair.now();
    pair.client.install_temporary_key(now, TemporaryKey { auth_key, first_salt, expires_at });
}

pub fn binding(sent: &[Sent]) -> &Sent {
    sent.iter().find(|sent| sent.body.starts_with(&0xcdd4_2a05_u32.to_le_bytes())).unwrap()
}

#[test]
fn sec_073_and_sec_120_calls_wait_for_a_bound_temporary_key() {
    let (mut pair, call) = pair_under_temporary_key(1);
    let query = pair.queries()[0].msg_id;
    assert_eq!(pair.answer(query, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
}

#[test]
fn sec_121_the_layer_is_told_again_under_every_key() {
    let init = InitConnection::new(214, &ClientInfo::default()).unwrap();
    let config =
        ClientConfig::default().with_forward_secrecy(ForwardSecrecy::On).with_init(Some(init.clone()));
    let mut pair = Pair::with(config, 0);
    for byte in [1, 2] {
        install(&mut pair, byte, 86_400);
        let bind = binding(&pair.sent()).clone();
        assert!(!bind.body.starts_with(init.as_bytes()));
        pair.answer(bind.msg_id, &BOOL_TRUE);
        pair.call();
        let query = pair.queries().remove(0);
        assert!(query.body.starts_with(init.as_bytes()), "key {byte}");
        pair.answer(query.msg_id, &BOOL_TRUE);
    }
}

/// The connection is answered by -404, and another is made; returns what the client reported.
pub fn not_found(pair: &mut Pair) -> Vec<Seen> {
    let now = pair.now();
    pair.client.handle_transport_error(now, TransportErrorCode::UnknownAuthKey);
    let mut seen = own(pair.client.events());
    pair.client.handle_disconnected(now);
    pair.client.handle_connected(now, TransportTail::None);
    seen.extend(own(pair.client.events()));
    seen
}

#[test]
fn sec_122_transport_errors_under_a_temporary_key_cost_that_key_only() {
    let (mut pair, call) = pair_under_temporary_key(1);
    pair.queries();
    // The server is heard after the call, and does not say that it has it.
    pair.live(16);
    let reconnect = ReconnectReason::TransportError(TransportErrorCode::UnknownAuthKey);
    assert_eq!(not_found(&mut pair), [Seen::Other(Event::Reconnect(reconnect))]);
    assert!(state_request(&pair.sent()).is_some(), "under the same key");
    let seen = not_found(&mut pair);
    assert!(seen.contains(&Seen::Other(Event::NeedTemporaryKey)), "{seen:?}");
    assert!(seen.contains(&failed(call, CallFailure::Uncertain)), "SEC-107: nobody can be asked about it");
    assert!(!pair.client.is_terminated());
    let saved = pair.client.export(pair.now(), &[]);
    assert_eq!(SavedState::import(&saved).unwrap().key.auth_key, key());
}

#[test]
fn a_single_transport_error_costs_neither_the_temporary_key_nor_a_call() {
    let (mut pair, call) = pair_under_temporary_key(1);
    let query = pair.queries().remove(0).msg_id;
    for _ in 0..3 {
        not_found(&mut pair);
        let (request, ids) = state_request(&pair.sent()).unwrap();
        assert_eq!(ids, [query.to_raw()]);
        assert_eq!(pair.say(&state_info(request, &[4])), []);
    }
    assert_eq!(pair.answer(query, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
}

#[test]
fn sec_123_a_binding_refused_gives_up_a_permanent_key_older_than_a_minute_and_no_other() {
    for (age, is_terminal) in [(30, false), (90, true)] {
        let config = ClientConfig::default().with_forward_secrecy(ForwardSecrecy::On);
        let mut pair = Pair::with(config, 0);
        pair.second = age;
        install(&mut pair, 1, 86_400);
        let bind = binding(&pair.sent()).msg_id;
        let seen = pair.refuse(bind, 400, "ENCRYPTED_MESSAGE_INVALID");
        let expected = if is_terminal {
            Event::Authorization(AuthorizationTrouble::PermanentKeyRefused)
        } else {
            Event::NeedTemporaryKey
        };
        assert_eq!(seen.last(), Some(&Seen::Other(expected)), "{age}");
        assert_eq!(pair.client.is_terminated(), is_terminal);
    }
}

#[test]
fn sec_124_a_temporary_key_is_replaced_before_it_ends_and_never_used_afterwards() {
    let (mut pair, _) = pair_under_temporary_key(1);
    let query = pair.queries()[0].msg_id;
    pair.answer(query, &BOOL_TRUE);
    pair.second = 86_400 - 3601;
    assert_eq!(pair.pass(0), []);
    assert_eq!(pair.pass(1), [Seen::Other(Event::NeedTemporaryKey)]);
    pair.second = 86_400;
    pair.call();
    pair.pass(0);
    assert_eq!(pair.sent(), []);
    assert_eq!(pair.client.auth_key_id(), None);
}

#[test]
fn answers_under_the_key_before_are_taken_while_the_next_is_being_bound() {
    let (mut pair, call) = pair_under_temporary_key(1);
    let query = pair.queries()[0].msg_id;
    let (old_key, old_session) = (pair.key.clone(), pair.session);
    install(&mut pair, 2, 86_400);
    pair.sent();
    let (new_key, new_session) = (pair.key.clone(), pair.session);
    assert_ne!(new_session, old_session, "SEC-92: a session belongs to one key");
    (pair.key, pair.session) = (old_key, old_session);
    assert_eq!(pair.answer(query, &BOOL_TRUE), [Seen::Answer(call, BOOL_TRUE.to_vec())]);
    (pair.key, pair.session) = (new_key, old_session);
    let frame = pair.frame(MsgId::from_raw(query.to_raw() + 1), 1, &GET_CONFIG);
    assert!(pair.take(frame).is_err(), "SEC-92: and does not follow to the next");
}

/// Lets the client request keys for a while, installs each and has its binding refused; returns how many there were.
fn keys_refused(pair: &mut Pair, seconds: u64, message: &str) -> u32 {
    let mut keys = 0;
    let end = pair.second + seconds;
    while pair.second < end && !pair.client.is_terminated() {
        let seen = pair.pass(1);
        if seen.contains(&Seen::Other(Event::NeedTemporaryKey)) {
            keys += 1;
            install(pair, keys as u8, 86_400);
            let bind = binding(&pair.sent()).msg_id;
            let seen = pair.refuse(bind, 400, message);
            assert!(!seen.contains(&Seen::Other(Event::NeedTemporaryKey)), "not two keys in one second");
        }
        pair.live(0);
    }
    keys
}

#[test]
fn sec_123_a_young_key_is_tried_for_a_minute_and_not_for_a_number_of_times() {
    let config = ClientConfig::default().with_forward_secrecy(ForwardSecrecy::On);
    let mut pair = Pair::with(config, 0);
    let keys = keys_refused(&mut pair, 58, "ENCRYPTED_MESSAGE_INVALID");
    assert!(!pair.client.is_terminated(), "it is younger than a minute");
    assert!((6..=20).contains(&keys), "{keys} keys in a minute");
    keys_refused(&mut pair, 30, "ENCRYPTED_MESSAGE_INVALID");
    assert!(pair.client.is_terminated(), "an old key that the datacenter does not know is gone");
}

#[test]
fn a_key_that_the_datacenter_has_lost_is_doubted_at_its_first_sign_when_nothing_speaks_for_it() {
    let mut pair = Pair::new();
    pair.call();
    pair.sent();
    let now = pair.now();
    pair.client.handle_transport_error(now, TransportErrorCode::UnknownAuthKey);
    let doubt = Seen::Other(Event::Authorization(AuthorizationTrouble::PermanentKeyDoubtful));
    assert!(own(pair.client.events()).contains(&doubt), "there may be one attempt only");
}

#[test]
fn a_key_that_has_worked_is_doubted_after_seconds_and_not_after_a_number_of_attempts() {
    let doubt = Seen::Other(Event::Authorization(AuthorizationTrouble::PermanentKeyDoubtful));
    let mut pair = Pair::new();
    pair.call();
    let query = pair.queries().remove(0);
    pair.answer(query.msg_id, &BOOL_TRUE);
    let not_found = |pair: &mut Pair| {
        let now = pair.now();
        pair.client.handle_transport_error(now, TransportErrorCode::UnknownAuthKey);
        own(pair.client.events()).contains(&doubt)
    };
    for _ in 0..100 {
        assert!(!not_found(&mut pair), "one forged frame after the other, all at once");
    }
    pair.pass(10);
    assert!(not_found(&mut pair));
}

#[test]
fn temporary_keys_of_an_hour_or_less_are_renewed_and_do_not_storm() {
    for life in [60, 600, 3600] {
        let config = ClientConfig::default().with_forward_secrecy(ForwardSecrecy::On);
        let mut pair = Pair::with(config, 0);
        let mut keys = 0;
        for _ in 0..life {
            if pair.pass(1).contains(&Seen::Other(Event::NeedTemporaryKey)) {
                keys += 1;
                install(&mut pair, keys, life);
                let bind = binding(&pair.sent()).msg_id;
                assert_eq!(pair.answer(bind, &BOOL_TRUE), [Seen::Other(Event::TemporaryKeyBound)]);
            }
            pair.live(0);
            for sent in pair.sent() {
                if let Ok(ping) = functions::PingDelayDisconnect::from_bytes(&sent.body) {
                    let pong = types::Pong { msg_id: sent.msg_id.to_raw(), ping_id: ping.ping_id };
                    pair.say(&enums::Pong::Pong(pong).to_bytes());
                }
            }
        }
        assert_eq!(keys, 2, "one at the start, and one before it ends, in {life} s");
        assert!(pair.client.is_usable());
    }
}

#[test]
fn a_session_without_a_key_has_no_timer_of_pings() {
    let config = ClientConfig::default().with_forward_secrecy(ForwardSecrecy::On);
    let mut pair = Pair::with(config, 0);
    pair.pass(61);
    assert_eq!(pair.sent(), []);
    let due = pair.client.poll_timeout();
    assert!(due.is_some_and(|due| due > mono(61)), "a timer that nothing serves: {due:?}");
}

#[test]
fn a_session_that_has_ended_sends_nothing_and_waits_for_nothing() {
    let mut pair = Pair::new();
    pair.call();
    let query = pair.queries()[0].msg_id;
    pair.refuse(query, 406, "AUTH_KEY_DUPLICATED");
    assert_eq!(pair.client.poll_timeout(), None);
    pair.pass(100);
    assert_eq!(pair.sent(), []);
    assert_eq!(pair.client.poll_timeout(), None);
}
