//! Tables: what the interpreter of `chappe-tl` knows about each type.

use chappe_tl_parser::{Definition, Name, ParameterKind, Type};

use super::enums::{Repr, repr};
use super::field::table_name;
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
    described(code, &shapes.enum_path(ty, "'_"), &shapes.enum_path(ty, "'a"), &format!("&{table}"));
    for (index, constructor) in constructors.iter().enumerate() {
        let path = |life| shapes.struct_path("types", constructor, life);
        let list = self::list(shapes.is_bare_element(constructor), &path("'static"));
        let ty = format!(
            "&tl::Type::bare::<{}>(\"{}\", &{table}_[{index}], {list})",
            path("'static"),
            constructor.name
        );
        described(code, &path("'_"), &path("'a"), &ty);
    }
}

/// Writes the tables of functions. `first` is the discriminant of the first one.
pub(super) fn of_functions(code: &mut Code, shapes: &Shapes<'_, '_>, functions: &[(usize, &Definition)]) {
    code.line(0, &format!("pub(super) static CALLS: [tl::Constructor; {}] = [", functions.len()));
    for (tag, function) in functions {
        rows(code, shapes, function, *tag, true, &shapes.call_path(function, "'static"));
    }
    code.line(0, "];");
    for (index, (_, function)) in functions.iter().enumerate() {
        let path = |life| shapes.call_path(function, life);
        let ty = format!(
            "&tl::Type::single::<{}>(\"{}\", &CALLS[{index}], tl::ListOps::NONE)",
            path("'static"),
            function.name
        );
        if function.generics.is_empty() {
            described(code, &path("'_"), &path("'a"), &ty);
        } else {
            code.line(0, &format!("tl::described_only! {{ {}, {}, {ty} }}", path("'_"), path("'a")));
        }
    }
}

fn list(is_element: bool, path: &str) -> String {
    if is_element { format!("tl::ListOps::of::<{path}>()") } else { "tl::ListOps::NONE".to_owned() }
}

fn described(code: &mut Code, ty: &str, of: &str, table: &str) {
    code.line(0, &format!("tl::described! {{ {ty}, {of}, {table} }}"));
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
    let mut rows = Vec::new();
    for param in &definition.params {
        names.push(param.name.clone());
        let ParameterKind::Value { ty, condition } = &param.kind else {
            let word = words.iter().position(|word| *word == param.name).unwrap_or(0);
            rows.push(format!("F::word({word}, {:#x})", known_bits(definition, &param.name)));
            continue;
        };
        let (kind, target) = shapes.kind(ty, condition.as_ref());
        let offset = format!("offset_of!({path}, {})", names::field_name(&param.name));
        let at = condition.as_ref().map(|condition| {
            let word = words.iter().position(|word| *word == condition.word).unwrap_or(0);
            format!("{word}, {}", condition.bit)
        });
        let row = match (target, at) {
            (None, None) => format!("F::new(K::{kind}, {offset})"),
            (None, Some(at)) => format!("F::opt(K::{kind}, {at}, {offset})"),
            (Some(target), None) => format!("F::of(K::{kind}, {target}, {offset})"),
            (Some(target), Some(at)) => format!("F::opt_of(K::{kind}, {target}, {at}, {offset})"),
        };
        let bare = if matches!(ty, Type::Vector { boxed: false, .. }) { ".bare()" } else { "" };
        rows.push(row + bare);
    }
    let head = format!(
        "tl::Constructor::new::<{path}>({}, {tag}, tl::Payload::{payload}, {}, \"{}\", &[",
        hex(definition.id),
        least(shapes, definition),
        names.join(" ")
    );
    if rows.is_empty() {
        return code.line(1, &format!("{head}]),"));
    }
    code.line(1, &head);
    for row in rows {
        code.line(2, &format!("{row},"));
    }
    code.line(1, "]),");
}

fn known_bits(definition: &Definition, word: &str) -> u32 {
    let conditions = definition.fields().filter_map(|(_, _, condition)| condition);
    conditions.filter(|condition| condition.word == word).fold(0, |bits, condition| bits | 1 << condition.bit)
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
