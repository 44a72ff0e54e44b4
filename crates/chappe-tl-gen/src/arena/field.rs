//! Types of fields: in Rust, and in the tables.

use chappe_tl_parser::{Condition, Definition, Name, Type};

use super::kind;
use super::shape::Shapes;
use crate::names::{self, path};

impl Shapes<'_, '_> {
    /// The Rust type of a field, `life` being the lifetime of what it borrows: `'a`.
    pub(super) fn rust_type(&self, ty: &Type, condition: Option<&Condition>, life: &str) -> String {
        let is_object = matches!(ty, Type::Boxed(_) | Type::Bare(_) | Type::BareOf(_));
        match (condition, is_object) {
            _ if matches!(ty, Type::True) => "bool".to_owned(),
            (None, _) => self.value_type(ty, life),
            (Some(_), true) => format!("tl::Option<&{life} {}>", self.value_type(ty, life)),
            (Some(_), false) => format!("tl::Option<{}>", self.value_type(ty, life)),
        }
    }

    /// The Rust type of a value that is there.
    pub(super) fn value_type(&self, ty: &Type, life: &str) -> String {
        match ty {
            Type::Nat => "u32".to_owned(),
            Type::Int => "i32".to_owned(),
            Type::Long => "i64".to_owned(),
            Type::Double => "f64".to_owned(),
            Type::Bool | Type::True => "bool".to_owned(),
            Type::String => format!("&{life} str"),
            Type::Bytes => format!("&{life} [u8]"),
            Type::Int128 => "[u8; 16]".to_owned(),
            Type::Int256 => "[u8; 32]".to_owned(),
            Type::Int512 => "tl::Int512".to_owned(),
            Type::Object => format!("tl::RawObject<{life}>"),
            Type::Vector { element, .. } => format!("&{life} [{}]", self.value_type(element, life)),
            Type::Generic { name, .. } => names::generic_name(name),
            Type::Boxed(name) => self.enum_path(name, life),
            Type::Bare(_) | Type::BareOf(_) => match self.plan.bare_target(ty) {
                Some(target) => self.struct_path("types", target, life),
                None => "()".to_owned(),
            },
        }
    }

    /// The path of the enum of a type.
    pub(super) fn enum_path(&self, ty: &Name, life: &str) -> String {
        path("enums", ty) + &with_life(self.type_borrows(ty), life)
    }

    /// The path of the struct of a constructor or function.
    pub(super) fn struct_path(&self, module: &str, definition: &Definition, life: &str) -> String {
        path(module, &definition.name) + &with_life(self.borrows(definition), life)
    }

    /// The path of the struct of a function; its queries are raw.
    pub(super) fn call_path(&self, function: &Definition, life: &str) -> String {
        let mut arguments = Vec::new();
        if self.borrows(function) {
            arguments.push(life.to_owned());
        }
        arguments.extend(function.generics.iter().map(|_| format!("tl::RawObject<{life}>")));
        let path = path("functions", &function.name);
        if arguments.is_empty() { path } else { format!("{path}<{}>", arguments.join(", ")) }
    }

    /// Whether a row is a vector, and what it is, or what is in it.
    pub(super) fn row(ty: &Type) -> (bool, Target<'_>) {
        let (is_list, value) = match ty {
            Type::Vector { element, .. } => (true, &**element),
            other => (false, other),
        };
        let target = match value {
            Type::True => Target::Kind(kind::FLAG),
            Type::Nat => Target::Kind(kind::NAT),
            Type::Int => Target::Kind(kind::INT),
            Type::Long => Target::Kind(kind::LONG),
            Type::Double => Target::Kind(kind::DOUBLE),
            Type::Bool => Target::Kind(kind::BOOL),
            Type::String => Target::Kind(kind::STR),
            Type::Bytes => Target::Kind(kind::BYTES),
            Type::Int128 => Target::Kind(kind::INT128),
            Type::Int256 => Target::Kind(kind::INT256),
            Type::Int512 => Target::Kind(kind::INT512),
            Type::Generic { .. } | Type::Object => Target::Kind(kind::QUERY),
            Type::Boxed(name) => Target::Type(name),
            Type::Vector { .. } | Type::Bare(_) | Type::BareOf(_) => Target::Other(value),
        };
        (is_list, target)
    }
}

/// What a row is, or what is in it.
pub(super) enum Target<'t> {
    /// A type that has a kind of its own, with the number of that.
    Kind(u8),
    /// A type of the schema.
    Type(&'t Name),
    /// A vector or a bare object.
    Other(&'t Type),
}

/// `<'a>`, if there is something to borrow.
pub(super) fn with_life(borrows: bool, life: &str) -> String {
    if borrows { format!("<{life}>") } else { String::new() }
}
