//! Tables: what the interpreter of `chappe-tl` knows about each type.

use chappe_tl_parser::{Definition, Name, ParameterKind};

use super::enums::{Repr, repr};
use super::field::{table_name, table_path};
use super::shape::{Shapes, words};
use crate::code::{Code, hex};

/// Writes the tables of a type and its constructors.
pub(super) fn of_type(code: &mut Code, shapes: &Shapes<'_, '_>, ty: &Name) {
    let constructors: Vec<&Definition> = shapes.plan.schema().constructors_of(ty).collect();
    let table = table_name(&ty.ident);
    let path = shapes.enum_path(ty, "'static");
    let list = list(shapes.is_element(ty), &path);
    let repr = repr(&constructors);
    let shortest = constructors.iter().map(|constructor| least(shapes, constructor)).min().unwrap_or(0) + 4;
    if matches!(repr, Repr::Tagged | Repr::Tag) {
        let slots = (2 * constructors.len()).next_power_of_two();
        let slots = format!("{{ static SLOTS: [u16; {slots}] = tl::slots(&{table}_); &SLOTS }}");
        let call = format!("tl::Type::tagged::<{path}>(\"{ty}\", {shortest}, &{table}_, {slots}, {list})");
        code.line(0, &format!("pub(crate) static {table}: tl::Type = {call};"));
    } else {
        let call = format!("tl::Type::single::<{path}>(\"{ty}\", {shortest}, &{table}_[0], {list})");
        code.line(0, &format!("pub(crate) static {table}: tl::Type = {call};"));
    }
    let visibility = if constructors.iter().any(|one| shapes.is_bare_element(one)) { "pub(crate) " } else { "" };
    code.line(0, &format!("{visibility}static {table}_: [tl::Constructor; {}] = [", constructors.len()));
    for (tag, constructor) in constructors.iter().enumerate() {
        let reference = shapes.is_reference(constructor);
        let path = if shapes.has_struct(constructor) {
            shapes.struct_path("types", constructor, "'static")
        } else {
            "()".to_owned()
        };
        rows(code, shapes, constructor, tag, reference, &path);
    }
    code.line(0, "];");
    let (any, life) = (shapes.enum_path(ty, "'_"), shapes.enum_path(ty, "'a"));
    code.line(0, &format!("tl::family! {{ {any}, {life}, &{table} }}"));
    let count = constructors.len();
    if constructors.iter().any(|constructor| shapes.has_struct(constructor)) {
        code.line(0, &format!("pub(crate) static {table}_T: [tl::Type; {count}] = tl::Type::structs(&{table}_);"));
    }
}

/// Writes the tables of functions.
pub(super) fn of_functions(code: &mut Code, shapes: &Shapes<'_, '_>, functions: &[(usize, &Definition)]) {
    let count = functions.len();
    code.line(0, &format!("pub(super) static CALLS: [tl::Constructor; {count}] = ["));
    for (tag, function) in functions {
        rows(code, shapes, function, *tag, true, &shapes.call_path(function, "'static"));
    }
    code.line(0, "];");
    code.line(0, &format!("pub(crate) static TYPES: [tl::Type; {count}] = tl::Type::calls(&CALLS);"));
}

/// Writes the list of all types.
pub(super) fn all(code: &mut Code, types: &[&Name]) {
    code.line(0, "/// The tables of all types, sorted by name: for tools that look at objects of any type.");
    code.line(0, &format!("pub static TYPES: [&tl::Type; {}] = [", types.len()));
    for ty in types {
        code.line(1, &format!("&{},", table_path(ty).trim_start_matches("tables::")));
    }
    code.line(0, "];");
}

fn list(is_element: bool, path: &str) -> String {
    if is_element { format!("tl::ListOps::of::<{path}>()") } else { "tl::ListOps::NONE".to_owned() }
}

/// Writes a constructor or function with its rows.
fn rows(
    code: &mut Code,
    shapes: &Shapes<'_, '_>,
    definition: &Definition,
    tag: usize,
    reference: bool,
    path: &str,
) {
    let payload = if reference { "Reference" } else { "Value" };
    let words = words(definition);
    let mut names = vec![definition.name.to_string()];
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for param in &definition.params {
        names.push(param.name.clone());
        let ParameterKind::Value { ty, condition } = &param.kind else {
            rows.push("#".to_owned());
            continue;
        };
        let (letters, target) = shapes.row(ty);
        targets.extend(target);
        rows.push(
            condition.as_ref().map_or_else(String::new, |condition| {
                let word = words.iter().position(|word| *word == condition.word).unwrap_or(0);
                format!("{word}.{}", condition.bit)
            }) + &letters,
        );
    }
    let head = format!(
        "tl::Constructor::new::<{path}>({}, {tag}, tl::Payload::{payload}, {}, \"{}\"",
        hex(definition.id),
        least(shapes, definition),
        names.join(" ")
    );
    if rows.is_empty() {
        return code.line(1, &format!("{head}, &[]),"));
    }
    let (rows, count) = (rows.join(" "), rows.len());
    code.line(1, &format!("{head}, &tl::rows::<{count}>(\"{rows}\", &[{}])),", targets.join(", ")));
}

/// The length of the shortest encoding, without the id.
pub(super) fn least(shapes: &Shapes<'_, '_>, definition: &Definition) -> usize {
    let params = definition.params.iter().map(|param| match &param.kind {
        ParameterKind::Flags => 4,
        ParameterKind::Value { ty, condition: None } => shapes.plan.least(ty),
        ParameterKind::Value { .. } => 0,
    });
    params.sum::<usize>().min(1 << 20)
}
