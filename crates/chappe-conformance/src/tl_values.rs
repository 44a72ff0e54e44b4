//! Random values of a schema's types, in their shortest encoding.
//!
//! Made from the schema alone, without generated code, so that reading and writing can be tried against something
//! that was not generated along with them.

use chappe_tl_parser::{Definition, Name, Parameter, ParameterKind, Schema, Type};
use rand_core::Rng;

/// From this depth on values are as small as they can be.
const DEEP: u32 = 5;

/// Makes random values.
#[derive(Debug)]
pub struct Values<'s, R> {
    schema: &'s Schema,
    rng: R,
    depth: u32,
    bytes: Vec<u8>,
}

impl<'s, R: Rng> Values<'s, R> {
    /// Makes values of the types of `schema`.
    pub fn new(schema: &'s Schema, rng: R) -> Self {
        Self { schema, rng, depth: 0, bytes: Vec::new() }
    }

    /// Returns the encoding of a random value of a constructor, or of a call of a function: id and fields.
    #[must_use]
    pub fn boxed(mut self, definition: &Definition) -> Vec<u8> {
        self.put_boxed(definition);
        self.bytes
    }

    fn put_boxed(&mut self, definition: &Definition) {
        self.bytes.extend(definition.id.to_le_bytes());
        self.put_bare(definition);
    }

    fn put_bare(&mut self, definition: &Definition) {
        self.depth += 1;
        let mut words: Vec<(&str, u32)> = Vec::new();
        for Parameter { name, kind } in &definition.params {
            match kind {
                ParameterKind::Flags => {
                    let word = self.flags_of(definition, name);
                    self.bytes.extend(word.to_le_bytes());
                    words.push((name, word));
                }
                ParameterKind::Value { ty, condition } => {
                    let is_there = condition.as_ref().is_none_or(|condition| {
                        words
                            .iter()
                            .any(|(word, bits)| **word == condition.word && bits >> condition.bit & 1 == 1)
                    });
                    if is_there {
                        self.put(ty);
                    }
                }
            }
        }
        self.depth -= 1;
    }

    /// Random bits, of those that mean something.
    fn flags_of(&mut self, definition: &Definition, word: &str) -> u32 {
        let conditions = definition.fields().filter_map(|(_, _, condition)| condition);
        let known =
            conditions.filter(|condition| condition.word == word).fold(0, |bits, one| bits | 1 << one.bit);
        if self.depth > DEEP { 0 } else { self.rng.next_u32() & known }
    }

    fn put(&mut self, ty: &Type) {
        match ty {
            Type::True => {}
            Type::Nat | Type::Int => self.put_random(4),
            Type::Long => self.put_random(8),
            Type::Double => {
                let number = f64::from(self.rng.next_u32()) / 16.0;
                self.bytes.extend(number.to_le_bytes());
            }
            Type::Int128 => self.put_random(16),
            Type::Int256 => self.put_random(32),
            Type::Int512 => self.put_random(64),
            Type::Bool => {
                let id: u32 = if self.rng.next_u32() & 1 == 0 { 0xbc79_9737 } else { 0x9972_75b5 };
                self.bytes.extend(id.to_le_bytes());
            }
            Type::String => self.put_string(|random| b'a' + random % 26),
            Type::Bytes => self.put_string(|random| random),
            Type::Vector { element, boxed } => self.put_vector(element, *boxed),
            Type::Boxed(name) => {
                let constructor = self.constructor_of(name);
                self.put_boxed(constructor);
            }
            Type::Bare(name) => {
                let schema = self.schema;
                self.put_bare(schema.constructor(name).expect("the schema was checked"));
            }
            Type::BareOf(name) => {
                let schema = self.schema;
                self.put_bare(schema.constructors_of(name).next().expect("the schema was checked"));
            }
            Type::Generic { .. } | Type::Object => self.put_call(),
        }
    }

    fn put_random(&mut self, len: usize) {
        let start = self.bytes.len();
        self.bytes.resize(start + len, 0);
        self.rng.fill_bytes(&mut self.bytes[start..]);
    }

    fn put_string(&mut self, letter: impl Fn(u8) -> u8) {
        let len = match self.rng.next_u32() % 32 {
            0 => 253 + self.rng.next_u32() % 4,
            short => short % 9,
        };
        let start = self.bytes.len();
        if len < 254 {
            self.bytes.push(len as u8);
        } else {
            self.bytes.extend((len << 8 | 0xfe).to_le_bytes());
        }
        for _ in 0..len {
            self.bytes.push(letter(self.rng.next_u32() as u8));
        }
        let padded = (self.bytes.len() - start).next_multiple_of(4);
        self.bytes.resize(start + padded, 0);
    }

    fn put_vector(&mut self, element: &Type, boxed: bool) {
        if boxed {
            self.bytes.extend(0x1cb5_c415_u32.to_le_bytes());
        }
        let count = if self.depth > DEEP { 0 } else { self.rng.next_u32() % 4 };
        self.bytes.extend(count.to_le_bytes());
        for _ in 0..count {
            self.put(element);
        }
    }

    fn constructor_of(&mut self, ty: &Name) -> &'s Definition {
        let constructors: Vec<&Definition> = self.schema.constructors_of(ty).collect();
        if self.depth > DEEP {
            constructors.into_iter().min_by_key(|one| one.params.len()).expect("the schema was checked")
        } else {
            constructors[self.rng.next_u32() as usize % constructors.len()]
        }
    }

    /// A call of a function that is not generic.
    fn put_call(&mut self) {
        let functions: Vec<&Definition> =
            self.schema.functions().filter(|one| one.generics.is_empty()).collect();
        let chosen = functions[self.rng.next_u32() as usize % functions.len()];
        self.put_boxed(chosen);
    }
}
