//! Structs: constructors and functions, and what their values can do.

use chappe_tl_parser::{Definition, ParameterKind, Type};

use super::shape::Shapes;
use super::tables::{Places, least};
use crate::code::{Code, hex};
use crate::names;

/// Writes the struct of a constructor, and what its values can do.
pub(super) fn constructor(
    code: &mut Code,
    shapes: &Shapes<'_, '_>,
    places: &Places,
    constructor: &Definition,
) {
    declaration(code, shapes, constructor);
    let place = format!("tables::CONSTRUCTORS[{}]", places.constructors[&constructor.id]);
    let (ty, rows) = (any(shapes, constructor), rows(constructor, "x"));
    if !shapes.is_bare(constructor) {
        return code.line(0, &format!("tl::object! {{ {ty}, {place}, x, {rows} }}"));
    }
    let path = names::type_name(&constructor.name.ident) + &parameters(shapes, constructor, "'static", "");
    let (name, least) = (&constructor.name, least(shapes, constructor));
    let table = format!("&tl::Type::bare::<{path}>(\"{name}\", {least}, &{place})");
    code.line(0, &format!("tl::bare_object! {{ {ty}, {table}, x, {rows} }}"));
}

/// Writes the struct of a function, what its values can do, and what it returns.
pub(super) fn function(code: &mut Code, shapes: &Shapes<'_, '_>, function: &Definition, place: &str) {
    declaration(code, shapes, function);
    let answer = shapes.owned_type(&function.result);
    if function.generics.is_empty() {
        let (ty, rows) = (any(shapes, function), rows(function, "x"));
        return code.line(0, &format!("tl::call! {{ {ty}, {place}, x, {rows}, {answer} }}"));
    }
    generic(code, shapes, function, place);
    open_impl(code, shapes, function, ": tl::RemoteCall", "tl::RemoteCall");
    code.line(1, &format!("type Return = {answer};"));
    code.line(0, "}");
}

/// `Name<'_>`
fn any(shapes: &Shapes<'_, '_>, definition: &Definition) -> String {
    names::type_name(&definition.name.ident) + &parameters(shapes, definition, "'_", "")
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
fn generic(code: &mut Code, shapes: &Shapes<'_, '_>, function: &Definition, place: &str) {
    open_impl(code, shapes, function, "", "tl::Identifiable");
    code.line(1, &format!("const CONSTRUCTOR_ID: u32 = {};", hex(function.id)));
    code.line(0, "}");
    open_impl(code, shapes, function, "", "tl::Layout");
    code.line(1, &format!("const LAYOUT: &'static tl::Type = &tl::Type::of_call(&{place});"));
    code.line(0, "}");
    open_impl(code, shapes, function, ": tl::Serializable", "tl::Serializable");
    code.line(1, "#[inline]");
    code.line(1, "fn serialize<S: tl::Sink + ?Sized>(&self, out: &mut S) -> tl::Encoded {");
    code.line(2, &format!("tl::write(self, {}, out)", rows(function, "self")));
    code.line(1, "}");
    code.line(0, "}");
}

/// The most fields that a tuple of `chappe_tl::table::Fields` has.
const TUPLE: usize = 12;

/// The fields of `object` in the order of the wire, flags words included, as `chappe_tl::table::Fields`.
fn rows(definition: &Definition, object: &str) -> String {
    let mut rows = Vec::new();
    for param in &definition.params {
        let field = names::field_name(&param.name);
        rows.push(match &param.kind {
            ParameterKind::Flags => "tl::Word".to_owned(),
            ParameterKind::Value { ty: Type::Vector { boxed: false, .. }, .. } => {
                format!("tl::Bare({object}.{field})")
            }
            ParameterKind::Value {
                ty: Type::Boxed(_) | Type::Bare(_) | Type::BareOf(_) | Type::Generic { .. },
                condition: None,
            } => format!("&{object}.{field}"),
            ParameterKind::Value { .. } => format!("{object}.{field}"),
        });
    }
    let mut tuples = rows.chunks(TUPLE).rev().map(tuple);
    let last = tuples.next().unwrap_or_else(|| "()".to_owned());
    tuples.fold(last, |behind, tuple| format!("tl::And({tuple}, {behind})"))
}

fn tuple(rows: &[String]) -> String {
    match rows {
        [only] => format!("({only},)"),
        rows => format!("({})", rows.join(", ")),
    }
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
