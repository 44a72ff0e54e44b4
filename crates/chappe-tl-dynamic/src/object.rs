//! Objects and values as they were read.

use chappe_tl_parser::{Definition, Parameter, Type};

/// A constructor with its fields, or a call of a function.
///
/// `Display` prints a tree with offsets; long strings are shortened, and `{:#}` prints them whole. `Serialize` writes the
/// [JSON](crate#json) that [`encode_object`](crate::encode_object) reads.
#[derive(Clone, Debug, PartialEq)]
pub struct AnyObject<'s> {
    pub(crate) definition: &'s Definition,
    /// Whether the name alone does not identify the definition.
    pub(crate) is_ambiguous: bool,
    pub(crate) offset: usize,
    pub(crate) fields: Vec<Field<'s>>,
}

impl<'s> AnyObject<'s> {
    /// Returns the definition of the schema.
    pub const fn definition(&self) -> &'s Definition {
        self.definition
    }

    /// Returns where the object begins, in bytes from the start of the buffer; of a boxed object, where its id is.
    ///
    /// Inside of a [`Packed`] value offsets count from the start of the unpacked data.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the fields that are there, flags words included, in wire order.
    pub fn fields(&self) -> &[Field<'s>] {
        &self.fields
    }

    /// Returns the value of the field called `name`, or `None` if it is absent.
    pub fn get(&self, name: &str) -> Option<&Value<'s>> {
        self.fields.iter().find(|field| field.param.name == name).map(|field| &field.value)
    }

    /// Returns the type of the answer to this call.
    ///
    /// Of a function that wraps another one (`invokeWithLayer`) it is the type of that one's answer; [`Type::Object`] if there
    /// is none. Of a constructor it is its type.
    pub fn answer_type(&self) -> Type {
        let mut object = self;
        while let Type::Generic { name, .. } = &object.definition.result {
            let inner = object.fields.iter().find_map(|field| match (field.ty()?, &field.value) {
                (Type::Generic { name: used, .. }, Value::Object(inner)) if used == name => Some(inner),
                _ => None,
            });
            match inner {
                Some(inner) => object = inner,
                None => return Type::Object,
            }
        }
        object.definition.result.clone()
    }
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Field<'s> {
    /// Its parameter in the schema.
    pub param: &'s Parameter,
    /// Where its value begins, in bytes.
    pub offset: usize,
    /// Its value.
    pub value: Value<'s>,
}

impl<'s> Field<'s> {
    /// Returns its type, or `None` if it is a flags word.
    pub const fn ty(&self) -> Option<&'s Type> {
        match &self.param.kind {
            chappe_tl_parser::ParameterKind::Flags => None,
            chappe_tl_parser::ParameterKind::Value { ty, .. } => Some(ty),
        }
    }
}

/// A value of any type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'s> {
    /// `#`, flags words included.
    Nat(u32),
    /// `int`
    Int(i32),
    /// `long`
    Long(i64),
    /// `double`
    Double(f64),
    /// `Bool`
    Bool(bool),
    /// `flags.N?true`: the bit is set.
    True,
    /// `string`: UTF-8 if the sender keeps to the rules.
    String(Vec<u8>),
    /// `bytes`
    Bytes(Vec<u8>),
    /// `int128`, in the order of the wire.
    Int128([u8; 16]),
    /// `int256`, in the order of the wire.
    Int256([u8; 32]),
    /// `int512`, in the order of the wire.
    Int512(Box<[u8; 64]>),
    /// `Vector<T>` or `vector<T>`
    Vector(Vector<'s>),
    /// An object, boxed or bare.
    Object(AnyObject<'s>),
    /// `packed_data` of `gzip_packed`.
    Packed(Box<Packed<'s>>),
    /// The bytes from where reading stopped to the end. Only in [`Explored`](crate::Explored).
    Unread(Vec<u8>),
}

impl<'s> Value<'s> {
    /// Returns the object, if it is one.
    pub const fn as_object(&self) -> Option<&AnyObject<'s>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// The elements of a vector.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Vector<'s> {
    /// The type of the elements, where the schema does not state it: in place of an `Object`. It is known from the query, or
    /// guessed from the bytes.
    pub untyped: Option<Type>,
    /// The offset and value of each element.
    pub elements: Vec<(usize, Value<'s>)>,
}

/// What `gzip_packed` contains.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Packed<'s> {
    /// The size of the compressed data in bytes.
    pub packed_len: usize,
    /// The size of the data in bytes.
    pub len: usize,
    /// The object. Its offsets count from the start of the unpacked data.
    pub content: Value<'s>,
}
