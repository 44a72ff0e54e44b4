//! Objects written by a schema, so that the same content can be given to libraries of different layers.

use std::collections::BTreeMap;

use chappe_tl_parser::{Definition, Name, ParameterKind, Schema, Type};

/// A value of a field.
#[derive(Clone)]
pub enum Value {
    Int(i32),
    Long(i64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Set,
    Object(Object),
    List(Vec<Value>),
}

/// A constructor with those of its fields that matter; others get the shortest value there is.
#[derive(Clone)]
pub struct Object {
    constructor: &'static str,
    fields: BTreeMap<&'static str, Value>,
}

impl Object {
    /// An object without fields.
    pub fn new(constructor: &'static str) -> Self {
        Self { constructor, fields: BTreeMap::new() }
    }

    /// Sets a field. One that the schema does not have is left out.
    pub fn with(mut self, field: &'static str, value: impl Into<Value>) -> Self {
        self.fields.insert(field, value.into());
        self
    }

    /// Sets a field if the condition holds.
    pub fn with_if(self, condition: bool, field: &'static str, value: impl Into<Value>) -> Self {
        if condition { self.with(field, value) } else { self }
    }

    /// Writes the object.
    ///
    /// # Panics
    ///
    /// Panics if the schema has no such constructor.
    pub fn bytes(&self, schema: &Schema) -> Vec<u8> {
        let mut out = Vec::new();
        object(schema, self, &mut out);
        out
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Long(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<Object> for Value {
    fn from(value: Object) -> Self {
        Self::Object(value)
    }
}

impl<T: Into<Self>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

fn object(schema: &Schema, object: &Object, out: &mut Vec<u8>) {
    let find = |one: &&Definition| one.name.to_string() == object.constructor;
    let definition = schema.constructors().find(find);
    let definition = definition.unwrap_or_else(|| panic!("no constructor {}", object.constructor));
    out.extend(definition.id.to_le_bytes());
    let is_there = |name: &str| object.fields.contains_key(name);
    for param in &definition.params {
        match &param.kind {
            ParameterKind::Flags => {
                let conditions = definition.fields().filter_map(|(field, _, condition)| {
                    condition.filter(|condition| condition.word == param.name && is_there(&field.name))
                });
                let word = conditions.fold(0_u32, |word, condition| word | 1 << condition.bit);
                out.extend(word.to_le_bytes());
            }
            ParameterKind::Value { condition: Some(_), .. } if !is_there(&param.name) => {}
            ParameterKind::Value { ty, .. } => value(schema, ty, object.fields.get(&*param.name), out),
        }
    }
}

fn value(schema: &Schema, ty: &Type, given: Option<&Value>, out: &mut Vec<u8>) {
    match (ty, given) {
        (Type::True, _) => {}
        (Type::Int, Some(Value::Int(value))) => out.extend(value.to_le_bytes()),
        (Type::Int, _) => out.extend([0; 4]),
        (Type::Long, Some(Value::Long(value))) => out.extend(value.to_le_bytes()),
        (Type::Double, Some(Value::Double(value))) => out.extend(value.to_le_bytes()),
        (Type::Long | Type::Double, _) => out.extend([0; 8]),
        (Type::Bool, given) => {
            let id = if given.is_some() { 0x9972_75b5_u32 } else { 0xbc79_9737 };
            out.extend(id.to_le_bytes());
        }
        (Type::String | Type::Bytes, Some(Value::Text(text))) => string(text.as_bytes(), out),
        (Type::String | Type::Bytes, Some(Value::Bytes(bytes))) => string(bytes, out),
        (Type::String | Type::Bytes, _) => string(&[], out),
        (Type::Vector { element, .. }, given) => {
            let Some(Value::List(values)) = given else {
                return out.extend([0x15, 0xc4, 0xb5, 0x1c, 0, 0, 0, 0]);
            };
            out.extend([0x15, 0xc4, 0xb5, 0x1c]);
            out.extend((values.len() as u32).to_le_bytes());
            values.iter().for_each(|one| value(schema, element, Some(one), out));
        }
        (Type::Boxed(_), Some(Value::Object(given))) => object(schema, given, out),
        (Type::Boxed(name), _) => shortest(schema, name, out),
        (other, _) => panic!("{other} is not in these objects"),
    }
}

/// The constructor with the fewest fields that must be there.
fn shortest(schema: &Schema, ty: &Name, out: &mut Vec<u8>) {
    let required = |one: &&Definition| one.fields().filter(|(.., condition)| condition.is_none()).count();
    let definition = schema.constructors_of(ty).min_by_key(required).expect("a type has constructors");
    out.extend(definition.id.to_le_bytes());
    for param in &definition.params {
        match &param.kind {
            ParameterKind::Flags => out.extend([0; 4]),
            ParameterKind::Value { condition: Some(_), .. } => {}
            ParameterKind::Value { ty, .. } => value(schema, ty, None, out),
        }
    }
}

fn string(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.len() < 254 {
        out.push(bytes.len() as u8);
    } else {
        out.push(254);
        out.extend(&(bytes.len() as u32).to_le_bytes()[..3]);
    }
    out.extend(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
}
