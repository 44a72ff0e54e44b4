//! From bytes to objects.

use core::fmt;

use chappe_tl_parser::{Category, Condition, Definition, ParameterKind, Schema, Type};

use crate::decode_error::{DecodeErrorKind, DynamicDecodeError};
use crate::gzip::{self, UnpackError};
use crate::id;
use crate::object::{AnyObject, Field, Packed, Value, Vector};

/// The bounds of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeLimits {
    /// Maximum nesting of objects and vectors. Values above [`DecodeLimits::DEEPEST`] count as that.
    pub depth: u16,
    /// Maximum number of values: fields, elements and objects.
    pub values: usize,
    /// Maximum size of unpacked data in bytes, for all packed data together.
    pub unpacked: usize,
}

impl DecodeLimits {
    /// The largest usable [`depth`](Self::depth): deeper JSON is not read by `serde_json`.
    pub const DEEPEST: u16 = 120;
}

impl Default for DecodeLimits {
    /// 64 objects deep, 2²⁰ values, 16 MiB of unpacked data.
    fn default() -> Self {
        Self { depth: 64, values: 1 << 20, unpacked: 16 << 20 }
    }
}

type Answers<'o> = &'o dyn Fn(i64) -> Option<Type>;

/// Reads objects of a schema.
#[derive(Clone, Copy)]
pub struct Decoder<'s, 'o> {
    schema: &'s Schema,
    limits: DecodeLimits,
    answers: Option<Answers<'o>>,
}

impl fmt::Debug for Decoder<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<'s, 'o> Decoder<'s, 'o> {
    /// Reads objects of `schema` with the default limits.
    pub fn new(schema: &'s Schema) -> Self {
        Self { schema, limits: DecodeLimits::default(), answers: None }
    }

    /// Sets the limits.
    #[must_use]
    pub const fn limits(mut self, limits: DecodeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets where to look up the type of the answer to the query with a `msg_id` ([`AnyObject::answer_type`]).
    ///
    /// It is used for `rpc_result`. Without it the elements of a vector in an answer are guessed.
    #[must_use]
    pub const fn answers(mut self, answers: &'o dyn Fn(i64) -> Option<Type>) -> Self {
        self.answers = Some(answers);
        self
    }

    /// Reads a constructor or a call of a function, by its id.
    ///
    /// # Errors
    ///
    /// Fails if `bytes` are not exactly one object of the schema, or if it exceeds a limit.
    pub fn object(&self, bytes: &[u8]) -> Result<AnyObject<'s>, DynamicDecodeError> {
        let explored = self.explore(bytes);
        match (explored.value, explored.error) {
            (Value::Object(object), None) => Ok(object),
            (_, Some(error)) => Err(error),
            (_, None) => unreachable!("what is no object is an error"),
        }
    }

    /// Reads a value of a type; of [`Type::Object`] any boxed object, vector or `Bool`.
    ///
    /// # Errors
    ///
    /// Fails if `bytes` are not exactly one value of the type, or if it exceeds a limit.
    pub fn value(&self, ty: &Type, bytes: &[u8]) -> Result<Value<'s>, DynamicDecodeError> {
        let explored = self.run(bytes, |reader| reader.value(ty));
        explored.error.map_or(Ok(explored.value), Err)
    }

    /// Reads a constructor or a call of a function as far as it can be read.
    pub fn explore(&self, bytes: &[u8]) -> Explored<'s> {
        self.run(bytes, |reader| {
            let value = reader.by_id().map(Value::Object);
            value.unwrap_or_else(|| reader.unread(0))
        })
    }

    fn run<'b>(&self, bytes: &'b [u8], read: impl FnOnce(&mut Reader<'b, 's>) -> Value<'s>) -> Explored<'s>
    where
        'o: 'b,
    {
        let mut reader = Reader {
            schema: self.schema,
            limits: self.limits,
            answers: self.answers,
            bytes,
            pos: 0,
            end: bytes.len(),
            depth: 0,
            spent: Spent::default(),
            path: Vec::new(),
            problem: None,
            earlier_problem: None,
        };
        let value = read(&mut reader);
        reader.finish();
        Explored { value, error: reader.earlier_problem.or(reader.problem) }
    }
}

impl<'s> AnyObject<'s> {
    /// Reads a constructor or a call of a function, by its id.
    ///
    /// # Errors
    ///
    /// Fails if `bytes` are not exactly one object of the schema, or if it exceeds the default [`DecodeLimits`].
    pub fn from_bytes(schema: &'s Schema, bytes: &[u8]) -> Result<Self, DynamicDecodeError> {
        Decoder::new(schema).object(bytes)
    }
}

/// An object that was read as far as possible.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explored<'s> {
    /// What was read. If there is an error, it has a [`Value::Unread`] or lacks its last fields.
    pub value: Value<'s>,
    /// The first problem.
    pub error: Option<DynamicDecodeError>,
}

/// What was used of the limits.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    values: usize,
    unpacked: usize,
}

/// A step from an object to a value in it.
#[derive(Clone, Copy, Debug)]
enum Step<'s> {
    Object(&'s Definition),
    Field(&'s str),
    Index(usize),
}

/// Reads values until the first problem. A method that returns `None` has reported one.
struct Reader<'b, 's> {
    schema: &'s Schema,
    limits: DecodeLimits,
    answers: Option<Answers<'b>>,
    bytes: &'b [u8],
    pos: usize,
    /// The end of what may be read: that of the buffer, or of a message in a container.
    end: usize,
    depth: u16,
    spent: Spent,
    path: Vec<Step<'s>>,
    problem: Option<DynamicDecodeError>,
    /// A problem in a message that was skipped.
    earlier_problem: Option<DynamicDecodeError>,
}

impl<'b, 's> Reader<'b, 's> {
    #[cold]
    fn fail<T>(&mut self, offset: usize, kind: DecodeErrorKind) -> Option<T> {
        let mut path = String::new();
        for step in &self.path {
            match step {
                // Only the outermost object is named: fields identify the others.
                Step::Object(definition) if path.is_empty() => path = definition.name.to_string(),
                Step::Object(_) => {}
                Step::Field(name) if path.is_empty() => (*name).clone_into(&mut path),
                Step::Field(name) => path = format!("{path}.{name}"),
                Step::Index(index) => path = format!("{path}[{index}]"),
            }
        }
        self.problem.get_or_insert(DynamicDecodeError { path, offset, kind });
        None
    }

    const fn remaining(&self) -> usize {
        self.end - self.pos
    }

    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        if self.remaining() < len {
            let remaining = self.remaining();
            return self.fail(self.pos, DecodeErrorKind::UnexpectedEnd { needed: len, remaining });
        }
        let taken = &self.bytes[self.pos..self.pos + len];
        self.pos += len;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.take(N)?;
        taken.first_chunk().copied()
    }

    fn word(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn finish(&mut self) {
        let count = self.remaining();
        if self.problem.is_none() && count > 0 {
            let _: Option<()> = self.fail(self.pos, DecodeErrorKind::TrailingBytes { count });
        }
    }

    fn unread(&mut self, start: usize) -> Value<'s> {
        self.pos = self.end;
        Value::Unread(self.bytes[start..self.end].to_vec())
    }

    /// Counts a value.
    fn spend(&mut self) -> Option<()> {
        if self.spent.values >= self.limits.values {
            return self.fail(self.pos, DecodeErrorKind::TooManyValues { limit: self.limits.values });
        }
        self.spent.values += 1;
        Some(())
    }

    fn enter(&mut self) -> Option<()> {
        let limit = self.limits.depth.min(DecodeLimits::DEEPEST);
        if self.depth >= limit {
            return self.fail(self.pos, DecodeErrorKind::TooDeep { limit });
        }
        self.depth += 1;
        Some(())
    }

    /// Reads a value; on failure the rest of the bytes.
    fn value(&mut self, ty: &Type) -> Value<'s> {
        let start = self.pos;
        match self.read(ty) {
            Some(value) => value,
            None => self.unread(start),
        }
    }

    fn read(&mut self, ty: &Type) -> Option<Value<'s>> {
        self.spend()?;
        Some(match ty {
            Type::Nat => Value::Nat(self.word()?),
            Type::Int => Value::Int(self.array().map(i32::from_le_bytes)?),
            Type::Long => Value::Long(self.array().map(i64::from_le_bytes)?),
            Type::Double => Value::Double(self.array().map(f64::from_le_bytes)?),
            Type::String => Value::String(self.string()?.to_vec()),
            Type::Bytes => Value::Bytes(self.string()?.to_vec()),
            Type::Int128 => Value::Int128(self.array()?),
            Type::Int256 => Value::Int256(self.array()?),
            Type::Int512 => Value::Int512(Box::new(self.array()?)),
            Type::True => Value::True,
            Type::Bool => Value::Bool(self.bool()?),
            Type::Vector { element, boxed } => Value::Vector(self.vector(element, *boxed)?),
            Type::Object | Type::Generic { .. } => self.any(None)?,
            Type::Boxed(name) => {
                let definition = self.constructor_of(name)?;
                let offset = self.pos - 4;
                Value::Object(self.object(definition, offset)?)
            }
            Type::Bare(name) => {
                let definition = self.schema.constructor(name).expect("the schema was checked");
                Value::Object(self.object(definition, self.pos)?)
            }
            Type::BareOf(name) => {
                let definition = self.schema.constructors_of(name).next().expect("the schema was checked");
                Value::Object(self.object(definition, self.pos)?)
            }
        })
    }

    fn bool(&mut self) -> Option<bool> {
        let offset = self.pos;
        match self.word()? {
            id::BOOL_TRUE => Some(true),
            id::BOOL_FALSE => Some(false),
            other => self.wrong_type(offset, other, &Type::Bool),
        }
    }

    fn string(&mut self) -> Option<&'b [u8]> {
        let start = self.pos;
        let [first] = self.array()?;
        let len = match first {
            255 => return self.fail(start, DecodeErrorKind::BadStringPrefix),
            254 => {
                let [a, b, c] = self.array()?;
                u32::from_le_bytes([a, b, c, 0]) as usize
            }
            short => usize::from(short),
        };
        let text = self.take(len)?;
        let read = self.pos - start;
        self.take(read.next_multiple_of(4) - read)?;
        Some(text)
    }

    fn vector(&mut self, element: &Type, boxed: bool) -> Option<Vector<'s>> {
        if boxed {
            let offset = self.pos;
            let found = self.word()?;
            if found != id::VECTOR {
                let wanted = Type::Vector { element: Box::new(element.clone()), boxed };
                return self.wrong_type(offset, found, &wanted);
            }
        }
        self.enter()?;
        let offset = self.pos;
        let count = self.array().map(i32::from_le_bytes)?;
        let most = self.remaining().checked_div(least_len(element)).unwrap_or(usize::MAX);
        let Some(count) = usize::try_from(count).ok().filter(|count| *count <= most) else {
            return self.fail(offset, DecodeErrorKind::BadCount { count });
        };
        let mut elements = Vec::new();
        for index in 0..count {
            self.path.push(Step::Index(index));
            elements.push((self.pos, self.value(element)));
            self.path.pop();
            if self.problem.is_some() {
                break;
            }
        }
        self.depth -= 1;
        Some(Vector { untyped: None, elements })
    }

    /// Reads the id of a constructor of a type.
    fn constructor_of(&mut self, ty: &chappe_tl_parser::Name) -> Option<&'s Definition> {
        let offset = self.pos;
        let id = self.word()?;
        let is_of = |one: &&Definition| {
            one.category == Category::Types && matches!(&one.result, Type::Boxed(name) if name == ty)
        };
        let found = self.schema.by_id(id).filter(is_of);
        match found.or_else(|| self.schema.constructors_of(ty).find(|one| one.id == id)) {
            Some(definition) => Some(definition),
            None => self.wrong_type(offset, id, &Type::Boxed(ty.clone())),
        }
    }

    #[cold]
    fn wrong_type<T>(&mut self, offset: usize, id: u32, wanted: &Type) -> Option<T> {
        let kind = match self.schema.by_id(id) {
            Some(found) => {
                DecodeErrorKind::WrongType { id, name: found.name.to_string(), wanted: wanted.to_string() }
            }
            None => DecodeErrorKind::UnknownConstructor { id },
        };
        self.fail(offset, kind)
    }

    /// Reads a boxed object, a vector or a `Bool`. `answer` is its type, if the query is known.
    fn any(&mut self, answer: Option<&Type>) -> Option<Value<'s>> {
        let found = self.bytes[self.pos..self.end].first_chunk().copied().map(u32::from_le_bytes);
        match (found, answer) {
            (Some(id::GZIP_PACKED), _) => self.enter_packed(answer),
            (Some(id::RPC_ERROR), _) => self.by_id().map(Value::Object),
            (Some(id::VECTOR), Some(Type::Vector { element, .. })) => {
                let mut vector = self.vector(element, true)?;
                vector.untyped = Some((**element).clone());
                Some(Value::Vector(vector))
            }
            (_, Some(ty)) if *ty != Type::Object => self.read(ty),
            (Some(id::VECTOR), _) => self.guess().map(Value::Vector),
            (Some(id::BOOL_TRUE | id::BOOL_FALSE), _) => self.bool().map(Value::Bool),
            _ => self.by_id().map(Value::Object),
        }
    }

    /// Reads a vector that ends where the bytes end.
    fn guess(&mut self) -> Option<Vector<'s>> {
        let start = self.pos;
        for element in [Type::Object, Type::Long, Type::Int, Type::String] {
            let (depth, path) = (self.depth, self.path.len());
            let vector = self.vector(&element, true);
            if let Some(mut vector) = vector
                && self.problem.is_none()
                && self.pos == self.end
            {
                vector.untyped = Some(element);
                return Some(vector);
            }
            if let Some(problem) = self.problem.take()
                && matches!(problem.kind, DecodeErrorKind::TooManyValues { .. })
            {
                self.problem = Some(problem);
                return None;
            }
            (self.pos, self.depth) = (start, depth);
            self.path.truncate(path);
        }
        self.fail(start, DecodeErrorKind::UnknownElements)
    }

    fn by_id(&mut self) -> Option<AnyObject<'s>> {
        let offset = self.pos;
        let id = self.word()?;
        match self.schema.by_id(id) {
            Some(definition) => self.object(definition, offset),
            None => self.fail(offset, DecodeErrorKind::UnknownConstructor { id }),
        }
    }

    fn enter_packed(&mut self, answer: Option<&Type>) -> Option<Value<'s>> {
        let offset = self.pos;
        let id = self.word()?;
        let Some(definition) = self.schema.by_id(id) else {
            return self.fail(offset, DecodeErrorKind::UnknownConstructor { id });
        };
        self.object_with(definition, offset, answer).map(Value::Object)
    }

    fn object(&mut self, definition: &'s Definition, offset: usize) -> Option<AnyObject<'s>> {
        self.object_with(definition, offset, None)
    }

    /// Reads the fields of an object, as far as possible.
    fn object_with(
        &mut self,
        definition: &'s Definition,
        offset: usize,
        answer: Option<&Type>,
    ) -> Option<AnyObject<'s>> {
        self.enter()?;
        self.path.push(Step::Object(definition));
        let is_ambiguous = match definition.category {
            Category::Types => self.schema.function(&definition.name).is_some(),
            Category::Functions => self.schema.constructor(&definition.name).is_some(),
        };
        let mut object = AnyObject { definition, is_ambiguous, offset, fields: Vec::new() };
        for param in &definition.params {
            let (ty, condition) = match &param.kind {
                ParameterKind::Flags => (&Type::Nat, None),
                ParameterKind::Value { ty, condition } => (ty, condition.as_ref()),
            };
            if condition.is_some_and(|condition| !is_set(&object, condition)) {
                continue;
            }
            self.path.push(Step::Field(&param.name));
            let offset = self.pos;
            let value = self.field(&object, ty, answer);
            self.path.pop();
            object.fields.push(Field { param, offset, value });
            if self.problem.is_some() {
                break;
            }
        }
        self.path.pop();
        self.depth -= 1;
        Some(object)
    }

    /// Reads the next field of an object, with what is known beyond the schema.
    fn field(&mut self, object: &AnyObject<'s>, ty: &Type, answer: Option<&Type>) -> Value<'s> {
        let start = self.pos;
        let value = match (object.definition.id, ty, object.fields.last()) {
            (id::GZIP_PACKED, Type::Bytes | Type::String, _) => self.packed(answer),
            (id::RPC_RESULT, Type::Object, Some(Field { value: Value::Long(query), .. })) => {
                let answer = self.answers.and_then(|answers| answers(*query));
                self.any(answer.as_ref())
            }
            (_, Type::Object, Some(Field { param, value: Value::Int(len), .. })) if param.name == "bytes" => {
                self.message(*len)
            }
            _ => self.read(ty),
        };
        match value {
            Some(value) => value,
            None => self.unread(start),
        }
    }

    /// Reads the body of a message of `len` bytes. If it cannot be read, reading goes on behind it.
    fn message(&mut self, len: i32) -> Option<Value<'s>> {
        let remaining = self.remaining();
        let len = match usize::try_from(len) {
            Ok(len) if len <= remaining => len,
            Ok(needed) => return self.fail(self.pos, DecodeErrorKind::UnexpectedEnd { needed, remaining }),
            Err(_) => return self.fail(self.pos - 4, DecodeErrorKind::BadCount { count: len }),
        };
        let end = core::mem::replace(&mut self.end, self.pos + len);
        let (depth, path) = (self.depth, self.path.len());
        let start = self.pos;
        let value = match self.any(None) {
            Some(value) => value,
            None => self.unread(start),
        };
        self.finish();
        if let Some(problem) = self.problem.take() {
            self.earlier_problem.get_or_insert(problem);
        }
        self.path.truncate(path);
        (self.pos, self.end, self.depth) = (self.end, end, depth);
        Some(value)
    }

    fn packed(&mut self, answer: Option<&Type>) -> Option<Value<'s>> {
        let start = self.pos;
        let packed = self.string()?;
        let left = self.limits.unpacked - self.spent.unpacked;
        let data = match gzip::unpack(packed, left) {
            Ok(data) => data,
            Err(UnpackError::Damaged) => return self.fail(start, DecodeErrorKind::BadGzip),
            Err(UnpackError::TooLarge) => {
                return self.fail(start, DecodeErrorKind::TooLarge { limit: self.limits.unpacked });
            }
        };
        self.spent.unpacked += data.len();
        let mut inner = Reader {
            bytes: &data,
            pos: 0,
            end: data.len(),
            path: core::mem::take(&mut self.path),
            earlier_problem: None,
            problem: None,
            ..*self
        };
        let content = match inner.any(answer) {
            Some(content) => content,
            None => inner.unread(0),
        };
        inner.finish();
        let problem = inner.earlier_problem.or(inner.problem);
        (self.path, self.spent) = (inner.path, inner.spent);
        self.problem = problem;
        Some(Value::Packed(Box::new(Packed { packed_len: packed.len(), len: data.len(), content })))
    }
}

fn is_set(object: &AnyObject<'_>, condition: &Condition) -> bool {
    matches!(object.get(&condition.word), Some(Value::Nat(bits)) if bits >> condition.bit & 1 == 1)
}

/// Returns a lower bound of the encoded length of a value.
const fn least_len(ty: &Type) -> usize {
    match ty {
        // Constructors without fields may be infinitely many: the limit of values applies.
        Type::True | Type::Bare(_) | Type::BareOf(_) => 0,
        Type::Long | Type::Double | Type::Vector { boxed: true, .. } => 8,
        Type::Int128 => 16,
        Type::Int256 => 32,
        Type::Int512 => 64,
        _ => 4,
    }
}
