//! Enums: the types, boxed, with all their constructors.

use chappe_tl_parser::{Definition, Name};

use super::rust_type::struct_path;
use super::structs::{derives, serde_rename};
use crate::code::{Code, hex};
use crate::{GeneratorOptions, Plan, docs, names};

/// A type: enum, codec, conversions.
pub(super) fn write(code: &mut Code, plan: &Plan<'_>, options: &GeneratorOptions, ty: &Name) {
    let variants: Vec<Variant<'_>> =
        plan.schema().constructors_of(ty).map(|constructor| Variant::new(plan, constructor)).collect();
    let name = names::type_name(&ty.ident);
    let empty = plan.empty_constructor(ty).map(|constructor| constructor.index);
    declaration(code, plan, options, ty, &name, &variants, empty);
    code.blank();
    serializable(code, &name, &variants);
    code.blank();
    deserializable(code, ty, &name, &variants, plan.least_of_type(ty));
    for variant in &variants {
        code.blank();
        from(code, &name, variant);
        code.blank();
        try_from(code, &name, variant, variants.len() == 1);
    }
}

/// How a variant holds its constructor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Payload {
    None,
    Inline,
    Boxed,
}

impl Payload {
    /// A reference to the constructor, given one to what the variant holds.
    const fn object(self) -> &'static str {
        if matches!(self, Self::Boxed) { "&**object" } else { "object" }
    }
}

struct Variant<'d> {
    constructor: &'d Definition,
    name: String,
    path: String,
    payload: Payload,
}

impl<'d> Variant<'d> {
    fn new(plan: &Plan<'_>, constructor: &'d Definition) -> Self {
        let payload = match (constructor.params.is_empty(), plan.is_boxed(constructor)) {
            (true, _) => Payload::None,
            (false, true) => Payload::Boxed,
            (false, false) => Payload::Inline,
        };
        Self {
            constructor,
            name: plan.variant(constructor).to_owned(),
            path: struct_path("types", &constructor.name),
            payload,
        }
    }
}

fn declaration(
    code: &mut Code,
    plan: &Plan<'_>,
    options: &GeneratorOptions,
    ty: &Name,
    name: &str,
    variants: &[Variant<'_>],
    empty: Option<usize>,
) {
    code.line(0, &format!("/// Any constructor of `{ty}`."));
    docs::ty(code, plan, ty);
    derives(code, options.serde_feature.as_deref(), empty.is_some());
    code.line(0, &format!("pub enum {name} {{"));
    for variant in variants {
        code.line(1, &format!("/// `{}`", variant.constructor.line()));
        if empty == Some(variant.constructor.index) {
            code.line(1, "#[default]");
        }
        let tl_name = variant.constructor.name.to_string();
        serde_rename(code, 1, options.serde_feature.as_deref(), &tl_name);
        let payload = match variant.payload {
            Payload::None => String::new(),
            Payload::Inline => format!("({})", variant.path),
            Payload::Boxed => format!("(tl::Box<{}>)", variant.path),
        };
        code.line(1, &format!("{}{payload},", variant.name));
    }
    code.line(0, "}");
}

fn serializable(code: &mut Code, name: &str, variants: &[Variant<'_>]) {
    code.impl_for(0, " tl::Serializable", name);
    code.line(1, "fn serialized_len(&self) -> usize {");
    code.line(2, "match self {");
    for variant in variants {
        match variant.payload {
            Payload::None => code.line(3, &format!("Self::{} => 4,", variant.name)),
            payload => {
                let object = payload.object();
                code.line(3, &format!("Self::{}(object) => 4 + tl::len({object}),", variant.name));
            }
        }
    }
    code.line(2, "}");
    code.line(1, "}");
    code.blank();
    code.line(1, "fn serialize<S: tl::Sink + ?tl::Sized>(&self, out: &mut S) -> tl::Encoded {");
    code.line(2, "match self {");
    for Variant { name, payload, constructor, .. } in variants {
        let id = hex(constructor.id);
        match payload {
            Payload::None => code.line(3, &format!("Self::{name} => tl::unit({id}, out),")),
            payload => {
                let object = payload.object();
                code.line(3, &format!("Self::{name}(object) => tl::boxed({id}, {object}, out),"));
            }
        }
    }
    code.line(2, "}");
    code.line(1, "}");
    code.line(0, "}");
}

fn deserializable(code: &mut Code, ty: &Name, name: &str, variants: &[Variant<'_>], least_len: usize) {
    code.impl_for(0, " tl::Deserializable", name);
    if least_len != 4 {
        code.line(1, &format!("const LEAST_LEN: usize = {least_len};"));
        code.blank();
    }
    code.line(1, "fn deserialize(buf: tl::Buffer<'_, '_>) -> tl::Result<Self> {");
    code.line(2, "match buf.read_u32()? {");
    for Variant { name, payload, constructor, .. } in variants {
        let id = hex(constructor.id);
        match payload {
            Payload::None => code.line(3, &format!("{id} => Ok(Self::{name}),")),
            _ => code.line(3, &format!("{id} => tl::read(buf).map(Self::{name}),")),
        }
    }
    code.line(3, &format!("id => Err(buf.unknown_id(\"{ty}\", id).named(name_for_id)),"));
    code.line(2, "}");
    code.line(1, "}");
    code.line(0, "}");
}

fn from(code: &mut Code, name: &str, variant: &Variant<'_>) {
    code.impl_for(0, &format!(" tl::From<{}>", variant.path), name);
    let (object, value) = match variant.payload {
        Payload::None => ("_", format!("Self::{}", variant.name)),
        Payload::Inline => ("object", format!("Self::{}(object)", variant.name)),
        Payload::Boxed => ("object", format!("Self::{}(tl::Box::new(object))", variant.name)),
    };
    code.list(1, "fn from(", "", &[format!("{object}: {}", variant.path)], ") -> Self {");
    code.line(2, &value);
    code.line(1, "}");
    code.line(0, "}");
}

fn try_from(code: &mut Code, name: &str, variant: &Variant<'_>, is_only: bool) {
    code.impl_for(0, &format!(" tl::TryFrom<{name}>"), &variant.path);
    code.line(1, &format!("type Error = {name};"));
    code.blank();
    code.list(
        1,
        "fn try_from(",
        "",
        &[format!("object: {name}")],
        &format!(") -> tl::CoreResult<Self, {name}> {{"),
    );
    code.line(2, "match object {");
    match variant.payload {
        Payload::None => code.line(3, &format!("{name}::{} => Ok(Self {{}}),", variant.name)),
        Payload::Inline => code.line(3, &format!("{name}::{}(object) => Ok(object),", variant.name)),
        Payload::Boxed => code.line(3, &format!("{name}::{}(object) => Ok(*object),", variant.name)),
    }
    if !is_only {
        code.line(3, "other => Err(other),");
    }
    code.line(2, "}");
    code.line(1, "}");
    code.line(0, "}");
}
