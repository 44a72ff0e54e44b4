//! Random values of every constructor and function, read by the schema alone: the JSON of what is read gives the same bytes.

use chappe_conformance::tl_values::Values;
use chappe_tl_dynamic::{AnyObject, Decoder, Explored, encode_object, schemas};
use chappe_tl_parser::{Definition, Schema};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;

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
