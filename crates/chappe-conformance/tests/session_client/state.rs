//! Limits, saved state, and bytes that mean no good.

use super::keys::pair_under_temporary_key;
use super::pair::*;

#[test]
fn limits_hold() {
    let limits = SessionLimits::default().with(|limits| limits.pending_calls = 3);
    let mut pair = Pair::with(ClientConfig::default().with_limits(limits), 0);
    for _ in 0..3 {
        pair.call();
    }
    let refused = pair.client.send_bytes(pair.now(), &GET_CONFIG, SendOptions::default());
    assert_eq!(refused, Err(SendError::TooManyPending { pending: 3 }));
    let mut pair = Pair::new();
    let refused = pair.client.send_bytes(pair.now(), &[1, 2, 3], SendOptions::default());
    assert_eq!(refused, Err(SendError::BodyLength { len: 3, max: 1 << 20 }));
    let limits = SessionLimits::default().with(|limits| limits.pending_bytes = 100);
    let mut pair = Pair::with(ClientConfig::default().with_limits(limits), 0);
    let body = [&GET_CONFIG[..], &[0; 56]].concat();
    let first = pair.client.send_bytes(pair.now(), &body, SendOptions::default()).unwrap();
    let refused = pair.client.send_bytes(pair.now(), &body, SendOptions::default());
    assert!(matches!(refused, Err(SendError::TooManyBytes { pending: 60.. })), "{refused:?}");
    assert!(pair.client.is_pending(first), "what was taken before stays");
    assert_eq!(pair.client.pending_calls(), 1);
}

#[test]
fn sec_007_and_sec_008_saved_state_is_whole_or_not_used() {
    let (mut pair, _) = pair_under_temporary_key(1);
    pair.queries();
    let now = pair.now();
    let saved = pair.client.export(now, b"primes");
    assert!(!saved.windows(256).any(|window| window == [1; 256]), "no temporary key is saved");
    let state = SavedState::import(&saved).unwrap();
    assert_eq!((&state.extra[..], state.key.auth_key), (&b"primes"[..], key()));
    for place in 0..saved.len() {
        let mut damaged = saved.to_vec();
        damaged[place] ^= 1;
        // Magic, version, and all the rest under its digest.
        let expected = match place {
            0..4 => StateError::Malformed,
            4..6 => StateError::UnknownVersion { version: u16::from_le_bytes([damaged[4], damaged[5]]) },
            _ => StateError::BadDigest,
        };
        assert_eq!(SavedState::import(&damaged).unwrap_err(), expected, "byte {place}");
        let cut = SavedState::import(&saved[..place]).unwrap_err();
        assert!(matches!(cut, StateError::Malformed | StateError::BadDigest), "{place} bytes: {cut}");
    }
    let mut later = saved.to_vec();
    later[4] = 9;
    assert_eq!(SavedState::import(&later).unwrap_err(), StateError::UnknownVersion { version: 9 });
    assert_eq!(SavedState::import(&saved).unwrap().key.auth_key, key(), "what is whole is still taken");
}

#[test]
fn sec_008_only_a_key_that_is_whole_is_salvaged() {
    let pair = Pair::new();
    let now = pair.now();
    let saved = pair.client.export(now, b"primes");
    let (header, key_end) = (0..6, 272);
    for place in 0..saved.len() {
        let mut damaged = saved.to_vec();
        damaged[place] ^= 1;
        let salvaged = SavedState::salvage(&damaged).map(|state| state.key);
        // The id is a hash of the key: a change of either shows.
        let is_whole = !header.contains(&place) && !(8..key_end).contains(&place);
        assert_eq!(salvaged.as_ref().map(|key| &key.auth_key), is_whole.then(key).as_ref(), "byte {place}");
        assert!(
            salvaged.is_none_or(|key| key.salts.is_empty() && key.created_at == 0),
            "the rest is learned again"
        );
        assert_eq!(SavedState::salvage(&saved[..place]).is_some(), place >= key_end, "{place} bytes");
    }
}

#[test]
fn sec_005_no_debug_output_holds_a_key() {
    let (pair, _) = pair_under_temporary_key(0xab);
    let text = format!("{:?}", pair.client);
    assert!(!text.contains("171, 171") && !text.contains("abab"), "{text}");
}

#[test]
fn hostile_messages_never_panic() {
    use chappe_crypto::rand_core::Rng;
    let ids = [
        MSG_CONTAINER,
        0x3072_cfa1,
        0xf35c_6d01,
        0xa7ef_f811,
        0xedab_447b,
        0x62d6_b459,
        0xda69_fb52,
        0x04de_b57d,
        0x8cc0_d131,
        0x276d_3ec6,
        0x809d_b6df,
        0x7d86_1a08,
        0xae50_0895,
        0x3477_73c5,
        0x9ec2_0908,
        0xe060_46b2,
    ];
    let mut pair = Pair::new();
    for _ in 0..50 {
        pair.call();
    }
    let queries = pair.queries();
    for round in 0..5000_usize {
        let mut body = vec![0; 4 * (1 + round % 60)];
        pair.rng.fill_bytes(&mut body);
        body[..4].copy_from_slice(&ids[round % ids.len()].to_le_bytes());
        if body.len() >= 12 && round % 3 == 0 {
            body[4..12].copy_from_slice(&queries[round % 50].msg_id.to_bytes());
        } else if body.len() >= 12 && round % 3 == 1 {
            body[4..8].copy_from_slice(&0x1cb5_c415_u32.to_le_bytes());
            let count = (body.len() - 12) as u32 / 8;
            body[8..12].copy_from_slice(&count.to_le_bytes());
        }
        let msg_id = pair.ids.next(pair.server_time(), MsgOrigin::Response);
        let frame = pair.frame(msg_id, 1, &body);
        let _ = pair.take(frame);
        if round % 50 == 0 {
            pair.sent();
        }
    }
}
