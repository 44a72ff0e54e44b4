//! The model of a schema.

use core::fmt;

/// A name with its namespace: `auth.sentCode`, `ping`, `engine.validator.stats`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The part before the last dot. It may have dots itself.
    pub namespace: Option<String>,
    /// The part after the last dot.
    pub ident: String,
}

impl Name {
    /// Splits `text` at its last dot.
    pub fn new(text: &str) -> Self {
        match text.rsplit_once('.') {
            Some((namespace, ident)) => {
                Self { namespace: Some(namespace.to_owned()), ident: ident.to_owned() }
            }
            None => Self { namespace: None, ident: text.to_owned() },
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}.")?;
        }
        f.write_str(&self.ident)
    }
}

/// The section of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// `---types---`: constructors.
    Types,
    /// `---functions---`.
    Functions,
}

/// A constructor or function.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Definition {
    /// Its name.
    pub name: Name,
    /// Its id: the explicit one of the schema, otherwise the computed one.
    pub id: u32,
    /// Whether the id is explicit in the schema.
    pub has_explicit_id: bool,
    /// Its type parameters: `X` of `{X:Type}`.
    pub generics: Vec<String>,
    /// Its parameters, in wire order.
    pub params: Vec<Parameter>,
    /// The type that it constructs or returns.
    pub result: Type,
    /// Its section.
    pub category: Category,
    /// The layer of the `===N===` section that it stands in.
    pub layer: Option<i32>,
    /// The source of the definition on one line, without comments and final `;`.
    pub text: String,
    /// Its byte offset in the file.
    pub offset: usize,
    /// Its position among the definitions of its schema, which identifies it: names may occur in both sections, and ids may
    /// occur twice.
    pub index: usize,
}

impl Definition {
    /// Returns the definition as one line of a schema, with its id in 8 digits and a final `;`.
    pub fn line(&self) -> String {
        let mut words = vec![format!("{}#{:08x}", self.name, self.id)];
        words.extend(self.generics.iter().map(|generic| format!("{{{generic}:Type}}")));
        words.extend(self.params.iter().map(Parameter::to_string));
        words.push(format!("= {};", self.result));
        words.join(" ")
    }

    /// Returns whether `id` is the one that the rule of the dialect gives.
    pub fn has_computed_id(&self, dialect: crate::Dialect) -> bool {
        self.id == crate::id::compute_in(dialect, &self.text)
    }

    /// Returns the parameters that carry a value, without the flags words.
    pub fn fields(&self) -> impl Iterator<Item = (&Parameter, &Type, Option<&Condition>)> {
        self.params.iter().filter_map(|param| match &param.kind {
            ParameterKind::Flags => None,
            ParameterKind::Value { ty, condition } => Some((param, ty, condition.as_ref())),
        })
    }

    /// Returns the parameters that carry a value and are conditional on `bit` of `word`, in wire order.
    pub fn fields_of_bit<'a>(
        &'a self,
        word: &'a str,
        bit: u8,
    ) -> impl Iterator<Item = (&'a Parameter, &'a Type)> {
        self.fields().filter_map(move |(param, ty, condition)| {
            condition
                .is_some_and(|condition| condition.word == word && condition.bit == bit)
                .then_some((param, ty))
        })
    }
}

/// A parameter of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, as in the schema.
    pub name: String,
    /// Whether it is a flags word or a value.
    pub kind: ParameterKind,
}

/// The kind of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// A flags word, whose bits tell which later parameters are present: `flags:#`.
    ///
    /// A `#` that no later parameter depends on is a value of [`Type::Nat`].
    Flags,
    /// A value.
    Value {
        /// Its type.
        ty: Type,
        /// Its condition. Without one it is always present.
        condition: Option<Condition>,
    },
}

/// `flags.3?`: the parameter is present if the bit is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The flags word, an earlier parameter.
    pub word: String,
    /// The bit, 0 to 31.
    pub bit: u8,
}

/// The type of a parameter or result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `#` that is no flags word: a number of 32 bits without sign.
    Nat,
    /// `int`
    Int,
    /// `long`
    Long,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `int128`
    Int128,
    /// `int256`
    Int256,
    /// `int512`
    Int512,
    /// `Bool`
    Bool,
    /// `true`: the flag bit is the value. Only in conditions.
    True,
    /// `Object`: any boxed object, where the schema has no type of that name.
    Object,
    /// `Vector<T>` with its constructor id, `vector<T>` or `%Vector<T>` without.
    Vector {
        /// The type of the elements.
        element: Box<Self>,
        /// Whether the constructor id is on the wire.
        boxed: bool,
    },
    /// A type parameter: `X`, or `!X`, the encoding of a function.
    Generic {
        /// The name of the parameter.
        name: String,
        /// Whether `!` precedes it.
        call: bool,
    },
    /// `Peer`: any constructor of the type, with its id.
    Boxed(Name),
    /// `future_salt`: the fields of that constructor.
    Bare(Name),
    /// `%Message`: the fields of the only constructor of that type.
    BareOf(Name),
}

impl Type {
    /// Returns the type of the elements if this is a vector, at any depth; otherwise the type itself.
    pub fn innermost(&self) -> &Self {
        match self {
            Self::Vector { element, .. } => element.innermost(),
            other => other,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nat => f.write_str("#"),
            Self::Int => f.write_str("int"),
            Self::Long => f.write_str("long"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Int128 => f.write_str("int128"),
            Self::Int256 => f.write_str("int256"),
            Self::Int512 => f.write_str("int512"),
            Self::Bool => f.write_str("Bool"),
            Self::True => f.write_str("true"),
            Self::Object => f.write_str("Object"),
            Self::Vector { element, boxed } => {
                write!(f, "{}<{element}>", if *boxed { "Vector" } else { "vector" })
            }
            Self::Generic { name, call } => write!(f, "{}{name}", if *call { "!" } else { "" }),
            Self::Boxed(name) | Self::Bare(name) => name.fmt(f),
            Self::BareOf(name) => write!(f, "%{name}"),
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ParameterKind::Flags => write!(f, "{}:#", self.name),
            ParameterKind::Value { ty, condition: None } => write!(f, "{}:{ty}", self.name),
            ParameterKind::Value { ty, condition: Some(Condition { word, bit }) } => {
                write!(f, "{}:{word}.{bit}?{ty}", self.name)
            }
        }
    }
}
