//! What is inside of containers, answers and compressed data; limits; errors.
#![cfg(all(feature = "api", feature = "mtproto", feature = "secret"))]
#![allow(clippy::unwrap_used, reason = "tests")]

use chappe_tl_dynamic::{
    AnyObject, DecodeErrorKind, DecodeLimits, Decoder, EncodeErrorKind, Schema, Type, Value, encode,
    encode_object, schemas,
};
use serde_json::json;

fn to_bytes(json: &serde_json::Value) -> Vec<u8> {
    encode_object(schemas::all(), json).unwrap_or_else(|error| panic!("{error} in {json}"))
}

fn read(bytes: &[u8]) -> AnyObject<'static> {
    AnyObject::from_bytes(schemas::all(), bytes).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_schemas_of_this_release_are_read_without_warnings() {
    for schema in [schemas::api(), schemas::mtproto(), schemas::secret()] {
        assert_eq!(schema.warnings(), []);
    }
    let all = schemas::all();
    assert!(all.definitions().len() > 2400, "{}", all.definitions().len());
    for id in [0xf35c_6d01, 0x73f1_f8dc, 0x3072_cfa1, 0x1be3_1789] {
        assert!(all.by_id(id).is_some(), "{id:08x}");
    }
}

#[test]
fn a_container_of_packed_answers_is_read_to_the_bottom() {
    let json = json!({
        "_": "msg_container",
        "messages": [
            { "_": "mtproto.message", "msg_id": 1, "seqno": 1, "body": { "_": "pong", "msg_id": 7, "ping_id": 9 } },
            { "msg_id": 5, "seqno": 3, "body": {
                "_": "rpc_result",
                "req_msg_id": 7,
                "result": { "_": "gzip_packed", "packed_data": { "_": "nearestDc", "country": "FI", "this_dc": 2, "nearest_dc": 4 } },
            } },
        ],
    });
    let bytes = to_bytes(&json);
    let object = read(&bytes);
    assert_eq!(
        object.to_string(),
        "0000 msg_container#73f1f8dc
0004   messages: 2 elements
0008     [0] mtproto.message#5bb8e511
0008       msg_id: 1
0010       seqno: 1
0014       bytes: 20
0018       body: pong#347773c5
001c         msg_id: 7
0024         ping_id: 9
002c     [1] mtproto.message#5bb8e511
002c       msg_id: 5
0034       seqno: 3
0038       bytes: 52
003c       body: rpc_result#f35c6d01
0040         req_msg_id: 7
0048         result: gzip_packed#3072cfa1
004c           packed_data: 34 bytes, unpacked 16 bytes
+0000             nearestDc#8e1a1775
+0004               country: \"FI\"
+0008               this_dc: 2
+000c               nearest_dc: 4
"
    );
    let again = to_bytes(&serde_json::to_value(&object).unwrap());
    assert_eq!(again, bytes, "the compressor is deterministic");
}

#[test]
fn a_message_that_cannot_be_read_does_not_hide_the_next_one() {
    let json = json!({
        "_": "msg_container",
        "messages": [
            { "msg_id": 1, "seqno": 1, "body": { "_raw": "0123456789abcdef" } },
            { "msg_id": 5, "seqno": 3, "body": { "_": "pong", "msg_id": 7, "ping_id": 9 } },
        ],
    });
    let explored = Decoder::new(schemas::all()).explore(&to_bytes(&json));
    let error = explored.error.unwrap();
    assert_eq!(error.kind, DecodeErrorKind::UnknownConstructor { id: 0x6745_2301 });
    assert_eq!((error.path.as_str(), error.offset), ("msg_container.messages[0].body", 0x18));
    let read = serde_json::to_value(&explored.value).unwrap();
    assert_eq!(read["messages"][0]["body"], json["messages"][0]["body"]);
    assert_eq!(read["messages"][1]["body"], json["messages"][1]["body"]);
}

#[test]
fn vectors_in_answers_follow_the_query_or_a_guess() {
    let schema = schemas::all();
    let call = json!({ "_": "invokeWithLayer", "layer": 230, "query": { "_": "contacts.getContactIDs", "hash": 0 } });
    let call = read(&to_bytes(&call));
    assert_eq!(call.answer_type().to_string(), "Vector<int>");
    assert_eq!(call.get("query").and_then(Value::as_object).unwrap().answer_type(), call.answer_type());

    let result = |of: &str, elements: &str| {
        let elements: serde_json::Value = serde_json::from_str(elements).unwrap();
        let result = json!({ "_": "vector", "of": of, "elements": elements });
        json!({ "_": "rpc_result", "req_msg_id": 7, "result": result })
    };
    // Two numbers of 32 bits could be one of 64; the query says what they are.
    let json = result("int", "[1, 2]");
    let bytes = to_bytes(&json);
    let answers = |msg_id| (msg_id == 7).then(|| call.answer_type());
    let object = Decoder::new(schema).answers(&answers).object(&bytes).unwrap();
    assert_eq!(serde_json::to_value(&object).unwrap(), json);
    for (of, elements) in
        [("long", "[1, 2, 9007199254740993]"), ("string", r#"["hello", "b"]"#), ("int", "[1, 2]")]
    {
        let json = result(of, elements);
        assert_eq!(serde_json::to_value(read(&to_bytes(&json))).unwrap(), json);
    }
    let users =
        json!({ "_": "rpc_result", "req_msg_id": 7, "result": [{ "_": "userEmpty", "id": 5 }, true] });
    assert_eq!(serde_json::to_value(read(&to_bytes(&users))).unwrap(), users);
}

#[test]
fn every_limit_holds() {
    let schema = chappe_tl_parser::parse(
        "t.tl",
        "n = N; many v:vector<n> = Many; deep next:Deep = Deep; leaf = Deep; gzip_packed#3072cfa1 packed_data:bytes = G;
         twice a:many2 b:many2 = T; many2 a:many3 b:many3 = M2; many3 a:n b:n = M3; box o:Object = Box;",
    )
    .unwrap();
    let limited = |change: fn(&mut DecodeLimits)| {
        let mut limits = DecodeLimits::default();
        change(&mut limits);
        Decoder::new(&schema).limits(limits)
    };
    let error = |decoder: Decoder<'_, '_>, bytes: &[u8]| decoder.object(bytes).unwrap_err().kind;
    let id = |name: &str| schema.constructor(&chappe_tl_parser::Name::new(name)).unwrap().id.to_le_bytes();

    // A billion elements without bytes.
    let bytes = [id("many"), 1_000_000_000_i32.to_le_bytes()].concat();
    let few = limited(|limits| limits.values = 1000);
    assert_eq!(error(few, &bytes), DecodeErrorKind::TooManyValues { limit: 1000 });
    let few = limited(|limits| limits.values = 5);
    assert_eq!(error(few, &id("twice")), DecodeErrorKind::TooManyValues { limit: 5 });

    let nested = |levels: usize| [id("deep").repeat(levels - 1), id("leaf").to_vec()].concat();
    assert!(Decoder::new(&schema).object(&nested(64)).is_ok());
    assert_eq!(error(Decoder::new(&schema), &nested(65)), DecodeErrorKind::TooDeep { limit: 64 });
    let unbounded = limited(|limits| limits.depth = u16::MAX);
    assert_eq!(error(unbounded, &nested(100_000)), DecodeErrorKind::TooDeep { limit: DecodeLimits::DEEPEST });

    let zeros = json!({ "_": "gzip_packed", "packed_data": { "_raw": "00".repeat(10_000) } });
    let small = limited(|limits| limits.unpacked = 9_999);
    let bytes = encode_object(&schema, &zeros).unwrap();
    assert!(bytes.len() < 100);
    assert_eq!(error(small, &bytes), DecodeErrorKind::TooLarge { limit: 9_999 });

    // Vectors of vectors of unknown elements: each level is guessed again.
    let mut bytes = id("box").to_vec();
    for _ in 0..40 {
        bytes.extend([0x1cb5_c415_u32.to_le_bytes(), 1_u32.to_le_bytes()].concat());
    }
    bytes.extend([0xff; 3]);
    assert!(Decoder::new(&schema).object(&bytes).is_err());
}

#[test]
fn json_deeper_than_the_limit_is_refused() {
    let schema = chappe_tl_parser::parse("t.tl", "deep next:Deep = Deep; leaf = Deep;").unwrap();
    let nested = |levels: usize| {
        (1..levels).fold(json!({ "_": "leaf" }), |inner, _| json!({ "_": "deep", "next": inner }))
    };
    let deepest = usize::from(DecodeLimits::DEEPEST);
    assert_eq!(encode_object(&schema, &nested(deepest)).unwrap().len(), 4 * deepest);
    let error = encode_object(&schema, &nested(deepest + 1)).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::TooDeep { limit: DecodeLimits::DEEPEST });
}

#[test]
fn an_error_names_the_field_and_its_place() {
    let call = json!({ "_": "messages.sendMessage", "peer": { "_": "inputPeerSelf" }, "message": "m", "random_id": 1 });
    let bytes = to_bytes(&call);
    let error = |bytes: &[u8]| AnyObject::from_bytes(schemas::all(), bytes).unwrap_err().to_string();
    assert_eq!(
        error(&bytes[..bytes.len() - 4]),
        "at byte 16 (messages.sendMessage.random_id): unexpected end: 8 bytes needed, 4 left"
    );
    let mut other = bytes.clone();
    other[8..12].copy_from_slice(&0x7abe_77ec_u32.to_le_bytes());
    assert_eq!(
        error(&other),
        "at byte 8 (messages.sendMessage.peer): expected a constructor of InputPeer, found ping#7abe77ec"
    );
    assert_eq!(
        error(&[bytes.as_slice(), &[0; 4]].concat()),
        "at byte 24: 4 bytes are left behind the object"
    );
}

#[test]
fn json_that_does_not_fit_is_refused_with_path_and_reason() {
    let refused = |json: serde_json::Value| encode_object(schemas::all(), &json).unwrap_err().to_string();
    let send = |peer: serde_json::Value| json!({ "_": "messages.sendMessage", "peer": peer, "message": "", "random_id": 1 });
    let table = [
        (json!("ping"), "expected an object with `_`, found \"ping\""),
        (json!({}), "expected `_` with the name of a constructor or function, found an object"),
        (
            json!({ "_": "messages.sendMesage" }),
            "the schema has no constructor or function `messages.sendMesage`",
        ),
        (
            send(json!({ "_": "userEmpty", "id": 1 })),
            "messages.sendMessage.peer: expected a constructor of InputPeer, found `userEmpty`",
        ),
        (
            send(json!({ "_": "inputPeerUser", "access_hash": 1 })),
            "messages.sendMessage.peer: field `user_id:long` is missing",
        ),
        (
            send(json!({ "_": "inputPeerUser", "access_hash": 1, "user_id": 1.5 })),
            "messages.sendMessage.peer.user_id: expected a number of 64 bits, found 1.5",
        ),
        (
            send(json!({ "_": "inputPeerChat", "chat_id": 1, "chatid": 1 })),
            "messages.sendMessage.peer: unknown field `chatid` of `inputPeerChat#35a95cb9 chat_id:long = InputPeer;`",
        ),
        (
            json!({ "_": "ping", "ping_id": "9223372036854775808" }),
            "ping.ping_id: expected a number of 64 bits, found \"9223372036854775808\"",
        ),
        (
            json!({ "_": "peerColor", "flags": 3, "color": 1 }),
            "peerColor: field `background_emoji_id:flags.1?long` is missing, but its flag is set",
        ),
        (
            json!({ "_": "req_pq", "nonce": "00" }),
            "req_pq.nonce: expected 16 bytes in hexadecimal, found \"00\"",
        ),
    ];
    for (json, reason) in table {
        assert_eq!(refused(json), reason);
    }
}

#[test]
fn unusual_values_survive_the_way_there_and_back() {
    let schema = chappe_tl_parser::parse(
        "t.tl",
        "all flags:# t:flags.0?true d:double s:string b:bytes n:# = All; s = S; ---functions--- s = S;",
    )
    .unwrap();
    let all = |flags: u32, d: f64, s: &[u8]| {
        let mut bytes = schema.definitions()[0].id.to_le_bytes().to_vec();
        bytes.extend(flags.to_le_bytes());
        bytes.extend(d.to_le_bytes());
        bytes.extend([&[s.len() as u8], s].concat());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend([3, 1, 2, 255]);
        bytes.extend([255; 4]);
        bytes
    };
    let doubles = [0.1, -0.0, f64::MIN_POSITIVE / 3.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for (flags, d, s) in doubles.into_iter().map(|d| (0, d, &b"s"[..])).chain([
        (1, 0.0, &b""[..]),
        (0xffff_ffff, 0.0, &[0xff, b'x']),
        (2, 1e300, "\u{e9}\0".as_bytes()),
    ]) {
        let bytes = all(flags, d, s);
        let object = AnyObject::from_bytes(&schema, &bytes).unwrap();
        let text = serde_json::to_string(&object).unwrap();
        let json = serde_json::from_str(&text).unwrap();
        assert_eq!(encode_object(&schema, &json).unwrap(), bytes, "{text}");
    }
    // One name, two definitions.
    for definition in &schema.definitions()[1..] {
        let bytes = definition.id.to_le_bytes();
        let json = serde_json::to_value(AnyObject::from_bytes(&schema, &bytes).unwrap()).unwrap();
        assert_eq!(encode_object(&schema, &json).unwrap(), bytes, "{json}");
    }
}

#[test]
fn control_characters_do_not_reach_the_terminal_and_long_texts_are_shortened() {
    let schema = chappe_tl_parser::parse("t.tl", "say s:string b:bytes = Say;").unwrap();
    let print = |s: &str, b: usize| {
        let json = json!({ "_": "say", "s": s, "b": "ab".repeat(b) });
        let bytes = encode(&schema, &Type::Object, &json).unwrap();
        let object = AnyObject::from_bytes(&schema, &bytes).unwrap();
        (object.to_string(), format!("{object:#}"))
    };
    let (short, _) = print("\u{1b}[2J\"\u{202e}", 1);
    assert!(short.contains(r#"s: "\u{1b}[2J\"\u{202e}""#), "{short}");
    let (short, whole) = print(&"\u{e9}".repeat(500), 500);
    assert!(short.len() < 300 && short.contains("é\"… (1000 bytes)"), "{short}");
    assert!(whole.contains(&"\u{e9}".repeat(500)) && whole.contains(&"ab".repeat(500)));
}

#[test]
fn a_merged_schema_keeps_both_meanings_of_a_name() {
    let all: &Schema = schemas::all();
    let api = json!({ "_": "message", "id": 1, "peer_id": { "_": "peerUser", "user_id": 1 }, "date": 0, "message": "" });
    assert_eq!(read(&to_bytes(&api)).definition().result.to_string(), "Message");
    let secret = json!({ "_": "secret.photoSize", "type": "s", "location": { "_": "fileLocationUnavailable", "volume_id": 1, "local_id": 2, "secret": 3 }, "w": 1, "h": 2, "size": 3 });
    let object = read(&to_bytes(&secret));
    assert_eq!(object.definition().result.to_string(), "secret.PhotoSize");
    assert_eq!(all.by_id(0x77bf_b61b).unwrap().name.to_string(), "secret.photoSize");
}
