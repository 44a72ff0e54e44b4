//! Structs: constructors and functions, and how they are written.

use std::collections::BTreeMap;

use chappe_tl_parser::{Category, Definition, ParameterKind, Type};

use super::shape::Shapes;
use crate::code::{Code, hex};
use crate::names;

/// Writes the struct of a constructor and its encoding, without its id.
pub(super) fn constructor(code: &mut Code, shapes: &Shapes<'_, '_>, constructor: &Definition) {
    declaration(code, shapes, constructor);
    code.blank();
    identifiable(code, shapes, constructor);
    code.blank();
    encode(code, shapes, constructor);
}

/// Writes the struct of a function, its encoding with its id, and what it returns.
pub(super) fn function(code: &mut Code, shapes: &Shapes<'_, '_>, function: &Definition) {
    declaration(code, shapes, function);
    code.blank();
    identifiable(code, shapes, function);
    code.blank();
    remote_call(code, shapes, function);
    code.blank();
    encode(code, shapes, function);
}

/// `<'a, X>`, each `X` with `bound`.
fn parameters(shapes: &Shapes<'_, '_>, definition: &Definition, life: &str, bound: &str) -> String {
    let mut parameters = Vec::new();
    if shapes.borrows(definition) && !life.is_empty() {
        parameters.push(life.to_owned());
    }
    parameters.extend(definition.generics.iter().map(|name| format!("{}{bound}", names::type_name(name))));
    if parameters.is_empty() { String::new() } else { format!("<{}>", parameters.join(", ")) }
}

/// `impl<X: tl::Bound> tl::Trait for Name<'_, X> {`
fn open_impl(code: &mut Code, shapes: &Shapes<'_, '_>, definition: &Definition, bound: &str, of: &str) {
    let generics = parameters(shapes, definition, "", bound);
    let name = names::type_name(&definition.name.ident) + &parameters(shapes, definition, "'_", "");
    code.impl_for(0, &format!("{generics} {of}"), &name);
}

fn declaration(code: &mut Code, shapes: &Shapes<'_, '_>, definition: &Definition) {
    code.line(0, &format!("/// `{}`", definition.line()));
    if !definition.generics.is_empty() {
        code.line(0, "#[derive(Clone, Copy, Debug, PartialEq)]");
    }
    let name = names::type_name(&definition.name.ident) + &parameters(shapes, definition, "'a", "");
    if Shapes::is_unit(definition) {
        return code.line(0, &format!("pub struct {name} {{}}"));
    }
    code.line(0, &format!("pub struct {name} {{"));
    for (param, ty, condition) in definition.fields() {
        let field = names::field_name(&param.name);
        code.line(1, &format!("pub {field}: {},", shapes.rust_type(ty, condition, "'a")));
    }
    code.line(0, "}");
}

fn identifiable(code: &mut Code, shapes: &Shapes<'_, '_>, definition: &Definition) {
    open_impl(code, shapes, definition, "", "tl::Identifiable");
    code.line(1, &format!("const CONSTRUCTOR_ID: u32 = {};", hex(definition.id)));
    code.line(0, "}");
}

fn remote_call(code: &mut Code, shapes: &Shapes<'_, '_>, function: &Definition) {
    open_impl(code, shapes, function, ": tl::RemoteCall", "tl::RemoteCall");
    code.line(1, &format!("type Return = {};", shapes.owned_type(&function.result)));
    code.line(0, "}");
}

impl Shapes<'_, '_> {
    /// The type of an answer that owns what it holds.
    fn owned_type(&self, result: &Type) -> String {
        match result {
            Type::Generic { name, .. } => format!("{}::Return", names::type_name(name)),
            Type::Object => "tl::Blob".to_owned(),
            Type::String => "tl::String".to_owned(),
            Type::Bytes => "tl::Vec<u8>".to_owned(),
            Type::Vector { element, boxed: true } if matches!(**element, Type::Int | Type::Long) => {
                format!("tl::Vec<{}>", self.value_type(element, ""))
            }
            Type::Boxed(_) | Type::Vector { .. } | Type::Bare(_) | Type::BareOf(_) => {
                format!("tl::Decoded<{}>", self.value_type(result, "'static"))
            }
            _ => self.value_type(result, ""),
        }
    }
}

fn encode(code: &mut Code, shapes: &Shapes<'_, '_>, definition: &Definition) {
    let is_function = definition.category == Category::Functions;
    open_impl(code, shapes, definition, ": tl::Serializable", "tl::Serializable");
    code.line(1, "#[inline]");
    if definition.params.is_empty() && !is_function {
        code.line(1, "fn serialize<S: tl::Sink + ?Sized>(&self, _: &mut S) -> tl::Encoded {");
        code.line(2, "Ok(())");
        code.line(1, "}");
        return code.line(0, "}");
    }
    code.line(1, "fn serialize<S: tl::Sink + ?Sized>(&self, out: &mut S) -> tl::Encoded {");
    code.line(2, "let mut w = tl::Writer::new(out);");
    if is_function {
        code.line(2, &format!("w.word({});", hex(definition.id)));
    }
    for param in &definition.params {
        let field = names::field_name(&param.name);
        match &param.kind {
            ParameterKind::Flags => flags(code, definition, &param.name),
            ParameterKind::Value { ty: Type::True, .. } => {}
            ParameterKind::Value { ty: Type::Vector { boxed: false, .. }, .. } => {
                code.line(2, &format!("w.put(&tl::Bare(self.{field}));"));
            }
            ParameterKind::Value { .. } => code.line(2, &format!("w.put(&self.{field});")),
        }
    }
    code.line(2, "w.finish()");
    code.line(1, "}");
    code.line(0, "}");
}

/// Computes and writes a flags word. Fields that share a bit must agree (SEC-117).
fn flags(code: &mut Code, definition: &Definition, word: &str) {
    let mut bits: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for (param, ty, condition) in definition.fields() {
        if let Some(condition) = condition.filter(|condition| condition.word == word) {
            let field = names::field_name(&param.name);
            bits.entry(condition.bit).or_default().push(match ty {
                Type::True => format!("self.{field}"),
                _ => format!("self.{field}.is_some()"),
            });
        }
    }
    if bits.is_empty() {
        return code.line(2, "w.word(0);");
    }
    code.line(2, "let mut flags = tl::Flags::new();");
    for (bit, fields) in &bits {
        let set = if fields.len() > 1 { "shared" } else { "set" };
        for field in fields {
            code.line(2, &format!("flags.{set}({bit}, {field});"));
        }
    }
    if bits.values().any(|fields| fields.len() > 1) {
        code.line(2, &format!("w.checked_flags(flags, \"{}\", \"{word}\");", definition.name));
    } else {
        code.line(2, "w.flags(flags);");
    }
}
