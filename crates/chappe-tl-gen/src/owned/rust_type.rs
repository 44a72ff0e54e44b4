//! TL types as Rust types.

use chappe_tl_parser::{Definition, Name, Parameter, ParameterKind, Type};

use crate::{Plan, names};

/// The path of a constructor's struct.
pub(super) fn struct_path(module: &str, name: &Name) -> String {
    names::path(module, name)
}

/// The Rust type of a value.
pub(super) fn rust_type(plan: &Plan<'_>, ty: &Type) -> String {
    match ty {
        Type::Nat => "u32".to_owned(),
        Type::Int => "i32".to_owned(),
        Type::Long => "i64".to_owned(),
        Type::Double => "f64".to_owned(),
        Type::Bool | Type::True => "bool".to_owned(),
        Type::Int128 => "[u8; 16]".to_owned(),
        Type::Int256 => "[u8; 32]".to_owned(),
        Type::Int512 => "tl::Int512".to_owned(),
        Type::String => "tl::String".to_owned(),
        Type::Bytes => "tl::Vec<u8>".to_owned(),
        Type::Object => "tl::Blob".to_owned(),
        Type::Vector { element, boxed: true } => format!("tl::Vec<{}>", rust_type(plan, element)),
        Type::Vector { element, boxed: false } => format!("tl::RawVec<{}>", rust_type(plan, element)),
        Type::Generic { name, .. } => names::generic_name(name),
        Type::Boxed(name) => struct_path("enums", name),
        Type::Bare(name) => struct_path("types", name),
        Type::BareOf(name) => {
            let target = plan.bare_target(ty).map_or(name, |constructor| &constructor.name);
            struct_path("types", target)
        }
    }
}

/// A parameter that carries a value.
pub(super) struct Field<'d> {
    /// Its name in TL.
    pub(super) name: &'d str,
    /// Its name in Rust.
    pub(super) rust_name: String,
    /// Its type in Rust, `Option` and `Box` included.
    pub(super) rust_type: String,
    /// Its TL type.
    pub(super) ty: &'d Type,
    /// Whether the value stands in a `Box`.
    pub(super) is_boxed: bool,
    /// The word and bit it depends on.
    pub(super) condition: Option<(&'d str, u8)>,
}

impl<'d> Field<'d> {
    /// A field of `owner`; `None` for a flags word.
    pub(super) fn new(plan: &Plan<'_>, owner: &Definition, param: &'d Parameter) -> Option<Self> {
        let ParameterKind::Value { ty, condition } = &param.kind else { return None };
        let mut rust_type = rust_type(plan, ty);
        let is_boxed = plan.is_bare_cycle(owner, ty);
        if is_boxed {
            rust_type = format!("tl::Box<{rust_type}>");
        }
        if condition.is_some() && *ty != Type::True {
            rust_type = format!("tl::Option<{rust_type}>");
        }
        Some(Self {
            name: &param.name,
            rust_name: names::field_name(&param.name),
            rust_type,
            ty,
            is_boxed,
            condition: condition.as_ref().map(|condition| (condition.word.as_str(), condition.bit)),
        })
    }

    /// A call of `put` or `len` with the field, and with what is given behind it.
    pub(super) fn call(&self, function: &str, behind: &str) -> String {
        let name = &self.rust_name;
        match (self.is_boxed, self.condition) {
            (true, Some(_)) => format!("tl::{function}_optional(self.{name}.as_deref(){behind})"),
            (true, None) => format!("tl::{function}(&*self.{name}{behind})"),
            (false, _) => format!("tl::{function}(&self.{name}{behind})"),
        }
    }

    /// Whether the field is nothing but its flag.
    pub(super) fn is_flag(&self) -> bool {
        *self.ty == Type::True
    }

    /// An expression that says whether the field's bit must be set.
    pub(super) fn is_set(&self) -> String {
        if self.is_flag() {
            format!("self.{}", self.rust_name)
        } else {
            format!("self.{}.is_some()", self.rust_name)
        }
    }
}
