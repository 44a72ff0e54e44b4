//! The rules about TL, SEC-112 to SEC-118, and inputs that cost other implementations their memory or their stack.

use chappe_tl::DecodeError;
use chappe_tl::deserialize::DecodeOptions;
use chappe_tl::{Deserializable, EncodeError, FlagGroup, Serializable};
use chappe_tl_mtproto::{AnyCall, enums, functions, types};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Part of the API, generated like a user's schema.
mod datacenter;

fn vector(count: u32, elements: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut bytes = 0x1cb5_c415_u32.to_le_bytes().to_vec();
    bytes.extend(count.to_le_bytes());
    bytes.extend(elements);
    bytes
}

#[test]
fn sec_112_an_object_that_ends_early_is_refused_with_field_and_offset() {
    let answer = enums::ResPq::ResPq(types::ResPq {
        nonce: [1; 16],
        server_nonce: [2; 16],
        pq: vec![3; 8],
        server_public_key_fingerprints: vec![4, 5],
    });
    let bytes = answer.to_bytes();
    let fields = [(4, "nonce"), (20, "server_nonce"), (36, "pq"), (48, "server_public_key_fingerprints")];
    for len in 0..bytes.len() {
        let error = enums::ResPq::from_bytes(&bytes[..len]).expect_err("it ends early");
        if let Some((_, field)) = fields.iter().rev().find(|(start, _)| *start <= len) {
            assert_eq!((error.place().ty, error.place().field), ("resPQ", *field), "{len} bytes: {error}");
            assert!(error.place().offset <= len, "{error}");
        }
    }
}

#[test]
fn sec_113_a_count_of_2_147_483_647_is_refused_before_anything_is_allocated() {
    let bytes = [&0x62d6_b459_u32.to_le_bytes()[..], &vector(0x7fff_ffff, [0; 16])].concat();
    let error = enums::MsgsAck::from_bytes(&bytes).expect_err("the count is a lie");
    assert!(matches!(error, DecodeError::BadCount { count: i32::MAX, most: 2, .. }), "{error}");
    assert_eq!((error.place().ty, error.place().field, error.place().offset), ("msgs_ack", "msg_ids", 8));
}

#[test]
fn sec_113_a_string_of_16_mib_in_8_bytes_is_refused_before_anything_is_allocated() {
    let bytes = [0x04de_b57d_u32.to_le_bytes(), [0; 4], [0; 4], [0xfe, 0xff, 0xff, 0xff], [0; 4]].concat();
    let error = enums::MsgsStateInfo::from_bytes(&bytes).expect_err("the length is a lie");
    assert!(matches!(error, DecodeError::UnexpectedEof { needed: 16_777_220, remaining: 8, .. }), "{error}");
    assert_eq!((error.place().field, error.place().offset), ("info", 12));
}

#[test]
fn sec_113_elements_are_counted_by_their_shortest_encoding() {
    // A bare future_salt takes 16 bytes: 3 of them do not fit 47.
    let mut bytes = 0xae50_0895_u32.to_le_bytes().to_vec();
    bytes.extend([0; 12]);
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend([0; 47]);
    let error = enums::FutureSalts::from_bytes(&bytes).expect_err("the count is a lie");
    assert!(matches!(error, DecodeError::BadCount { count: 3, most: 2, .. }), "{error}");
}

#[test]
fn sec_114_the_id_of_another_type_is_refused_and_its_bytes_can_be_kept() {
    let pong = enums::Pong::Pong(types::Pong { msg_id: 1, ping_id: 2 }).to_bytes();
    let error = enums::ResPq::from_bytes(&pong).expect_err("a Pong is no ResPQ");
    assert_eq!(error.unknown_object(&pong), Some((0x3477_73c5, &pong[..])));
    assert_eq!(error.to_string(), "constructor pong#347773c5 is not one of ResPQ at byte 0");
    let error = AnyCall::from_bytes(&pong).expect_err("a Pong is no function");
    assert_eq!(error.unknown_object(&pong), Some((0x3477_73c5, &pong[..])));
    let error = functions::Ping::from_bytes(&pong).expect_err("a Pong is no Ping");
    assert_eq!(error.unknown_object(&pong).map(|(id, _)| id), Some(0x3477_73c5));
}

#[test]
fn sec_114_an_unknown_object_inside_another_one_is_found_where_it_begins() {
    let mut bytes = vector(2, 0x3f6d_7b68_u32.to_le_bytes());
    bytes.extend([1, 2, 3, 4, 9, 9, 9, 9]);
    bytes.splice(0..0, 0xf744_4763_u32.to_le_bytes());
    let error =
        datacenter::enums::Jsonvalue::from_bytes(&bytes).expect_err("nobody knows the second element");
    assert_eq!(error.unknown_object(&bytes), Some((0x0403_0201, &bytes[16..])));
    assert_eq!((error.place().ty, error.place().field), ("jsonArray", "value"));
}

#[test]
fn sec_115_bytes_after_the_object_are_refused() {
    let ping = [functions::Ping { ping_id: 1 }.to_bytes(), vec![0; 4]].concat();
    assert!(matches!(functions::Ping::from_bytes(&ping), Err(DecodeError::TrailingBytes { count: 4, .. })));
}

/// `jsonArray` in `jsonArray`, `depth` times.
fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..depth {
        bytes.extend(0xf744_4763_u32.to_le_bytes());
        bytes.extend(vector(1, []));
    }
    bytes.extend(0x3f6d_7b68_u32.to_le_bytes());
    bytes
}

/// Runs a test with a stack that holds the 64 levels that are allowed; without optimisation one takes 4 to 6 KiB.
fn on_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(test);
    thread.expect("a thread can be started").join().expect("512 KiB of stack are enough");
}

#[test]
fn sec_116_objects_nested_100_000_deep_are_refused_on_a_stack_of_256_kib() {
    on_small_stack(|| {
        let error =
            datacenter::enums::Jsonvalue::from_bytes(&nested(100_000)).expect_err("it nests too deep");
        assert!(matches!(error, DecodeError::TooDeep { limit: 64, .. }), "{error}");
        assert_eq!(error.place().offset, 64 * 12 + 4);
    });
}

#[test]
fn sec_116_64_levels_are_read_and_65_are_not() {
    on_small_stack(|| {
        assert!(datacenter::enums::Jsonvalue::from_bytes(&nested(64)).is_ok());
        let error = datacenter::enums::Jsonvalue::from_bytes(&nested(65)).expect_err("it nests too deep");
        assert!(matches!(error, DecodeError::TooDeep { limit: 64, .. }), "{error}");
    });
}

#[test]
fn sec_116_calls_in_calls_are_counted_as_well() {
    on_small_stack(|| {
        let mut bytes = Vec::new();
        for _ in 0..100_000 {
            bytes.extend(0xbf94_59b7_u32.to_le_bytes());
        }
        let error = datacenter::AnyCall::from_bytes(&bytes).expect_err("it nests too deep");
        assert!(matches!(error, DecodeError::TooDeep { limit: 64, .. }), "{error}");
    });
}

#[test]
fn sec_117_a_string_that_is_too_long_has_no_encoding() {
    let call = functions::SetClientDhParams {
        nonce: [0; 16],
        server_nonce: [0; 16],
        encrypted_data: vec![0; 1 << 24],
    };
    assert_eq!(call.try_to_bytes(), Err(EncodeError::StringTooLong { len: 1 << 24 }));
    assert_eq!(call.to_bytes(), [] as [u8; 0]);
}

#[test]
fn sec_117_fields_that_share_a_flag_must_agree() {
    let mut bytes = Vec::new();
    let whole = datacenter::types::auth::Authorization {
        setup_password_required: true,
        otherwise_relogin_days: Some(1),
        tmp_sessions: None,
        future_auth_token: None,
        user: datacenter::enums::User::Empty(datacenter::types::UserEmpty { id: 1 }),
    };
    assert_eq!(whole.serialize(&mut bytes), Ok(()));
    let part = datacenter::types::auth::Authorization { setup_password_required: false, ..whole.clone() };
    let expected = EncodeError::PartialFlagGroup(FlagGroup::new(&"auth.authorization flags", 1, 1));
    assert_eq!(part.try_to_bytes(), Err(expected));
    let part = datacenter::types::auth::Authorization { otherwise_relogin_days: None, ..whole };
    assert_eq!(part.try_to_bytes(), Err(expected));
}

#[test]
fn unknown_flags_are_ignored_by_clients_and_refused_by_strict_servers() {
    let call = datacenter::functions::updates::GetDifference {
        pts: 1,
        pts_limit: None,
        pts_total_limit: None,
        date: 2,
        qts: 3,
        qts_limit: None,
    };
    let mut bytes = call.to_bytes();
    bytes[7] = 0x80;
    assert_eq!(datacenter::functions::updates::GetDifference::from_bytes(&bytes), Ok(call));
    let strict =
        datacenter::functions::updates::GetDifference::from_bytes_with(&bytes, DecodeOptions::strict());
    assert!(matches!(strict, Err(DecodeError::UnknownFlags { bits: 0x8000_0000, .. })));
}

#[test]
fn sec_118_random_bytes_are_read_without_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(118);
    let seed = datacenter::functions::InvokeWithLayer {
        layer: 230,
        query: datacenter::functions::help::GetConfig {},
    };
    for round in 0..200_000 {
        let mut bytes = if round % 2 == 0 { nested(3) } else { seed.to_bytes() };
        for _ in 0..rng.next_u32() % 4 {
            let at = rng.next_u32() as usize % bytes.len();
            bytes[at] = rng.next_u32() as u8;
        }
        bytes.truncate(rng.next_u32() as usize % (bytes.len() + 1));
        let _ = datacenter::AnyCall::from_bytes(&bytes);
        let _ = datacenter::enums::Jsonvalue::from_bytes(&bytes);
        let _ = datacenter::enums::Config::from_bytes(&bytes);
        let _ = enums::FutureSalts::from_bytes_with(&bytes, DecodeOptions::strict());
    }
}
