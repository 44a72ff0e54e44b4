//! Structs: constructors and functions, and what their values can do.

use std::collections::BTreeMap;

use chappe_tl_parser::{Definition, ParameterKind, Type};

use super::shape::Shapes;
use super::tables::Places;
use crate::code::{Code, hex};
use crate::{docs, names};

/// Writes the struct of a constructor.
pub(super) fn constructor(
    code: &mut Code,
    shapes: &Shapes<'_, '_>,
    places: &Places,
    constructor: &Definition,
) {
    declaration(code, shapes, constructor);
    if !shapes.is_bare(constructor) {
        return;
    }
    let ty = lived(shapes, constructor);
    let line = places.lines[&constructor.index];
    let of = names::type_name(&constructor.name.ident) + &parameters(shapes, constructor, "'o", "");
    code.line(0, &format!("tl::bare_object! {{ {PROMISE} {ty}, {of}, &layout::BARE_{line} }}"));
}

/// Says what the values of these constructors can do.
pub(super) fn constructors(
    code: &mut Code,
    shapes: &Shapes<'_, '_>,
    places: &Places,
    constructors: &[&Definition],
) {
    let plain = constructors.iter().filter(|constructor| !shapes.is_bare(constructor));
    let lines = plain.map(|constructor| {
        format!("{}, {};", lived(shapes, constructor), digits(places.lines[&constructor.index]))
    });
    list(code, "tl::objects!", "layout::Structs;", &lines.collect::<Vec<_>>());
}

/// Writes the struct of a function, and what it returns if it is generic.
pub(super) fn function(code: &mut Code, shapes: &Shapes<'_, '_>, function: &Definition) {
    declaration(code, shapes, function);
    if function.generics.is_empty() {
        return;
    }
    generic(code, shapes, function);
    open_impl(code, shapes, function, ": tl::RemoteCall", "tl::RemoteCall");
    code.line(1, &format!("type Return = {};", shapes.owned_type(&function.result)));
    code.line(0, "}");
}

/// Says what the values of these functions can do, and what they return.
pub(super) fn functions(
    code: &mut Code,
    shapes: &Shapes<'_, '_>,
    places: &Places,
    functions: &[&Definition],
) {
    let plain = functions.iter().filter(|function| function.generics.is_empty());
    let lines = plain.map(|function| {
        let answer = shapes.owned_type(&function.result);
        format!("{}, {}, {answer};", lived(shapes, function), digits(places.lines[&function.index]))
    });
    list(code, "tl::calls!", "layout::Calls;", &lines.collect::<Vec<_>>());
}

/// The number of a line as the digits that `chappe_tl::table::Of` takes.
fn digits(line: usize) -> String {
    format!("D{} D{} D{} D{}", line / 1000, line / 100 % 10, line / 10 % 10, line % 10)
}

/// What every macro that contains `unsafe` begins with.
pub(super) const PROMISE: &str = "unsafe { tl::Promise::new() };";

/// Writes a macro with a list, if there is anything in it.
pub(super) fn list(code: &mut Code, name: &str, of: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    code.blank();
    code.line(0, format!("{name} {{ {PROMISE} {of}").trim_end());
    for line in lines {
        code.line(1, line);
    }
    code.line(0, "}");
}

/// `['a] Name<'a>`, or `[] Name`
fn lived(shapes: &Shapes<'_, '_>, definition: &Definition) -> String {
    let life = if shapes.borrows(definition) { "'a" } else { "" };
    let name = names::type_name(&definition.name.ident);
    format!("[{life}] {name}{}", parameters(shapes, definition, "'a", ""))
}

/// `<'a, X>`, each `X` with `bound`.
fn parameters(shapes: &Shapes<'_, '_>, definition: &Definition, life: &str, bound: &str) -> String {
    let mut parameters = Vec::new();
    if shapes.borrows(definition) && !life.is_empty() {
        parameters.push(life.to_owned());
    }
    parameters.extend(definition.generics.iter().map(|name| format!("{}{bound}", names::generic_name(name))));
    if parameters.is_empty() { String::new() } else { format!("<{}>", parameters.join(", ")) }
}

/// `impl<X: tl::Bound> tl::Trait for Name<'_, X> {`
fn open_impl(code: &mut Code, shapes: &Shapes<'_, '_>, definition: &Definition, bound: &str, of: &str) {
    let generics = parameters(shapes, definition, "", bound);
    let name = names::type_name(&definition.name.ident) + &parameters(shapes, definition, "'_", "");
    code.impl_for(0, &format!("{generics} {of}"), &name);
}

fn declaration(code: &mut Code, shapes: &Shapes<'_, '_>, definition: &Definition) {
    docs::definition(code, shapes.plan, definition);
    if !definition.generics.is_empty() {
        code.line(0, "#[derive(Clone, Copy, Debug, PartialEq)]");
    }
    code.line(0, "#[repr(C)]");
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

/// Writes what the values of a generic function can do: its query is any call.
///
/// They are written field by field, because a table cannot know how large the query is.
fn generic(code: &mut Code, shapes: &Shapes<'_, '_>, function: &Definition) {
    open_impl(code, shapes, function, "", "tl::Identifiable");
    code.line(1, &format!("const CONSTRUCTOR_ID: u32 = {};", hex(function.id)));
    code.line(0, "}");
    open_impl(code, shapes, function, ": tl::Serializable", "tl::Serializable");
    code.line(1, "#[inline]");
    code.line(1, "fn serialize<S: tl::Sink + ?tl::Sized>(&self, out: &mut S) -> tl::Encoded {");
    code.line(2, &format!("tl::unit({}, out)?;", hex(function.id)));
    for param in &function.params {
        let field = names::field_name(&param.name);
        match &param.kind {
            ParameterKind::Flags => put_flags(code, function, &param.name),
            ParameterKind::Value { ty: Type::True, .. } => {}
            ParameterKind::Value { ty: Type::Vector { boxed: false, .. }, condition: None } => {
                code.line(2, &format!("tl::write_elements(self.{field}, out)?;"));
            }
            ParameterKind::Value { ty: Type::Vector { boxed: false, .. }, .. } => {
                code.line(
                    2,
                    &format!("if let Some(values) = self.{field} {{ tl::write_elements(values, out)?; }}"),
                );
            }
            ParameterKind::Value {
                ty: Type::Boxed(_) | Type::Bare(_) | Type::BareOf(_),
                condition: Some(_),
            } => {
                code.line(2, &format!("if let Some(value) = self.{field} {{ tl::put(value, out)?; }}"));
            }
            ParameterKind::Value { .. } => code.line(2, &format!("tl::put(&self.{field}, out)?;")),
        }
    }
    code.line(2, "Ok(())");
    code.line(1, "}");
    code.line(0, "}");
}

/// Computes and writes a flags word. Fields that share a bit must agree (SEC-117).
fn put_flags(code: &mut Code, function: &Definition, word: &str) {
    let mut bits: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for (param, ty, condition) in function.fields() {
        let Some(condition) = condition.filter(|condition| condition.word == word) else { continue };
        let field = names::field_name(&param.name);
        let is_set = if matches!(ty, Type::True) { "" } else { ".is_some()" };
        bits.entry(condition.bit).or_default().push(format!("self.{field}{is_set}"));
    }
    for (bit, fields) in bits.iter().filter(|(_, fields)| fields.len() > 1) {
        let names = format!("&\"{} {word}\"", function.name);
        code.line(2, &format!("tl::flag_group({names}, {bit}, &[{}])?;", fields.join(", ")));
    }
    let items: Vec<String> = bits.iter().map(|(bit, fields)| format!("({bit}, {})", fields[0])).collect();
    code.line(2, &format!("tl::put_flags(&[{}], out);", items.join(", ")));
}

impl Shapes<'_, '_> {
    /// The type of an answer that owns what it holds.
    fn owned_type(&self, result: &Type) -> String {
        match result {
            Type::Generic { name, .. } => format!("{}::Return", names::generic_name(name)),
            Type::Vector { element, boxed } if matches!(element.innermost(), Type::Generic { .. }) => {
                let vector = if *boxed { "Vec" } else { "RawVec" };
                format!("tl::{vector}<{}>", self.owned_type(element))
            }
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
