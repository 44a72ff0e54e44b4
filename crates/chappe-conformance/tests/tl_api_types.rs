//! Every type and function of the API: random encodings, decoded by the tables, compared with a plain decoder that reads
//! the schema itself, and written again.

use core::fmt::Write as _;

use chappe_tl::__private::{Described, Field, Kind, Tables, Type};
use chappe_tl::deserialize::{Cursor, DecodeOptions};
use chappe_tl::table::{Arena, Decoded, Family};
use chappe_tl::{DecodeError, Deserializable as _, Serializable};
use chappe_tl_api::{AnyCall, TYPES, enums, functions};
use chappe_tl_parser::{Definition, Parameter, ParameterKind, Schema, Type as Tl};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Random encodings of each type.
const ROUNDS: usize = 8;
/// Below this depth the shortest alternatives are taken, so that every object ends.
const DEPTH: u32 = 4;

fn schema() -> Schema {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tl-schema/api.tl");
    let text = std::fs::read_to_string(file).expect("the schema is in the repository");
    chappe_tl_parser::parse("api.tl", &text).unwrap_or_else(|errors| panic!("{errors}"))
}

// ------------------------------------------------------------------------------------- random encodings

struct Writer {
    rng: ChaCha8Rng,
    out: Vec<u8>,
}

impl Writer {
    fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), out: Vec::new() }
    }

    fn word(&mut self, word: u32) {
        self.out.extend(word.to_le_bytes());
    }

    fn below(&mut self, limit: usize) -> usize {
        self.rng.next_u32() as usize % limit
    }

    fn value(&mut self, ty: &'static Type, depth: u32) {
        if let Some(field) = ty.value() {
            return self.fields(core::slice::from_ref(field), ty.tables(), depth);
        }
        let one = if depth >= DEPTH {
            ty.lines().min_by_key(|one| one.least())
        } else {
            ty.lines().nth(self.below(ty.lines().len()))
        };
        let one = one.expect("a type has constructors");
        if ty.is_boxed() {
            self.word(one.id());
        }
        self.fields(one.fields(), ty.tables(), depth + 1);
    }

    fn fields(&mut self, fields: &'static [Field], tables: &'static Tables, depth: u32) {
        let mut words = [0; 4];
        for field in fields.iter().copied() {
            let is_set = words[usize::from(field.word())] >> field.bit() & 1 == 1;
            match field.kind() {
                Kind::Word => {
                    let random = if depth > DEPTH { 0 } else { self.rng.next_u32() & self.rng.next_u32() };
                    words[usize::from(field.word())] = random & field.known();
                    self.word(random & field.known());
                }
                Kind::Flag => {}
                kind if kind.is_optional() && !is_set => {}
                _ => self.field(field, tables, depth),
            }
        }
    }

    fn field(&mut self, field: Field, tables: &'static Tables, depth: u32) {
        let name = format!("{:?}", field.kind());
        let name = name.trim_start_matches("Opt");
        let Some(element) = name.strip_prefix("List") else { return self.single(name, field, tables, depth) };
        if !field.is_bare() {
            self.word(0x1cb5_c415);
        }
        let count = if depth > DEPTH { 0 } else { self.below(4) };
        self.word(count as u32);
        (0..count).for_each(|_| self.single(element, field, tables, depth + 1));
    }

    fn single(&mut self, kind: &str, field: Field, tables: &'static Tables, depth: u32) {
        let len = match kind {
            "Nat" | "Int" => 4,
            "Long" | "Double" => 8,
            "Int128" => 16,
            "Int256" => 32,
            "Int512" => 64,
            "Bool" => {
                let id = [0x9972_75b5, 0xbc79_9737][self.below(2)];
                return self.word(id);
            }
            "Str" => {
                let text = "h\u{e9}llo \u{1f44d} world, a text of some length ".repeat(1 + self.below(8));
                let mut len = self.below(text.len());
                while !text.is_char_boundary(len) {
                    len -= 1;
                }
                return text[..len].serialize(&mut self.out).expect("short");
            }
            "Bytes" => {
                let mut bytes = vec![0; self.below(300)];
                self.rng.fill_bytes(&mut bytes);
                return bytes.serialize(&mut self.out).expect("short");
            }
            "Object" => return self.value(tables.target(field), depth),
            // The query of a wrapper: any bytes.
            "Query" => return self.word(0x5a5a_5a5a),
            other => panic!("{other}"),
        };
        let mut bytes = vec![0; len];
        self.rng.fill_bytes(&mut bytes);
        // Not a number is not equal to itself.
        if kind == "Double" {
            bytes.copy_from_slice(&f64::from(self.rng.next_u32()).to_le_bytes());
        }
        self.out.extend(bytes);
    }
}

fn random(ty: &'static Type, seed: u64) -> Vec<u8> {
    let mut writer = Writer::new(seed);
    writer.value(ty, 0);
    writer.out
}

// ---------------------------------------------------------------------------------------- plain decoder

/// Reads an object by the schema, and prints it as `Debug` prints what the tables decode.
struct Plain<'s, 'b> {
    schema: &'s Schema,
    cursor: Cursor<'b>,
}

impl Plain<'_, '_> {
    fn boxed(&mut self) -> String {
        let id = self.cursor.read_u32().expect("an id");
        let definition = self.schema.by_id(id).expect("an id of the schema").clone();
        self.fields(&definition)
    }

    fn fields(&mut self, definition: &Definition) -> String {
        let mut words: Vec<(&str, u32)> = Vec::new();
        let mut fields = Vec::new();
        for Parameter { name, kind } in &definition.params {
            let value = match kind {
                ParameterKind::Flags => {
                    words.push((name, self.cursor.read_u32().expect("a word")));
                    continue;
                }
                ParameterKind::Value { ty, condition: None } => self.value(ty),
                ParameterKind::Value { ty, condition: Some(condition) } => {
                    let word =
                        words.iter().find(|(word, _)| *word == condition.word).expect("an earlier word").1;
                    match (ty, word >> condition.bit & 1 == 1) {
                        (Tl::True, is_set) => is_set.to_string(),
                        (_, false) => "None".to_owned(),
                        (_, true) => format!("Some({})", self.value(ty)),
                    }
                }
            };
            fields.push(format!("{name}: {value}"));
        }
        let mut text = definition.name.to_string();
        if !fields.is_empty() {
            write!(text, " {{ {} }}", fields.join(", ")).expect("a string");
        }
        text
    }

    fn value(&mut self, ty: &Tl) -> String {
        let cursor = &mut self.cursor;
        match ty {
            Tl::Nat => format!("{:?}", cursor.read_u32().expect("#")),
            Tl::Int => format!("{:?}", cursor.read_i32().expect("int")),
            Tl::Long => format!("{:?}", cursor.read_i64().expect("long")),
            Tl::Double => format!("{:?}", f64::deserialize(cursor).expect("double")),
            Tl::Bool => format!("{:?}", bool::deserialize(cursor).expect("Bool")),
            Tl::String => format!("{:?}", cursor.read_string().expect("string")),
            Tl::Bytes => format!("{:?}", cursor.read_bytes().expect("bytes")),
            Tl::Int128 => format!("{:?}", cursor.take(16).expect("int128")),
            Tl::Int256 => format!("{:?}", cursor.take(32).expect("int256")),
            Tl::Boxed(_) => self.boxed(),
            Tl::Vector { element, boxed } => {
                assert!(!*boxed || cursor.read_u32() == Ok(0x1cb5_c415), "a vector has its id");
                let count = cursor.read_i32().expect("count");
                let elements: Vec<_> = (0..count).map(|_| self.value(element)).collect();
                format!("[{}]", elements.join(", "))
            }
            Tl::Generic { .. } => format!("RawObject({:?})", cursor.take_rest()),
            other => panic!("{other}"),
        }
    }
}

/// Decodes `bytes` in all ways and compares.
fn compare(schema: &Schema, ty: &'static Type, bytes: &[u8]) {
    let arena = Arena::new();
    let view = match arena.view(ty, bytes, DecodeOptions::strict()) {
        Ok(view) => view,
        Err(error) => panic!("{}: {error}\n{bytes:02x?}", ty.name()),
    };
    let mut plain = Plain { schema, cursor: Cursor::from_slice(bytes) };
    let expected = plain.boxed();
    assert!(plain.cursor.is_empty());
    assert_eq!(format!("{view:?}"), expected, "{}", ty.name());
    assert_eq!(view.to_bytes(), bytes, "{}", ty.name());
    assert_eq!(view.serialized_len(), bytes.len(), "{}", ty.name());
    let other = Arena::new();
    assert!(
        view == other.view(ty, bytes, DecodeOptions::lenient()).expect("it was decoded before"),
        "{}",
        ty.name()
    );
}

#[test]
fn tables_decode_every_type_as_a_plain_decoder_does() {
    let schema = schema();
    for (index, ty) in TYPES.iter().enumerate() {
        // Each constructor is met at least once in the root.
        for round in 0..ROUNDS.max(3 * ty.lines().len()) {
            compare(&schema, ty, &random(ty, (index * 10_000 + round) as u64));
        }
    }
}

#[test]
fn tables_decode_every_call_as_a_plain_decoder_does() {
    let schema = schema();
    for (index, call) in AnyCall::TYPE.lines().enumerate() {
        for round in 0..ROUNDS {
            let mut writer = Writer::new((index * 1000 + round) as u64);
            writer.word(call.id());
            writer.fields(call.fields(), AnyCall::TYPE.tables(), 0);
            compare(&schema, AnyCall::TYPE, &writer.out);
        }
    }
}

#[test]
fn every_constructor_and_function_has_a_table() {
    let schema = schema();
    let calls = core::slice::from_ref(AnyCall::TYPE);
    let known = |tables: &'static [Type], id: u32| tables.iter().any(|ty| ty.find(id).is_some());
    let boxed = |definition: &&Definition| matches!(definition.result, Tl::Boxed(_));
    for constructor in schema.constructors().filter(boxed) {
        assert!(known(&TYPES, constructor.id), "{}", constructor.name);
    }
    for function in schema.functions() {
        assert!(known(calls, function.id), "{}", function.name);
        assert_eq!(chappe_tl_api::name_for_id(function.id), Some(function.name.to_string().as_str()));
    }
}

// Each function with a type parameter below is compiled hundreds of times, so it only does what depends on the type.

#[test]
fn every_struct_is_as_large_as_its_table_says() {
    fn layout<T: Described + core::fmt::Debug + PartialEq + Copy>() -> (&'static Type, usize, usize) {
        (T::TYPE, size_of::<T>(), align_of::<T>())
    }
    fn check((ty, size, align): (&'static Type, usize, usize)) {
        assert_eq!((size, align), (ty.size(), ty.align()), "{}", ty.name());
        assert_eq!(ty.lines().len(), 1, "{}", ty.name());
    }
    macro_rules! check {
        ($type:ty) => {
            check(layout::<$type>());
        };
    }
    chappe_tl_api::each_struct!(check);
}

#[test]
fn every_empty_struct_has_an_encoding_that_is_read_back() {
    fn written<T: Described + Default + core::fmt::Debug + Serializable>() -> (&'static Type, Vec<u8>, String)
    {
        let empty = T::default();
        (T::TYPE, empty.to_bytes(), format!("{empty:?}"))
    }
    fn check((ty, bytes, printed): (&'static Type, Vec<u8>, String)) {
        let arena = Arena::new();
        let view = arena.view(ty, &bytes, DecodeOptions::strict());
        let view = view.unwrap_or_else(|error| panic!("{printed}: {error}"));
        assert_eq!(format!("{view:?}"), printed);
    }
    macro_rules! check {
        ($type:ty) => {
            check(written::<$type>());
        };
    }
    chappe_tl_api::each_default!(check);
}

/// Decodes a value as the Rust type, and writes it.
fn written_again<T>(arena: &Arena, bytes: &[u8]) -> Result<(Vec<u8>, usize), DecodeError>
where
    T: Family,
    for<'a> T::Of<'a>: Serializable,
{
    arena.decode::<T>(bytes).map(|object| (object.to_bytes(), object.serialized_len()))
}

type WrittenAgain = fn(&Arena, &[u8]) -> Result<(Vec<u8>, usize), DecodeError>;

#[test]
fn every_type_is_written_as_it_was_read() {
    fn check(ty: &'static Type, written_again: WrittenAgain) {
        for round in 0..ROUNDS as u64 {
            let bytes = random(ty, (1 << 40) + round);
            let (written, len) =
                written_again(&Arena::new(), &bytes).unwrap_or_else(|error| panic!("{}: {error}", ty.name()));
            assert_eq!(written, bytes, "{}", ty.name());
            assert_eq!(len, bytes.len(), "{}", ty.name());
        }
    }
    macro_rules! check {
        ($type:ty) => {
            check(<$type as Described>::TYPE, written_again::<$type>);
        };
    }
    chappe_tl_api::each_type!(check);
}

#[test]
fn objects_that_own_their_bytes_are_those_of_an_arena() {
    fn check<T>()
    where
        T: Family,
        for<'a> T::Of<'a>: Serializable,
    {
        for round in 0..4 * ROUNDS as u64 {
            let bytes = random(T::TYPE, (1 << 41) + round);
            let copied = Decoded::<T>::from_bytes(&bytes).expect("it is valid");
            let kept = Decoded::<T>::from_vec(bytes.clone()).expect("it is valid");
            assert!(copied == kept, "{}", T::TYPE.name());
            assert_eq!(copied.to_bytes(), bytes, "{}", T::TYPE.name());
        }
    }
    // A call, enums with and without references, and the largest graphs.
    check::<functions::auth::SendCode<'_>>();
    check::<enums::BaseTheme>();
    check::<enums::Updates<'_>>();
    check::<enums::messages::Messages<'_>>();
    check::<enums::User<'_>>();
    check::<enums::PageBlock<'_>>();
}

#[test]
fn every_call_is_written_as_it_was_read() {
    fn write(call: &(impl Serializable + core::fmt::Debug)) -> (Vec<u8>, String) {
        (call.to_bytes(), format!("{call:?}"))
    }
    for (index, call) in AnyCall::TYPE.lines().enumerate() {
        let mut writer = Writer::new(index as u64);
        writer.word(call.id());
        writer.fields(call.fields(), AnyCall::TYPE.tables(), 0);
        let arena = Arena::new();
        let decoded = *arena.decode::<AnyCall<'_>>(&writer.out).expect("a valid call");
        let (written, printed) = chappe_tl_api::each_call!(decoded, write);
        assert_eq!(written, writer.out, "{}", call.name());
        // Only the first letter of the name may differ: wrappers of calls are spelled as in Rust.
        let by_table = format!("{decoded:?}");
        assert!(printed[..1].eq_ignore_ascii_case(&by_table[..1]), "{}", call.name());
        assert_eq!(printed[1..], by_table[1..], "{}", call.name());
    }
}

#[test]
fn sec_118_arbitrary_bytes_never_break_the_decoder() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut arena = Arena::new();
    for (index, ty) in TYPES.iter().enumerate() {
        let bytes = random(ty, index as u64);
        for _ in 0..ROUNDS {
            // One word somewhere is another, and the end may be missing.
            let mut hurt = bytes.clone();
            let at = rng.next_u32() as usize % hurt.len();
            hurt[at] ^= 1 << (rng.next_u32() % 8);
            hurt.truncate(hurt.len() - (rng.next_u32() as usize % 2) * (hurt.len() / 3));
            if let Ok(view) = arena.view(ty, &hurt, DecodeOptions::lenient()) {
                // Whatever was decoded can be printed and written.
                assert!(!format!("{view:?}").is_empty());
                assert!(view.to_bytes().len() >= 4);
            }
            arena.reset();
        }
        // SEC-112: cut anywhere, it is an error.
        for end in 0..bytes.len() {
            assert!(
                arena.view(ty, &bytes[..end], DecodeOptions::lenient()).is_err(),
                "{} cut at {end}",
                ty.name()
            );
        }
        arena.reset();
    }
}
