//! From JSON to bytes.

use chappe_tl_parser::{Category, Definition, Name, Parameter, ParameterKind, Schema, Type};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde_json::{Map, Value};

use crate::decode::DecodeLimits;
use crate::encode_error::{DynamicEncodeError, EncodeErrorKind};
use crate::{gzip, id};

/// Writes an object, named by its `_`, in TL. [`crate`] has the form of the JSON.
///
/// A name that a function and a constructor have is the function's. `bytes` of a `message` may be left out. `packed_data` of
/// `gzip_packed` may be an object, which is compressed.
///
/// # Errors
///
/// Fails if `json` is not an object of the schema.
pub fn encode_object(schema: &Schema, json: &Value) -> Result<Vec<u8>, DynamicEncodeError> {
    encode(schema, &Type::Object, json)
}

/// Writes a value of a type in TL, otherwise as [`encode_object`].
///
/// # Errors
///
/// Fails if `json` is not a value of the type.
pub fn encode(schema: &Schema, ty: &Type, json: &Value) -> Result<Vec<u8>, DynamicEncodeError> {
    let mut writer = Writer { schema, out: Vec::new(), path: String::new(), depth: 0 };
    writer.value(ty, json)?;
    Ok(writer.out)
}

/// The longest string in bytes: its length has three bytes.
const MAX_STRING: usize = 0xff_ffff;
/// How much of an unexpected value an error repeats, in bytes.
const SHOWN: usize = 40;

type Written = Result<(), DynamicEncodeError>;

struct Writer<'s> {
    schema: &'s Schema,
    out: Vec<u8>,
    path: String,
    depth: u16,
}

impl<'s> Writer<'s> {
    #[cold]
    fn fail<T>(&self, kind: EncodeErrorKind) -> Result<T, DynamicEncodeError> {
        Err(DynamicEncodeError { path: self.path.clone(), kind })
    }

    #[cold]
    fn unexpected<T>(&self, expected: impl Into<String>, found: &Value) -> Result<T, DynamicEncodeError> {
        let mut found = match found {
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
            plain => plain.to_string(),
        };
        if let Some((end, _)) = found.char_indices().find(|(at, _)| *at >= SHOWN) {
            found.truncate(end);
            found.push('…');
        }
        self.fail(EncodeErrorKind::Unexpected { expected: expected.into(), found })
    }

    /// Writes what is one step below.
    fn within(&mut self, step: &str, write: impl FnOnce(&mut Self) -> Written) -> Written {
        let len = self.path.len();
        if !self.path.is_empty() && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        write(self)?;
        self.path.truncate(len);
        Ok(())
    }

    fn value(&mut self, ty: &Type, json: &Value) -> Written {
        match ty {
            Type::True => {}
            Type::Nat => {
                let number = self.integer::<u32>(ty, json)?;
                self.out.extend(number.to_le_bytes());
            }
            Type::Int => {
                let number = self.integer::<i32>(ty, json)?;
                self.out.extend(number.to_le_bytes());
            }
            Type::Long => {
                let number = self.integer::<i64>(ty, json)?;
                self.out.extend(number.to_le_bytes());
            }
            Type::Double => {
                let number = self.double(json)?;
                self.out.extend(number);
            }
            Type::Bool => match json {
                Value::Bool(value) => self.bool(*value),
                other => return self.unexpected("true or false", other),
            },
            Type::String => match json {
                Value::String(text) => self.string(text.as_bytes())?,
                Value::Object(map) if map.len() == 1 && map.contains_key("hex") => {
                    let bytes = self.bytes(&map["hex"])?;
                    self.string(&bytes)?;
                }
                other => return self.unexpected("a string", other),
            },
            Type::Bytes => {
                let bytes = self.bytes(json)?;
                self.string(&bytes)?;
            }
            Type::Int128 => self.fixed(16, json)?,
            Type::Int256 => self.fixed(32, json)?,
            Type::Int512 => self.fixed(64, json)?,
            Type::Vector { element, boxed } => match json {
                Value::Array(elements) => self.vector(element, *boxed, elements)?,
                other => return self.unexpected(format!("a list for {ty}"), other),
            },
            Type::Object | Type::Generic { .. } => self.any(json)?,
            Type::Boxed(name) => self.boxed(name, json)?,
            Type::Bare(name) => {
                let definition = self.schema.constructor(name);
                self.bare(definition.expect("the schema was checked"), json)?;
            }
            Type::BareOf(name) => {
                let definition = self.schema.constructors_of(name).next();
                self.bare(definition.expect("the schema was checked"), json)?;
            }
        }
        Ok(())
    }

    /// Returns a number, or one in a string.
    fn integer<T: TryFrom<i64> + core::str::FromStr>(
        &self,
        ty: &Type,
        json: &Value,
    ) -> Result<T, DynamicEncodeError> {
        let number = match json {
            Value::Number(number) => number.as_i64().and_then(|number| T::try_from(number).ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let expected = match ty {
            Type::Nat => "a number from 0 to 4294967295",
            Type::Int => "a number of 32 bits",
            _ => "a number of 64 bits",
        };
        number.map_or_else(|| self.unexpected(expected, json), Ok)
    }

    fn double(&self, json: &Value) -> Result<[u8; 8], DynamicEncodeError> {
        let number = match json {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                _ => None,
            },
            Value::Object(map) if map.len() == 1 && map.contains_key("hex") => {
                let bytes = self.bytes(&map["hex"])?;
                bytes.try_into().ok().map(f64::from_le_bytes)
            }
            _ => None,
        };
        number.map(f64::to_le_bytes).map_or_else(|| self.unexpected("a number", json), Ok)
    }

    fn bool(&mut self, value: bool) {
        let id = if value { id::BOOL_TRUE } else { id::BOOL_FALSE };
        self.out.extend(id.to_le_bytes());
    }

    /// Returns bytes that are given in hexadecimal, or as a list of numbers.
    fn bytes(&self, json: &Value) -> Result<Vec<u8>, DynamicEncodeError> {
        let bytes = match json {
            Value::String(digits) => HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok(),
            Value::Array(numbers) => numbers
                .iter()
                .map(|number| number.as_u64().and_then(|number| u8::try_from(number).ok()))
                .collect(),
            _ => None,
        };
        bytes.map_or_else(|| self.unexpected("bytes in hexadecimal", json), Ok)
    }

    fn fixed(&mut self, len: usize, json: &Value) -> Written {
        let bytes = self.bytes(json)?;
        if bytes.len() != len {
            return self.unexpected(format!("{len} bytes in hexadecimal"), json);
        }
        self.out.extend(bytes);
        Ok(())
    }

    fn string(&mut self, bytes: &[u8]) -> Written {
        let start = self.out.len();
        match bytes.len() {
            short @ ..254 => self.out.push(short as u8),
            len @ ..=MAX_STRING => self.out.extend(((len as u32) << 8 | 0xfe).to_le_bytes()),
            len => return self.fail(EncodeErrorKind::TooLong { len }),
        }
        self.out.extend(bytes);
        let padded = (self.out.len() - start).next_multiple_of(4);
        self.out.resize(start + padded, 0);
        Ok(())
    }

    fn vector(&mut self, element: &Type, boxed: bool, elements: &[Value]) -> Written {
        if boxed {
            self.out.extend(id::VECTOR.to_le_bytes());
        }
        // A list of 2³¹ values does not fit in memory.
        self.out.extend((elements.len() as i32).to_le_bytes());
        self.enter()?;
        for (index, json) in elements.iter().enumerate() {
            self.within(&format!("[{index}]"), |writer| writer.value(element, json))?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self) -> Written {
        if self.depth >= DecodeLimits::DEEPEST {
            return self.fail(EncodeErrorKind::TooDeep { limit: DecodeLimits::DEEPEST });
        }
        self.depth += 1;
        Ok(())
    }

    /// Writes a value in the place of an `Object`.
    fn any(&mut self, json: &Value) -> Written {
        let map = match json {
            Value::Bool(value) => {
                self.bool(*value);
                return Ok(());
            }
            Value::Array(elements) => return self.vector(&Type::Object, true, elements),
            Value::Object(map) => map,
            other => return self.unexpected("an object with `_`", other),
        };
        if self.raw(map)? {
            return Ok(());
        }
        let name = self.name(map, json)?;
        if name == "vector" {
            return self.untyped_vector(map, json);
        }
        let definition = self.find(name, |_| true)?;
        self.out.extend(definition.id.to_le_bytes());
        self.fields(definition, map)
    }

    fn untyped_vector(&mut self, map: &Map<String, Value>, json: &Value) -> Written {
        let of = map.get("of").and_then(Value::as_str);
        let element = match of {
            Some("int") => Type::Int,
            Some("long") => Type::Long,
            Some("double") => Type::Double,
            Some("string") => Type::String,
            Some("bytes") => Type::Bytes,
            Some("Bool") => Type::Bool,
            Some("Object") => Type::Object,
            _ => return self.unexpected("`of` with the type of the elements: int, long, string, …", json),
        };
        match map.get("elements") {
            Some(Value::Array(elements)) => self.vector(&element, true, elements),
            _ => self.unexpected("`elements` with a list", json),
        }
    }

    fn boxed(&mut self, ty: &Name, json: &Value) -> Written {
        let Value::Object(map) = json else {
            return self.unexpected(format!("an object of type {ty}"), json);
        };
        if self.raw(map)? {
            return Ok(());
        }
        let is_of = |one: &Definition| {
            one.category == Category::Types && matches!(&one.result, Type::Boxed(name) if name == ty)
        };
        let constructors: Vec<_> = self.schema.constructors_of(ty).collect();
        // The only constructor need not be named.
        let definition = match constructors[..] {
            [only] if !map.contains_key("_") => only,
            _ => {
                let name = self.name(map, json)?;
                match self.find(name, is_of) {
                    Err(error) if self.find(name, |_| true).is_ok() => {
                        let (name, wanted) = (name.to_owned(), ty.to_string());
                        return Err(DynamicEncodeError {
                            kind: EncodeErrorKind::WrongType { name, wanted },
                            ..error
                        });
                    }
                    found => found?,
                }
            }
        };
        self.out.extend(definition.id.to_le_bytes());
        self.fields(definition, map)
    }

    fn bare(&mut self, definition: &'s Definition, json: &Value) -> Written {
        match json {
            Value::Object(map) => {
                if let Some(name) = map.get("_").and_then(Value::as_str) {
                    let is_wanted = |one: &Definition| one.index == definition.index;
                    if self.find(name, is_wanted).is_err() {
                        let (name, wanted) = (name.to_owned(), definition.name.to_string());
                        return self.fail(EncodeErrorKind::WrongType { name, wanted });
                    }
                }
                self.fields(definition, map)
            }
            other => self.unexpected(format!("an object `{}`", definition.name), other),
        }
    }

    /// Writes bytes that are given as they are, and returns whether they are.
    fn raw(&mut self, map: &Map<String, Value>) -> Result<bool, DynamicEncodeError> {
        let Some(raw) = map.get("_raw") else { return Ok(false) };
        let bytes = self.bytes(raw)?;
        self.out.extend(bytes);
        Ok(true)
    }

    fn name<'j>(&self, map: &'j Map<String, Value>, json: &Value) -> Result<&'j str, DynamicEncodeError> {
        match map.get("_") {
            Some(Value::String(name)) => Ok(name),
            Some(other) => self.unexpected("a name", other),
            None => self.unexpected("`_` with the name of a constructor or function", json),
        }
    }

    /// Returns the definition of a name, with or without its id behind `#`, that a place accepts.
    fn find(
        &self,
        text: &str,
        accepts: impl Fn(&Definition) -> bool,
    ) -> Result<&'s Definition, DynamicEncodeError> {
        let (name, id) = match text.split_once('#') {
            Some((name, digits)) => (Name::new(name), Some(u32::from_str_radix(digits, 16))),
            None => (Name::new(text), None),
        };
        let schema = self.schema;
        let candidates = [schema.function(&name), schema.constructor(&name)];
        let has_id = |one: &&Definition| id.as_ref().is_none_or(|id| *id == Ok(one.id));
        let found = candidates.into_iter().flatten().filter(has_id).find(|one| accepts(one));
        found.map_or_else(|| self.fail(EncodeErrorKind::UnknownName { name: text.to_owned() }), Ok)
    }

    fn fields(&mut self, definition: &'s Definition, map: &Map<String, Value>) -> Written {
        self.enter()?;
        if self.path.is_empty() {
            self.path = definition.name.to_string();
        }
        let is_field = |key: &str| definition.params.iter().any(|param| param.name == key);
        if let Some(key) = map.keys().find(|key| *key != "_" && !is_field(key)) {
            let (field, definition) = (key.clone(), definition.line());
            return self.fail(EncodeErrorKind::UnknownField { field, definition });
        }
        for (index, param) in definition.params.iter().enumerate() {
            let next = definition.params.get(index + 1);
            match &param.kind {
                ParameterKind::Flags => {
                    let word = self.flags_word(definition, param, map)?;
                    self.out.extend(word.to_le_bytes());
                }
                ParameterKind::Value { ty: Type::True, .. } => {}
                ParameterKind::Value { ty: Type::Int, condition: None }
                    if param.name == "bytes" && next.is_some_and(is_object) =>
                {
                    return self.message(definition, map, index);
                }
                ParameterKind::Value { ty, condition } => {
                    let json = map.get(&param.name);
                    let json = if condition.is_some() { json.filter(|json| !json.is_null()) } else { json };
                    match json {
                        Some(json) => self.field(definition, param, ty, json)?,
                        None if condition.is_some() => {}
                        None => return self.fail(EncodeErrorKind::MissingField { field: param.to_string() }),
                    }
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn field(&mut self, definition: &Definition, param: &Parameter, ty: &Type, json: &Value) -> Written {
        let is_packed = definition.id == id::GZIP_PACKED
            && matches!(ty, Type::Bytes | Type::String)
            && !json.is_string()
            && !matches!(json, Value::Array(list) if list.iter().any(Value::is_number));
        self.within(&param.name, |writer| {
            if !is_packed {
                return writer.value(ty, json);
            }
            let before = core::mem::take(&mut writer.out);
            writer.any(json)?;
            let content = core::mem::replace(&mut writer.out, before);
            writer.string(&gzip::pack(&content))
        })
    }

    /// Returns the given word, and the bits of the fields that are there.
    fn flags_word(
        &self,
        definition: &Definition,
        word: &Parameter,
        map: &Map<String, Value>,
    ) -> Result<u32, DynamicEncodeError> {
        let mut bits = match map.get(&word.name) {
            None | Some(Value::Null) => 0,
            Some(json) => self.integer::<u32>(&Type::Nat, json)?,
        };
        let conditional = || {
            definition.fields().filter_map(|(param, ty, condition)| {
                let condition = condition.filter(|condition| condition.word == word.name)?;
                Some((param, ty, 1 << condition.bit))
            })
        };
        let is_there = |param: &Parameter, ty: &Type| match map.get(&param.name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) if *ty == Type::True => Ok(*value),
            Some(other) if *ty == Type::True => {
                self.unexpected(format!("true or false for `{param}`"), other)
            }
            Some(_) => Ok(true),
        };
        for (param, ty, bit) in conditional() {
            if is_there(param, ty)? {
                bits |= bit;
            }
        }
        for (param, ty, bit) in conditional() {
            if bits & bit != 0 && *ty != Type::True && !is_there(param, ty)? {
                return self.fail(EncodeErrorKind::MissingFlaggedField { field: param.to_string() });
            }
        }
        Ok(bits)
    }

    /// Writes `bytes:int body:Object`, the last fields of a message: `bytes` is the length of the body.
    fn message(&mut self, definition: &'s Definition, map: &Map<String, Value>, index: usize) -> Written {
        let (len_param, body) = (&definition.params[index], &definition.params[index + 1]);
        let Some(json) = map.get(&body.name) else {
            return self.fail(EncodeErrorKind::MissingField { field: body.to_string() });
        };
        let at = self.out.len();
        self.out.extend([0; 4]);
        self.within(&body.name, |writer| writer.any(json))?;
        let len = (self.out.len() - at - 4) as i32;
        if let Some(given) = map.get(&len_param.name)
            && self.integer::<i32>(&Type::Int, given)? != len
        {
            return self.within(&len_param.name, |writer| writer.unexpected(len.to_string(), given));
        }
        self.out[at..at + 4].copy_from_slice(&len.to_le_bytes());
        self.depth -= 1;
        Ok(())
    }
}

fn is_object(param: &Parameter) -> bool {
    matches!(param.kind, ParameterKind::Value { ty: Type::Object, condition: None })
}
