//! `AnyCall`: any function of the schema, as a server receives it.

use std::collections::BTreeMap;

use chappe_tl_parser::Definition;

use super::layout::Slots;
use super::shape::Shapes;
use super::structs::PROMISE;
use super::tables::Places;
use crate::code::Code;
use crate::{GeneratorOptions, names};

/// The functions of each namespace.
pub(super) type Functions<'s> = BTreeMap<Option<&'s str>, Vec<&'s Definition>>;

/// Writes the enum.
pub(super) fn write(
    code: &mut Code,
    shapes: &Shapes<'_, '_>,
    options: &GeneratorOptions,
    functions: &Functions<'_>,
) {
    code.line(0, "/// Any function, as a server receives it.");
    code.line(0, "///");
    code.line(0, "/// The query of a generic function is kept raw, to be decoded in turn.");
    code.line(0, "#[repr(C, u32)]");
    code.line(0, "#[non_exhaustive]");
    code.line(0, "pub enum AnyCall<'a> {");
    let mut position = 0;
    for (namespace, functions) in functions {
        for function in functions {
            code.line(1, &format!("/// `{}`", function.name));
            let mut discriminant = String::new();
            if let Some(feature) = feature(options, *namespace) {
                code.line(1, &format!("#[cfg(feature = \"{feature}\")]"));
                // The position among all functions, whatever features are on.
                discriminant = format!(" = {position}");
            }
            let variant = names::flat_name(function);
            if Shapes::is_unit(function) {
                code.line(1, &format!("{variant}{discriminant},"));
            } else {
                let path = shapes.call_path(function, "'a");
                code.line(1, &format!("{variant}(&'a {path}){discriminant},"));
            }
            position += 1;
        }
    }
    if functions.values().flatten().all(|function| Shapes::is_unit(function)) {
        code.line(1, "#[doc(hidden)]");
        code.line(1, "Never(&'a tl::Never),");
    }
    code.line(0, "}");
}

/// Writes the table of the enum.
pub(super) fn table(code: &mut Code, options: &GeneratorOptions, places: &Places, functions: &Functions<'_>) {
    let ids: Vec<u32> = functions.values().flatten().map(|function| function.id).collect();
    let first = functions.values().flatten().next().map_or(0, |function| places.lines[&function.index]);
    let count = ids.len();
    code.line(0, "/// Calls that are left out, from one discriminant to another.");
    code.line(0, "const ABSENT: &[(u32, u32)] = &[");
    let mut from = 0;
    for (namespace, functions) in functions {
        let to = from + functions.len();
        if let Some(feature) = feature(options, *namespace) {
            code.line(1, &format!("#[cfg(not(feature = \"{feature}\"))]"));
            code.line(1, &format!("({from}, {to}),"));
        }
        from = to;
    }
    for line in [
        "];",
        "static TABLES: tl::Tables = tl::Tables { slots: &SLOTS, ..layout::TABLES };",
        "static ANY_CALL: tl::Type =",
    ] {
        code.line(0, line);
    }
    let arguments = format!("\"AnyCall\", &TABLES, {first}, {count}, ABSENT");
    code.line(1, &format!("unsafe {{ tl::Type::calls::<AnyCall<'static>>({arguments}) }};"));
    code.line(0, &format!("tl::described_by_table! {{ {PROMISE} AnyCall<'_>, AnyCall<'a>, &ANY_CALL }}"));
    code.blank();
    let mut slots = Slots::default();
    slots.add(&ids);
    slots.write(code);
}

/// The cargo feature that a namespace's functions need.
pub(super) fn feature<'n>(options: &GeneratorOptions, namespace: Option<&'n str>) -> Option<&'n str> {
    // That of the outermost part.
    namespace.and_then(|namespace| namespace.split('.').next()).filter(|_| options.namespace_features)
}
