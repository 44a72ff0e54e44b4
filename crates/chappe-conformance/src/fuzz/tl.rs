//! Objects of the API, calls of the API, and schemas.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::{fs, path::Path};

use chappe_tl::__private::Type;
use chappe_tl::__private::{Described as _, Line, View};
use chappe_tl::Serializable;
use chappe_tl::deserialize::DecodeOptions;
use chappe_tl::table::Arena;
use chappe_tl_api::{AnyCall, TYPES};
use chappe_tl_dynamic::{AnyObject, Decoder, encode_object, schemas};
use chappe_tl_parser::{Definition, Impact, Schema, SchemaDiff};

use serde_json::json;

use super::{Seeded, Target};
use crate::tl_values::Values;

/// Every type of the API, by the constructor id in front.
pub(super) const API_TYPE: Target = Target {
    name: "tl_api_type",
    about: "decoding, printing and writing of every type of the API",
    run: api_type,
    seeds: || seeds(Part::Types),
    max_len: 4096,
};

/// Every function of the API.
pub(super) const API_CALL: Target = Target {
    name: "tl_api_call",
    about: "decoding and writing of every function of the API",
    run: api_call,
    seeds: || seeds(Part::Functions),
    max_len: 4096,
};

/// Texts that are no schema.
pub(super) const SCHEMA: Target = Target {
    name: "tl_schema",
    about: "the parser of schemas, and the comparison of two of them",
    run: schema,
    seeds: schema_seeds,
    max_len: 4096,
};

/// Every constructor and function of all schemas, by the schema alone.
pub(super) const DYNAMIC: Target = Target {
    name: "tl_dynamic",
    about: "objects by a schema known at run time: reading, printing, JSON and writing",
    run: dynamic,
    seeds: dynamic_seeds,
    max_len: 4096,
};

/// Bytes of decoded objects that one byte of input may cost.
const GROWTH: usize = 256;

fn api_type(input: &[u8]) {
    let ty = input.first_chunk().and_then(|id| by_id().get(&u32::from_le_bytes(*id)).copied());
    let chosen = input.first().map_or(0, |first| usize::from(*first) * 7 + input.len());
    check(ty.unwrap_or(&TYPES[chosen % TYPES.len()]), input);
}

fn by_id() -> &'static HashMap<u32, &'static Type> {
    static BY_ID: OnceLock<HashMap<u32, &'static Type>> = OnceLock::new();
    BY_ID.get_or_init(|| {
        let ids = |ty: &'static Type| ty.lines().map(Line::id).collect::<Vec<_>>();
        TYPES.iter().flat_map(|ty| ids(ty).into_iter().map(move |id| (id, ty))).collect()
    })
}

fn check(ty: &'static Type, input: &[u8]) {
    let arena = Arena::new();
    let strict = arena.view(ty, input, DecodeOptions::strict()).ok().map(|view| view.to_bytes());
    if let Some(written) = strict {
        assert_eq!(written, input, "{}: strictly one object has one encoding", ty.name());
    }
    let arena = Arena::new();
    let Ok(view) = arena.view(ty, input, DecodeOptions::lenient()) else { return };
    assert!(
        arena.capacity() <= 64 << 10 | (GROWTH * input.len()),
        "{}: {} bytes",
        ty.name(),
        arena.capacity()
    );
    again(ty, view);
}

/// What was read can be printed, written, and read again as the same.
fn again(ty: &'static Type, view: View<'_>) {
    let printed = format!("{view:?}");
    let written = view.to_bytes();
    let arena = Arena::new();
    let read = arena.view(ty, &written, DecodeOptions::lenient());
    let read = read.unwrap_or_else(|error| panic!("{}: {error} in what was written: {printed}", ty.name()));
    assert_eq!(read.to_bytes(), written, "{}", ty.name());
}

fn api_call(input: &[u8]) {
    check(AnyCall::TYPE, input);
    let arena = Arena::new();
    let Ok(call) = arena.decode::<AnyCall<'_>>(input) else { return };
    let call = *call;
    let written: Vec<u8> = chappe_tl_api::each_call!(call, written_by_itself);
    let again = Arena::new();
    assert!(again.decode::<AnyCall<'_>>(&written).is_ok(), "{call:?}");
}

fn written_by_itself(call: &(impl Serializable + core::fmt::Debug)) -> Vec<u8> {
    call.to_bytes()
}

fn dynamic(input: &[u8]) {
    let schema = schemas::all();
    let explored = Decoder::new(schema).explore(input);
    let printed = explored.value.to_string();
    let text = serde_json::to_string(&explored.value).expect("every value has a form in JSON");
    if explored.error.is_some() {
        return;
    }
    // Strings may have a longer form than needed, and packed data another compression: what is written is read as the same.
    let json: serde_json::Value = serde_json::from_str(&text).expect("the depth is bounded");
    let written = encode_object(schema, &json).unwrap_or_else(|error| panic!("{error} in {text}\n{printed}"));
    let again = AnyObject::from_bytes(schema, &written);
    let again = again.unwrap_or_else(|error| panic!("{error} in what was written: {text}\n{printed}"));
    assert_eq!(serde_json::to_string(&again).expect("every value has a form in JSON"), text);
}

fn dynamic_seeds() -> Vec<Vec<u8>> {
    let schema = schemas::all();
    let make = |(number, one)| Values::new(schema, Seeded::rng(number as u64)).boxed(one);
    let plain = schema.definitions().iter().enumerate().map(make).filter(|value| value.len() <= 1024);
    let pong = json!({ "_": "pong", "msg_id": 7, "ping_id": 9 });
    let packed = json!({ "_": "gzip_packed", "packed_data": [pong, true] });
    let nested = json!({ "_": "msg_container", "messages": [
        { "msg_id": 1, "seqno": 1, "body": packed },
        { "msg_id": 5, "seqno": 3, "body": { "_": "rpc_result", "req_msg_id": 7, "result": pong } },
    ] });
    let special = [packed, nested].map(|json| encode_object(schema, &json).expect("it is of the schema"));
    plain.chain(special).collect()
}

#[derive(Clone, Copy)]
enum Part {
    Types,
    Functions,
}

/// Random values of all constructors, or calls of all functions.
fn seeds(part: Part) -> Vec<Vec<u8>> {
    let schema = read("api.tl");
    let definitions: Vec<_> = match part {
        Part::Types => schema.constructors().filter(|one| by_id().contains_key(&one.id)).collect(),
        Part::Functions => schema.functions().collect(),
    };
    let make = |(number, one)| Values::new(&schema, Seeded::rng(number as u64)).boxed(one);
    definitions.into_iter().enumerate().map(make).filter(|value| value.len() <= 4096).collect()
}

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tl-schema").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(file: &str) -> Schema {
    chappe_tl_parser::parse(file, &text(file)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn schema(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match chappe_tl_parser::parse("fuzz.tl", &text) {
        Ok(schema) => {
            let lines: Vec<String> = schema.definitions().iter().map(Definition::line).collect();
            let nothing = SchemaDiff::between(&schema, &schema);
            assert_eq!(nothing.impact(), Impact::Compatible, "{lines:?}");
            let _ = SchemaDiff::between(&schema, service_schema()).to_string();
            for definition in schema.definitions() {
                assert!(schema.by_id(definition.id).is_some(), "{lines:?}");
            }
        }
        Err(problems) => {
            assert!(!problems.to_string().is_empty());
            assert!(problems.len() <= 2 * input.len() + 8, "each problem takes some of the text");
        }
    }
}

fn service_schema() -> &'static Schema {
    static SERVICE: OnceLock<Schema> = OnceLock::new();
    SERVICE.get_or_init(|| read("mtproto.tl"))
}

/// Pieces of our schemas, and what its grammar has besides.
fn schema_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = vec![
        b"pong msg_id:long = Pong\nping#7abe77ec = ;".to_vec(),
        b"a#1 {X:Type} query:!X f:flags.31?%(Vector long) = X; // end".to_vec(),
        b"---types---\nt#00000001 flags:# a:flags.0?true b:flags2.1?# = T;\n---functions---\n/* c */"
            .to_vec(),
        "n\u{e9}\u{1f44d}#1 = X; // \u{e9}".as_bytes().to_vec(),
    ];
    let service = text("mtproto.tl");
    seeds.extend(service.split("\n\n").map(|piece| piece.as_bytes().to_vec()));
    let api = text("api.tl");
    let lines: Vec<&str> = api.lines().collect();
    seeds.extend(lines.chunks(12).step_by(9).map(|piece| piece.join("\n").into_bytes()));
    seeds
}
