//! Random values of every constructor and function, read by the schema alone: the JSON of what is read gives the same bytes, and is
//! what the generated types hold.

use std::collections::HashMap;

use chappe_conformance::tl_values::Values;
use chappe_tl::__private::Type;
use chappe_tl::__private::{Described as _, Kind, Line, Value, View};
use chappe_tl::deserialize::DecodeOptions;
use chappe_tl::table::Arena;
use chappe_tl_api::{AnyCall, TYPES};
use chappe_tl_dynamic::{AnyObject, Decoder, Explored, encode_object, schemas};
use chappe_tl_parser::{Definition, Schema};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use serde_json::{Map, Value as Json, json};

/// Values of each definition that are tried.
const ROUNDS: u64 = 4;

#[test]
fn json_of_what_was_read_gives_the_same_bytes() {
    let parts = [("api", schemas::api()), ("mtproto", schemas::mtproto()), ("secret", schemas::secret())];
    for (label, schema) in parts.into_iter().chain([("all", schemas::all())]) {
        for definition in schema.definitions() {
            if schema.by_id(definition.id) != Some(definition) || is_special(definition) {
                continue;
            }
            for round in 0..ROUNDS {
                let rng = ChaCha8Rng::seed_from_u64(u64::from(definition.id) << 8 | round);
                let bytes = Values::new(schema, rng).boxed(definition);
                round_trip(schema, &bytes)
                    .unwrap_or_else(|error| panic!("{label} {}: {error}", definition.line()));
            }
        }
    }
}

/// What is read with more than the schema: random bytes are no compressed data, and a length is not random.
fn is_special(definition: &Definition) -> bool {
    let last = definition.params.last().map(|param| param.name.as_str());
    matches!(last, Some("packed_data" | "body" | "orig_message")) || definition.name.ident == "msg_container"
}

fn round_trip(schema: &Schema, bytes: &[u8]) -> Result<(), Box<dyn core::error::Error>> {
    let object = AnyObject::from_bytes(schema, bytes)?;
    let text = serde_json::to_string(&object)?;
    assert_eq!(encode_object(schema, &serde_json::from_str(&text)?)?, bytes, "{text}");
    assert!(object.to_string().lines().count() > object.fields().len());
    Ok(())
}

#[test]
fn what_is_cut_short_is_read_as_far_as_it_goes() {
    let schema = schemas::api();
    for definition in schema.functions() {
        let rng = ChaCha8Rng::seed_from_u64(u64::from(definition.id));
        let bytes = Values::new(schema, rng).boxed(definition);
        for end in (0..bytes.len()).step_by(4) {
            let Explored { value, error, .. } = Decoder::new(schema).explore(&bytes[..end]);
            assert!(error.is_some_and(|error| error.offset <= end), "{}", definition.line());
            assert!(!value.to_string().is_empty());
        }
    }
}

#[test]
fn generated_types_hold_what_the_schema_says() {
    let schema = schemas::api();
    let lines = |ty: &'static Type| ty.lines().map(Line::id).map(move |id| (id, ty)).collect::<Vec<_>>();
    let by_id: HashMap<u32, &Type> = TYPES.iter().flat_map(lines).chain(lines(AnyCall::TYPE)).collect();
    let mut compared = 0;
    for definition in schema.definitions() {
        let Some(ty) = by_id.get(&definition.id) else { continue };
        let rng = ChaCha8Rng::seed_from_u64(u64::from(definition.id) << 8);
        let bytes = Values::new(schema, rng).boxed(definition);
        let arena = Arena::new();
        let view = arena.view(ty, &bytes, DecodeOptions::strict());
        let view = view.unwrap_or_else(|error| panic!("{}: {error}", definition.line()));
        let object = AnyObject::from_bytes(schema, &bytes).unwrap_or_else(|error| panic!("{error}"));
        let json = serde_json::to_value(&object).expect("every value has a form in JSON");
        assert_eq!(of_view(view), json, "{}", definition.line());
        compared += 1;
    }
    // Built-in types such as `true` are not generated.
    assert!(compared > schema.definitions().len() * 9 / 10, "{compared}");
}

/// What a generated type holds, in the form of `chappe_tl_dynamic`.
fn of_view(view: View<'_>) -> Json {
    let (line, mut rows) = view.rows();
    let Some(line) = line else {
        return rows.next().map_or(Json::Null, |(_, value)| of_value(&value));
    };
    let mut names = line.names();
    let mut map = Map::from_iter([("_".to_owned(), names.next().into())]);
    for (name, (field, value)) in names.zip(rows) {
        let is_there = match (field.kind(), &value) {
            (Kind::Word, _) | (_, Value::Absent) => false,
            (Kind::Flag, value) => *value == Value::Bool(true),
            _ => true,
        };
        if is_there {
            map.insert(name.to_owned(), of_value(&value));
        }
    }
    Json::Object(map)
}

fn of_value(value: &Value<'_>) -> Json {
    match value {
        Value::Absent => Json::Null,
        Value::Nat(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Long(value) => json!(value),
        Value::Double(value) => json!(value),
        Value::Bool(value) => json!(value),
        Value::Str(value) => json!(value),
        Value::Bytes(value) => hex::encode(value).into(),
        Value::Int128(value) => hex::encode(value).into(),
        Value::Int256(value) => hex::encode(value).into(),
        Value::Int512(value) => hex::encode(value.0).into(),
        Value::Object(view) => of_view(*view),
        Value::Nats(values) => json!(values),
        Value::Ints(values) => json!(values),
        Value::Longs(values) => json!(values),
        Value::Doubles(values) => json!(values),
        Value::Bools(values) => json!(values),
        Value::Strs(values) => json!(values),
        Value::ByteStrings(values) => values.iter().map(hex::encode).collect(),
        Value::Int128s(values) => values.iter().map(hex::encode).collect(),
        Value::Int256s(values) => values.iter().map(hex::encode).collect(),
        Value::Int512s(values) => values.iter().map(|value| hex::encode(value.0)).collect(),
        Value::Objects(views) => views.iter().map(of_view).collect(),
        Value::Query(query) => {
            let query = AnyObject::from_bytes(schemas::api(), query.0);
            serde_json::to_value(query.expect("a query is a call")).expect("every value has a form in JSON")
        }
    }
}
