//! Lists of everything, for tests.

use chappe_tl_parser::Category;

use super::shape::Shapes;
use crate::GeneratorOptions;
use crate::code::Code;
use crate::names::{self, path};

/// The file `each.rs`: macros that call another one for each type, and for each function.
pub(super) fn file(shapes: &Shapes<'_, '_>, options: &GeneratorOptions) -> String {
    let mut code = Code::default();
    code.line(0, &options.header());
    code.blank();
    code.line(0, "//! Lists of everything, for tests.");
    code.blank();
    code.line(0, "/// Calls `$check! { type }` for each type.");
    code.line(0, "#[doc(hidden)]");
    code.line(0, "#[macro_export]");
    code.line(0, "macro_rules! each_type {");
    code.line(1, "($check:ident) => {");
    for ty in shapes.plan.schema().types() {
        let life = if shapes.type_borrows(ty) { "<'_>" } else { "" };
        code.line(2, &format!("$check! {{ $crate::{}{life} }}", path("enums", ty)));
    }
    code.line(1, "};");
    code.line(0, "}");
    code.blank();
    code.line(0, "/// Calls `$check! { type }` for each struct.");
    code.line(0, "#[doc(hidden)]");
    code.line(0, "#[macro_export]");
    code.line(0, "macro_rules! each_struct {");
    code.line(1, "($check:ident) => {");
    for definition in
        shapes.plan.schema().definitions().iter().filter(|definition| definition.generics.is_empty())
    {
        let module = if definition.category == Category::Types { "types" } else { "functions" };
        if shapes.has_struct(definition) || definition.category == Category::Functions {
            let path = shapes.struct_path(module, definition, "'_");
            code.line(2, &format!("$check! {{ $crate::{path} }}"));
        }
    }
    code.line(1, "};");
    code.line(0, "}");
    code.blank();
    code.line(0, "/// Calls `$check! { type }` for each struct whose fields can all be empty.");
    code.line(0, "#[doc(hidden)]");
    code.line(0, "#[macro_export]");
    code.line(0, "macro_rules! each_default {");
    code.line(1, "($check:ident) => {");
    for definition in
        shapes.plan.schema().definitions().iter().filter(|definition| definition.generics.is_empty())
    {
        let module = if definition.category == Category::Types { "types" } else { "functions" };
        let is_struct = shapes.has_struct(definition) || definition.category == Category::Functions;
        if is_struct && shapes.has_empty(definition) {
            let path = shapes.struct_path(module, definition, "'_");
            code.line(2, &format!("$check! {{ $crate::{path} }}"));
        }
    }
    code.line(1, "};");
    code.line(0, "}");
    code.blank();
    code.line(0, "/// Writes a call that was decoded with the code of its own type.");
    code.line(0, "#[doc(hidden)]");
    code.line(0, "#[macro_export]");
    code.line(0, "macro_rules! each_call {");
    code.line(1, "($call:expr, $write:expr) => {");
    code.line(2, "match $call {");
    for function in shapes.plan.schema().functions() {
        let variant = names::flat_name(function);
        if Shapes::is_unit(function) {
            let path = path("functions", &function.name);
            code.line(3, &format!("$crate::AnyCall::{variant} => $write(&$crate::{path} {{}}),"));
        } else {
            code.line(3, &format!("$crate::AnyCall::{variant}(call) => $write(call),"));
        }
    }
    code.line(3, "_ => unreachable!(),");
    code.line(2, "}");
    code.line(1, "};");
    code.line(0, "}");
    code.into_string()
}
