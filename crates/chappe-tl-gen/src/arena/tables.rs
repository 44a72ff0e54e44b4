//! Tables: what the interpreter of `chappe-tl` knows about each type.

use chappe_tl_parser::{Definition, Name, ParameterKind};

use super::enums::{Repr, repr};
use super::field::{table_name, table_path};
use super::shape::{Shapes, words};
use crate::code::{Code, hex};
use crate::names;

/// Writes the tables of a type and its constructors.
pub(super) fn of_type(code: &mut Code, shapes: &Shapes<'_, '_>, ty: &Name) {
    let constructors: Vec<&Definition> = shapes.plan.schema().constructors_of(ty).collect();
    let table = table_name(&ty.ident);
    let path = shapes.enum_path(ty, "'static");
    let list = list(shapes.is_element(ty), &path);
    let repr = repr(&constructors);
    if matches!(repr, Repr::Tagged | Repr::Tag) {
        let slots = (2 * constructors.len()).next_power_of_two();
        let slots = format!("{{ static SLOTS: [u16; {slots}] = tl::slots(&{table}_); &SLOTS }}");
        let call = format!("tl::Type::tagged::<{path}>(\"{ty}\", &{table}_, {slots}, {list})");
        code.line(0, &format!("pub(crate) static {table}: tl::Type = {call};"));
    } else {
        let call = format!("tl::Type::single::<{path}>(\"{ty}\", &{table}_[0], {list})");
        code.line(0, &format!("pub(crate) static {table}: tl::Type = {call};"));
    }
    code.line(0, &format!("static {table}_: [tl::Constructor; {}] = [", constructors.len()));
    for (tag, constructor) in constructors.iter().enumerate() {
        let reference = shapes.is_reference(constructor);
        rows(code, shapes, constructor, tag, reference, &shapes.struct_path("types", constructor, "'static"));
    }
    code.line(0, "];");
    let (any, life) = (shapes.enum_path(ty, "'_"), shapes.enum_path(ty, "'a"));
    code.line(0, &format!("tl::described_family! {{ {any}, {life}, &{table} }}"));
    let count = constructors.len();
    code.line(0, &format!("static {table}_T: [tl::Type; {count}] = tl::Type::structs(&{table}_);"));
    for (index, constructor) in constructors.iter().enumerate() {
        let path = |life| shapes.struct_path("types", constructor, life);
        let ty = if shapes.is_bare_element(constructor) {
            format!(
                "&tl::Type::bare::<{0}>(\"{1}\", &{table}_[{index}], tl::ListOps::of::<{0}>())",
                path("'static"),
                constructor.name
            )
        } else {
            format!("&{table}_T[{index}]")
        };
        described(code, "", &path("'_"), &ty);
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
    code.line(0, &format!("static TYPES: [tl::Type; {count}] = tl::Type::calls(&CALLS);"));
    for (index, (_, function)) in functions.iter().enumerate() {
        let path = |life| shapes.call_path(function, life);
        let ty = format!("&TYPES[{index}]");
        described(code, if function.generics.is_empty() { "" } else { "_only" }, &path("'_"), &ty);
    }
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

fn described(code: &mut Code, which: &str, ty: &str, table: &str) {
    code.line(0, &format!("tl::described{which}! {{ {ty}, {table} }}"));
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
    let (mut rows, mut offsets, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for param in &definition.params {
        names.push(param.name.clone());
        let ParameterKind::Value { ty, condition } = &param.kind else {
            rows.push("#".to_owned());
            continue;
        };
        offsets.push(format!("offset_of!({path}, {})", names::field_name(&param.name)));
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
    code.line(1, &format!("{head}, &tl::rows::<{}>(", rows.len()));
    code.line(2, &format!("\"{}\",", rows.join(" ")));
    code.line(2, &format!("&[{}],", offsets.join(", ")));
    code.line(2, &format!("&[{}],", targets.join(", ")));
    code.line(1, ")),");
}

/// The length of the shortest encoding, without the id.
fn least(shapes: &Shapes<'_, '_>, definition: &Definition) -> usize {
    let params = definition.params.iter().map(|param| match &param.kind {
        ParameterKind::Flags => 4,
        ParameterKind::Value { ty, condition: None } => shapes.plan.least(ty),
        ParameterKind::Value { .. } => 0,
    });
    params.sum::<usize>().min(1 << 20)
}
