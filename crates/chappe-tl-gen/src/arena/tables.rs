//! Tables: what the interpreter of `chappe-tl` knows about each type.

use std::collections::BTreeMap;

use chappe_tl_parser::{Definition, Name, ParameterKind};

use super::calls::Functions;
use super::enums::{self, Repr, repr};
use super::layout::{Lines, Slots};
use super::native::{self, Natives};
use super::shape::Shapes;
use super::structs::list;
use crate::GeneratorOptions;
use crate::code::Code;

/// Where each type and the line of each constructor and function stands.
pub(super) struct Places {
    pub(super) types: BTreeMap<Name, usize>,
    pub(super) lines: BTreeMap<usize, usize>,
}

/// The types of each namespace.
pub(super) type Types<'s> = BTreeMap<Option<&'s str>, Vec<&'s Name>>;

impl Places {
    /// The places of everything, in the order in which the files are put together.
    pub(super) fn new(shapes: &Shapes<'_, '_>, types: &Types<'_>, functions: &Functions<'_>) -> Self {
        let mut places = Self { types: BTreeMap::new(), lines: BTreeMap::new() };
        for ty in types.values().flatten() {
            places.types.insert((*ty).clone(), places.types.len());
            for constructor in shapes.plan.schema().constructors_of(ty) {
                places.lines.insert(constructor.index, places.lines.len());
            }
        }
        for function in functions.values().flatten() {
            places.lines.insert(function.index, places.lines.len());
        }
        places
    }
}

/// Ties the types of a namespace to their tables.
pub(super) fn of_types(code: &mut Code, shapes: &Shapes<'_, '_>, places: &Places, types: &[&Name]) {
    let (mut families, mut soles) = (Vec::new(), Vec::new());
    for ty in types {
        let constructors: Vec<&Definition> = shapes.plan.schema().constructors_of(ty).collect();
        if repr(&constructors) != Repr::Only {
            let place = places.types[*ty];
            let [any, life] = ["'_", "'a"].map(|life| shapes.enum_path(ty, life));
            families.push(format!("{any}, {life}, {place};"));
            continue;
        }
        let only = constructors[0];
        let path = shapes.struct_path("types", only, "'s");
        let is_reference = shapes.is_reference(only);
        let mut lives = if is_reference { vec!["'r"] } else { Vec::new() };
        lives.extend(shapes.borrows(only).then_some("'s"));
        let (lives, reference) = (lives.join(", "), if is_reference { "&'r " } else { "" });
        let of = enums::only(shapes, only, "'a");
        soles.push(format!("[{lives}] {reference}{path}, {of}, {path};"));
    }
    list(code, "tl::families!", "tables::TYPES;", &families);
    list(code, "tl::soles!", "", &soles);
}

/// Writes the tables of all types.
pub(super) fn all(
    code: &mut Code,
    shapes: &Shapes<'_, '_>,
    places: &Places,
    types: &Types<'_>,
    natives: &Natives,
    options: &GeneratorOptions,
) {
    let types: Vec<&Name> = types.values().flatten().copied().collect();
    let title =
        "/// The tables of all types, by namespace and name: for tools that look at objects of any type.";
    code.line(0, title);
    code.line(0, &format!("pub static TYPES: [tl::Type; {}] = unsafe {{ tl::types(&[", types.len()));
    for ty in types {
        let constructors: Vec<&Definition> = shapes.plan.schema().constructors_of(ty).collect();
        let least = constructors.iter().map(|constructor| least(shapes, constructor)).min();
        let (least, count) = (least.unwrap_or(0) + 4, constructors.len());
        let form = if shapes.is_element(ty) { "element" } else { "new" };
        let path = shapes.enum_path(ty, "'static");
        let form = format!("tl::Form::{form}::<{path}>(\"{ty}\", {least}, {count})");
        if let Some(native) = natives.of_type(places, ty) {
            let condition = native::condition(options);
            code.line(1, &format!("#[cfg({condition})] {form}.native({native}),"));
            code.line(1, &format!("#[cfg(not({condition}))] {form},"));
        } else {
            code.line(1, &format!("{form},"));
        }
    }
    code.line(0, "], &layout::TABLES) };");
}

/// Writes constructors, functions and rows.
pub(super) fn layout(
    code: &mut Code,
    shapes: &Shapes<'_, '_>,
    places: &Places,
    types: &Types<'_>,
    functions: &Functions<'_>,
) {
    let schema = shapes.plan.schema();
    let (mut lines, mut slots) = (Lines::new(shapes, places), Slots::default());
    for ty in types.values().flatten() {
        let mut ids = Vec::new();
        for constructor in schema.constructors_of(ty) {
            lines.add(constructor, shapes.is_reference(constructor), places.types[ty]);
            ids.push(constructor.id);
        }
        slots.add(&ids);
    }
    for function in functions.values().flatten() {
        lines.add(function, true, 0);
    }
    for definition in schema.definitions() {
        if !places.lines.contains_key(&definition.index) {
            lines.add_name(definition);
        }
    }
    lines.write(code, &slots);
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
