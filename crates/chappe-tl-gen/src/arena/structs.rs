//! Structs: constructors and functions, and what their values can do.

use chappe_tl_parser::{Definition, ParameterKind, Type};

use super::field::table_path;
use super::shape::Shapes;
use super::tables::least;
use crate::code::{Code, hex};
use crate::names;

/// Writes the struct of a constructor, and what its values can do.
pub(super) fn constructor(code: &mut Code, shapes: &Shapes<'_, '_>, constructor: &Definition) {
    declaration(code, shapes, constructor);
    let Type::Boxed(ty) = &constructor.result else { return };
    let mut constructors = shapes.plan.schema().constructors_of(ty);
    let index = constructors.position(|other| other.id == constructor.id).unwrap_or(0);
    let table = table_path(ty);
    if !shapes.is_bare_element(constructor) {
        return object(code, shapes, constructor, &format!("&{table}_T[{index}]"));
    }
    let path = names::type_name(&constructor.name.ident) + &parameters(shapes, constructor, "'static", "");
    let list = format!("tl::ListOps::of::<{path}>()");
    let (name, least) = (&constructor.name, least(shapes, constructor));
    let ty = format!("&tl::Type::bare::<{path}>(\"{name}\", {least}, &{table}_[{index}], {list})");
    object(code, shapes, constructor, &ty);
}

/// Writes the struct of a function, what its values can do, and what it returns.
pub(super) fn function(code: &mut Code, shapes: &Shapes<'_, '_>, function: &Definition, table: &str) {
    declaration(code, shapes, function);
    if function.generics.is_empty() {
        object(code, shapes, function, table);
    } else {
        generic(code, shapes, function, table);
    }
    open_impl(code, shapes, function, ": tl::RemoteCall", "tl::RemoteCall");
    code.line(1, &format!("type Return = {};", shapes.owned_type(&function.result)));
    code.line(0, "}");
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

/// Writes what the values of a struct can do.
fn object(code: &mut Code, shapes: &Shapes<'_, '_>, definition: &Definition, table: &str) {
    let ty = names::type_name(&definition.name.ident) + &parameters(shapes, definition, "'_", "");
    let rows = rows(definition, "x");
    code.line(0, &format!("tl::object! {{ {ty}, {table}, x, {rows} }}"));
}

/// Writes what the values of a generic function can do: its query is any call.
fn generic(code: &mut Code, shapes: &Shapes<'_, '_>, function: &Definition, table: &str) {
    open_impl(code, shapes, function, "", "tl::Identifiable");
    code.line(1, &format!("const CONSTRUCTOR_ID: u32 = {};", hex(function.id)));
    code.line(0, "}");
    open_impl(code, shapes, function, "", "tl::Layout");
    code.line(1, &format!("const LAYOUT: &'static tl::Type = {table};"));
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
