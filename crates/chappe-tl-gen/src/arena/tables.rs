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
    let is_bare = constructors.iter().any(|constructor| shapes.is_bare_element(constructor));
    let visibility = if is_bare { "pub(crate) " } else { "" };
    let lines: Vec<_> = constructors.iter().map(|one| (*one, shapes.is_reference(one))).collect();
    alternatives(code, shapes, &format!("{visibility}static {table}_"), 0, &lines);
    let (any, life) = (shapes.enum_path(ty, "'_"), shapes.enum_path(ty, "'a"));
    code.line(0, &format!("tl::family! {{ {any}, {life}, &{table} }}"));
    let count = constructors.len();
    if constructors.iter().any(|constructor| shapes.has_struct(constructor)) {
        code.line(
            0,
            &format!("pub(crate) static {table}_T: [tl::Type; {count}] = tl::Type::structs(&{table}_);"),
        );
    }
}

/// Writes the tables of functions.
pub(super) fn of_functions(code: &mut Code, shapes: &Shapes<'_, '_>, functions: &[(usize, &Definition)]) {
    let count = functions.len();
    let first = functions.first().map_or(0, |(tag, _)| *tag);
    let lines: Vec<_> = functions.iter().map(|(_, function)| (*function, true)).collect();
    alternatives(code, shapes, "pub(super) static CALLS", first, &lines);
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

/// Writes constructors or functions with their rows. With each stands whether its variant holds a reference.
fn alternatives(
    code: &mut Code,
    shapes: &Shapes<'_, '_>,
    name: &str,
    first: usize,
    definitions: &[(&Definition, bool)],
) {
    let count = definitions.len();
    let (mut rows, mut lines, mut targets, mut rows_count) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (definition, is_reference) in definitions {
        rows.push(row_text(shapes, definition, &mut targets));
        let names: Vec<_> = definition.params.iter().map(|param| format!(" {}", param.name)).collect();
        let (id, least, count) = (hex(definition.id), least(shapes, definition), names.len());
        let names = names.concat();
        lines.push(format!("({id}, {is_reference}, {least}, {count}, \"{}{names}\"),", definition.name));
        rows_count += count;
    }
    let ident = name.rsplit(' ').next().unwrap_or_default();
    let rows = rows.join("|");
    let targets = targets.join(", ");
    code.line(
        0,
        &format!("static {ident}R: [tl::Field; {rows_count}] = tl::rows(\"{rows}\", &[{targets}]);"),
    );
    code.line(0, &format!("{name}: [tl::Constructor; {count}] = tl::constructors({first}, &{ident}R, ["));
    for line in &lines {
        code.line(1, line);
    }
    code.line(0, "]);");
}

/// The rows of a constructor, as `chappe_tl::table::rows` reads them.
fn row_text(shapes: &Shapes<'_, '_>, definition: &Definition, targets: &mut Vec<String>) -> String {
    let words = words(definition);
    let mut rows = Vec::new();
    for param in &definition.params {
        let ParameterKind::Value { ty, condition } = &param.kind else {
            rows.push("#".to_owned());
            continue;
        };
        let (letters, target) = shapes.row(ty);
        targets.extend(target);
        let condition = condition.as_ref().map_or_else(String::new, |condition| {
            let word = words.iter().position(|word| *word == condition.word).unwrap_or(0);
            format!("{word}.{}", condition.bit)
        });
        rows.push(condition + &letters);
    }
    rows.join(" ")
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
