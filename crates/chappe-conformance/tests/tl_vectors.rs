//! TL encodings against `tl_strings.json` and `tl_misc.json`.

use chappe_conformance::vectors::{self, Entry};
use chappe_crypto::hash::sha256;
use chappe_tl::DecodeError;
use chappe_tl::deserialize::{Cursor, DecodeOptions};
use chappe_tl::{Blob, Deserializable, RawVec, RemoteCall, Serializable};
use chappe_tl_mtproto::{enums, functions, types};
use chappe_tl_parser::id;

/// Part of the API, generated like a user's schema.
mod datacenter;

fn both_ways<T: Serializable + Deserializable + PartialEq + core::fmt::Debug>(value: &T, entry: &Entry) {
    let bytes = entry.bytes("serialized");
    assert_eq!(value.to_bytes(), bytes, "{entry:?}");
    assert_eq!(value.serialized_len(), bytes.len(), "{entry:?}");
    assert_eq!(T::from_bytes_with(&bytes, DecodeOptions::strict()).as_ref(), Ok(value), "{entry:?}");
}

#[test]
fn every_string_length_is_encoded_and_decoded() {
    let entries = vectors::load("tl_strings").list("vectors");
    assert_eq!(entries.len(), 18);
    for entry in entries {
        let len = entry.number("length");
        let content = match len {
            0x00ff_ffff => vec![0xab; len],
            _ => vectors::det(|bytes| sha256(&[bytes]), &format!("tlstr-{len}"), len),
        };
        assert_eq!(sha256(&[&content]), entry.array("content_sha256"), "{entry:?}");
        let bytes = content.to_bytes();
        assert_eq!(bytes.len(), entry.number::<usize>("serialized_length"), "{entry:?}");
        assert_eq!(content.serialized_len(), bytes.len(), "{entry:?}");
        assert!(bytes.starts_with(&entry.bytes("serialized_prefix")), "{entry:?}");
        assert!(bytes.ends_with(&entry.bytes("serialized_suffix")), "{entry:?}");
        assert_eq!(sha256(&[&bytes]), entry.array("serialized_sha256"), "{entry:?}");
        let read = Vec::<u8>::from_bytes_with(&bytes, DecodeOptions::strict());
        assert!(read.is_ok_and(|read| read == content), "{entry:?}");
        for missing in 1..=bytes.len().min(8) {
            assert!(Vec::<u8>::from_bytes(&bytes[..bytes.len() - missing]).is_err(), "{entry:?}");
        }
    }
}

#[test]
fn every_malformed_string_is_refused_as_said() {
    let entries = vectors::load("tl_strings").list("negative");
    assert_eq!(entries.len(), 8);
    for entry in entries {
        let bytes = entry.bytes("data");
        let lenient = Vec::<u8>::from_bytes(&bytes);
        let strict = Vec::<u8>::from_bytes_with(&bytes, DecodeOptions::strict());
        match entry.name() {
            "long_form_for_short_length" => {
                assert_eq!(lenient.as_deref(), Ok(b"abc".as_slice()));
                assert!(matches!(strict, Err(DecodeError::LongStringForm { len: 3, .. })), "{strict:?}");
            }
            "nonzero_padding" => {
                assert_eq!(lenient.as_deref(), Ok(b"a".as_slice()));
                assert!(matches!(strict, Err(DecodeError::NonZeroPadding { .. })), "{strict:?}");
            }
            "prefix_ff" => {
                assert!(matches!(lenient, Err(DecodeError::BadStringPrefix { .. })), "{lenient:?}");
            }
            _ => {
                assert!(matches!(lenient, Err(DecodeError::UnexpectedEof { .. })), "{entry:?}: {lenient:?}");
                assert_eq!(lenient, strict);
            }
        }
    }
}

/// Vectors of objects that hold others, which the envelope's own tests go through.
const OF_THE_ENVELOPE: [&str; 4] =
    ["msg_container_2", "msg_container_empty", "rpc_result_error", "gzip_packed"];

#[test]
fn every_value_is_encoded_and_decoded() {
    let entries = vectors::load("tl_misc").list("vectors");
    assert_eq!(entries.len(), 27);
    for entry in entries.iter().filter(|entry| !OF_THE_ENVELOPE.contains(&entry.name())) {
        match entry.name() {
            "int_-1" => both_ways(&-1_i32, entry),
            "int_min" => both_ways(&i32::MIN, entry),
            "long" => both_ways(&-2_i64, entry),
            "double_1.5" => both_ways(&1.5_f64, entry),
            "double_neg0" => {
                both_ways(&-0.0_f64, entry);
                assert!(f64::from_bytes(&entry.bytes("serialized")).is_ok_and(f64::is_sign_negative));
            }
            "double_nan" => {
                let number = f64::from_bytes(&entry.bytes("serialized")).expect("it is a double");
                assert_eq!(number.to_bits(), 0x7ff8_0000_0000_0000);
                assert_eq!(number.to_bytes(), entry.bytes("serialized"));
            }
            "boolTrue" => both_ways(&true, entry),
            "boolFalse" => both_ways(&false, entry),
            "int128" => both_ways(&entry.array::<16>("serialized"), entry),
            "int256" => both_ways(&entry.array::<32>("serialized"), entry),
            "boxed_vector_int_empty" => both_ways(&Vec::<i32>::new(), entry),
            "boxed_vector_int" => both_ways(&vec![2_i32, 3, 4], entry),
            "getUsers" => {
                let bytes = entry.bytes("serialized");
                let mut cursor = Cursor::from_slice(&bytes);
                assert_eq!(cursor.expect_id("getUsers", 0x2d84_d5f5), Ok(()));
                assert_eq!(Vec::deserialize(&mut cursor), Ok(vec![2_i32, 3, 4]));
                assert_eq!(cursor.finish(), Ok(()));
            }
            "vector_of_string" => both_ways(&["", "abc", "abcd"].map(str::to_owned).to_vec(), entry),
            "vector_vector_int" => both_ways(&vec![vec![1_i32], vec![]], entry),
            "true_flag_only" => {
                let bytes = entry.bytes("serialized");
                let mut cursor = Cursor::from_slice(&bytes);
                let flags = cursor.object("test").and_then(|mut object| object.flags("flags", 1 << 3));
                assert_eq!(flags.map(|flags| chappe_tl::__private::is_set(flags, 3)), Ok(true));
                let mut written = Vec::new();
                chappe_tl::__private::put_flags(&[(2, false), (3, true)], &mut written);
                assert_eq!(written, bytes);
            }
            _ => service_object(entry),
        }
    }
}

fn service_object(entry: &Entry) {
    let (answered, time) = (0x65c5_3d50_0000_0004_i64, 0x65c5_3d50_i32);
    match entry.name() {
        "bare_vector_future_salt" => {
            let bytes = entry.bytes("serialized");
            let enums::FutureSalts::FutureSalts(salts) =
                enums::FutureSalts::from_bytes(&bytes).expect("it is valid");
            assert_eq!((salts.now, salts.salts.0.len()), (time, 2), "{salts:?}");
            assert!(salts.salts.0.iter().all(|salt| salt.valid_since < salt.valid_until), "{salts:?}");
            assert_eq!(salts.salts.0.iter().map(|salt| salt.salt).collect::<Vec<_>>(), [1000, 1001]);
            let RawVec(copies) = salts.salts.clone();
            both_ways(
                &enums::FutureSalts::FutureSalts(types::FutureSalts { salts: RawVec(copies), ..salts }),
                entry,
            );
        }
        "msgs_ack" => {
            let ack = types::MsgsAck { msg_ids: vec![0x65c5_3d50_1234_5671] };
            both_ways(&enums::MsgsAck::MsgsAck(ack), entry);
        }
        "rpc_error" => {
            let error = types::RpcError { error_code: 420, error_message: "FLOOD_WAIT_17".to_owned() };
            both_ways(&enums::RpcError::RpcError(error), entry);
        }
        "msgs_state_info" => {
            let info = types::MsgsStateInfo { req_msg_id: answered + 4, info: vec![1, 4, 0x8c] };
            both_ways(&enums::MsgsStateInfo::MsgsStateInfo(info), entry);
        }
        "bad_server_salt" => {
            let notification = types::BadServerSalt {
                bad_msg_id: answered + 4,
                bad_msg_seqno: 3,
                error_code: 48,
                new_server_salt: i64::from_le_bytes([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]),
            };
            both_ways(&enums::BadMsgNotification::BadServerSalt(notification), entry);
        }
        "new_session_created" => {
            let session = types::NewSessionCreated {
                first_msg_id: answered,
                unique_id: 0x0102_0304_0506_0708,
                server_salt: 0x1122_3344_5566_7788,
            };
            both_ways(&enums::NewSession::Created(session), entry);
        }
        "invokeWithLayer_initConnection_getConfig" => wrapped_call(entry),
        other => panic!("nobody tries the vector {other}"),
    }
}

/// Compiles only if both functions have the same result.
fn same_type<T>(_: fn() -> T, _: fn() -> T) {}

fn result_of<C: RemoteCall>(_: &C) -> fn() -> C::Return {
    || panic!("only the type matters")
}

/// A generic function around a generic function around a call; its result is that of the call.
fn wrapped_call(entry: &Entry) {
    use datacenter::functions::{InitConnection, InvokeWithLayer, help::GetConfig};

    let call = InvokeWithLayer {
        layer: 230,
        query: InitConnection {
            api_id: 1,
            device_model: "model".to_owned(),
            system_version: "sys".to_owned(),
            app_version: "1.0".to_owned(),
            system_lang_code: "en".to_owned(),
            lang_pack: String::new(),
            lang_code: "en".to_owned(),
            proxy: None,
            params: None,
            query: GetConfig {},
        },
    };
    both_ways(&call, entry);
    let raw = InvokeWithLayer::<Blob>::from_bytes(&entry.bytes("serialized")).expect("it is valid");
    assert_eq!(raw.query.0.len(), entry.bytes("serialized").len() - 8);
    same_type(result_of(&call), || panic!("only the type matters") as datacenter::enums::Config);
}

#[test]
fn every_malformed_value_is_refused_as_said() {
    let entries = vectors::load("tl_misc").list("negative");
    assert_eq!(entries.len(), 13);
    let of_the_envelope =
        |entry: &&Entry| entry.name().starts_with("container") || entry.name().starts_with("gzip");
    assert_eq!(entries.iter().filter(of_the_envelope).count(), 7, "the envelope's own tests go through them");
    for entry in entries.iter().filter(|entry| !of_the_envelope(entry)) {
        let bytes = entry.bytes("data");
        let error = match entry.name() {
            "vector_negative_count" | "vector_wrong_constructor" => Vec::<i32>::from_bytes(&bytes).err(),
            "vector_huge_count" => Vec::<i64>::from_bytes(&bytes).err(),
            "bool_unknown" => bool::from_bytes(&bytes).err(),
            "trailing_bytes" => functions::Ping::from_bytes(&bytes).err(),
            "truncated_long" => i64::from_bytes(&bytes).err(),
            other => panic!("nobody tries the vector {other}"),
        };
        let is_expected = match entry.name() {
            "vector_negative_count" => matches!(error, Some(DecodeError::BadCount { count: -1, .. })),
            "vector_huge_count" => {
                matches!(error, Some(DecodeError::BadCount { count: i32::MAX, most: 0, .. }))
            }
            "vector_wrong_constructor" => {
                matches!(error, Some(DecodeError::UnexpectedConstructor { id: 0x1cb5_c416, .. }))
            }
            "bool_unknown" => {
                matches!(error, Some(DecodeError::UnexpectedConstructor { id: 0, wanted: "Bool", .. }))
            }
            "trailing_bytes" => matches!(error, Some(DecodeError::TrailingBytes { count: 4, .. })),
            _ => matches!(error, Some(DecodeError::UnexpectedEof { needed: 8, remaining: 7, .. })),
        };
        assert!(is_expected, "{entry:?}: {error:?}");
    }
}

#[test]
fn every_id_is_computed() {
    let file = vectors::load("tl_misc");
    let lines = file.list("crc32_from_schema_lines");
    let normalized = file.list("crc32_ids");
    assert_eq!((lines.len(), normalized.len()), (5, 24));
    for entry in lines.iter().chain(&normalized) {
        let wanted = u32::from_be_bytes(entry.array("id"));
        let text = entry.text(if entry.has("line") { "line" } else { "normalized" });
        assert_eq!(id::compute(text), wanted, "{entry:?}");
        if entry.has("line") {
            assert_eq!(id::normalize(text), entry.text("normalized"), "{entry:?}");
        }
    }
}
