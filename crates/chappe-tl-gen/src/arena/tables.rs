//! Tables: what the interpreter of `chappe-tl` knows about each type.

use std::collections::BTreeMap;

use chappe_tl_parser::{Definition, Name, ParameterKind};

use super::enums::{self, Repr, repr};
use super::field::Target;
use super::shape::{Shapes, words};
use crate::code::{Code, hex};
use crate::names;

/// Where the table of each type and of each constructor stands.
pub(super) struct Places {
    pub(super) types: BTreeMap<Name, usize>,
    pub(super) constructors: BTreeMap<u32, usize>,
}

/// The types of each namespace.
pub(super) type Types<'s> = BTreeMap<Option<&'s str>, Vec<&'s Name>>;

impl Places {
    /// The places of everything, in the order in which the files are put together.
    pub(super) fn new(shapes: &Shapes<'_, '_>, types: &Types<'_>) -> Self {
        let mut places = Self { types: BTreeMap::new(), constructors: BTreeMap::new() };
        for ty in types.values().flatten() {
            places.types.insert((*ty).clone(), places.types.len());
            for constructor in shapes.plan.schema().constructors_of(ty) {
                places.constructors.insert(constructor.id, places.constructors.len());
            }
        }
        places
    }
}

/// What all tables of a file, or of all files together, have in common.
pub(super) struct Tables<'t, 'p, 's> {
    pub(super) shapes: &'t Shapes<'p, 's>,
    pub(super) places: &'t Places,
    /// The types of rows that stand in no list: paths of their tables.
    pub(super) extra: Vec<String>,
    rows: usize,
}

impl<'t, 'p, 's> Tables<'t, 'p, 's> {
    pub(super) const fn new(shapes: &'t Shapes<'p, 's>, places: &'t Places) -> Self {
        Self { shapes, places, extra: Vec::new(), rows: 0 }
    }

    /// Writes the lines of the types of a namespace and of their constructors.
    pub(super) fn of_types(&mut self, code: &mut Code, types: &[&Name]) {
        code.line(0, "pub(super) const FORMS: &[tl::Form] = &[");
        for ty in types {
            let constructors: Vec<&Definition> = self.shapes.plan.schema().constructors_of(ty).collect();
            let least = constructors.iter().map(|constructor| least(self.shapes, constructor)).min();
            let (least, count) = (least.unwrap_or(0) + 4, constructors.len());
            let form = if self.shapes.is_element(ty) { "element" } else { "new" };
            let path = self.shapes.enum_path(ty, "'static");
            code.line(1, &format!("tl::Form::{form}::<{path}>(\"{ty}\", {least}, {count}),"));
        }
        code.line(0, "];");
        code.blank();
        code.line(0, "pub(super) const LINES: &[tl::Line] = &[");
        for ty in types {
            let constructors: Vec<&Definition> = self.shapes.plan.schema().constructors_of(ty).collect();
            for constructor in constructors {
                self.line(code, constructor, self.shapes.is_reference(constructor));
            }
        }
        code.line(0, "];");
        code.blank();
        for ty in types {
            let constructors: Vec<&Definition> = self.shapes.plan.schema().constructors_of(ty).collect();
            let place = self.places.types[*ty];
            if repr(&constructors) != Repr::Only {
                let [any, life] = ["'_", "'a"].map(|life| self.shapes.enum_path(ty, life));
                code.line(0, &format!("tl::family! {{ {any}, {life}, &tables::TYPES[{place}] }}"));
                continue;
            }
            let only = constructors[0];
            let path = self.shapes.struct_path("types", only, "'s");
            let is_reference = self.shapes.is_reference(only);
            let mut lives = if is_reference { vec!["'r"] } else { Vec::new() };
            lives.extend(self.shapes.borrows(only).then_some("'s"));
            let (lives, reference) = (lives.join(", "), if is_reference { "&'r " } else { "" });
            let of = enums::only(self.shapes, only, "'a");
            code.line(
                0,
                &format!(
                    "tl::sole! {{ [{lives}] {reference}{path}, {of}, {path}, &tables::TYPES[{place}] }}"
                ),
            );
        }
    }

    /// Writes the tables of all types, which the files of the namespaces describe.
    pub(super) fn all(&self, code: &mut Code, types: &Types<'_>) {
        let schema = self.shapes.plan.schema();
        let slots = |ty: &Name| match schema.constructors_of(ty).count() {
            1 => 0,
            count => (2 * count).next_power_of_two(),
        };
        let slots: usize = types.values().flatten().map(|ty| slots(ty)).sum();
        let parts = |of: &str| {
            let part = |namespace: Option<&str>| match namespace {
                Some(namespace) => format!("{}::{of}", names::module_name(namespace)),
                None => of.to_owned(),
            };
            types.keys().map(|namespace| part(*namespace)).collect::<Vec<_>>().join(", ")
        };
        let (count, constructors) = (self.places.types.len(), self.places.constructors.len());
        let (rows, extra) = (self.rows, self.extra.join(", "));
        for line in [
            "tl::lines! { Structs, CONSTRUCTORS, false }".into(),
            "/// The tables of all types, by namespace and name: for tools that look at objects of any type."
                .into(),
            format!("pub static TYPES: [tl::Type; {count}] = tl::types(ALL_FORMS, &CONSTRUCTORS, &SLOTS);"),
            format!(
                "pub(crate) static CONSTRUCTORS: [tl::Constructor; {constructors}] = tl::constructors(ALL_FORMS, ALL_LINES, &ROWS);"
            ),
            format!(
                "static ROWS: tl::RowTable<{rows}, {constructors}> = tl::rows(ALL_LINES, &TYPES, &[{extra}]);"
            ),
            format!("static SLOTS: [u16; {slots}] = tl::slots(ALL_FORMS, &CONSTRUCTORS);"),
            format!("const ALL_FORMS: &[&[tl::Form]] = &[{}];", parts("FORMS")),
            format!("const ALL_LINES: &[&[tl::Line]] = &[{}];", parts("LINES")),
        ] {
            code.line(0, &line);
        }
    }

    /// Writes the tables of the functions of a namespace.
    pub(super) fn of_functions(&mut self, code: &mut Code, functions: &[&Definition]) {
        let count = functions.len();
        let mut lines = Code::default();
        for function in functions {
            self.line(&mut lines, function, true);
        }
        let (rows, extra) = (self.rows, self.extra.join(", "));
        code.line(0, "tl::lines! { Calls, CALLS, true }");
        code.line(
            0,
            &format!(
                "pub(crate) static CALLS: [tl::Constructor; {count}] = tl::alternatives(&[LINES], &ROWS);"
            ),
        );
        code.line(
            0,
            &format!(
                "static ROWS: tl::RowTable<{rows}, {count}> = tl::rows(&[LINES], &tables::TYPES, &[{extra}]);"
            ),
        );
        code.line(0, "const LINES: &[tl::Line] = &[");
        code.append(&lines);
        code.line(0, "];");
    }

    /// Writes what is to be said about a constructor or function.
    fn line(&mut self, code: &mut Code, definition: &Definition, is_reference: bool) {
        let names: String = definition.params.iter().flat_map(|param| [" ", &param.name]).collect();
        let (id, least, count) =
            (hex(definition.id), least(self.shapes, definition), definition.params.len());
        let (rows, name) = (self.row_text(definition), &definition.name);
        code.line(1, &format!("({id}, {is_reference}, {least}, {count}, \"{rows}\", \"{name}{names}\"),"));
        self.rows += count;
    }

    /// The rows of a constructor, as `chappe_tl::table::rows` reads them.
    fn row_text(&mut self, definition: &Definition) -> String {
        let words = words(definition);
        let mut rows = Vec::new();
        for param in &definition.params {
            let ParameterKind::Value { ty, condition } = &param.kind else {
                rows.push("#".to_owned());
                continue;
            };
            let condition = condition.as_ref().map_or_else(String::new, |condition| {
                let word = words.iter().position(|word| *word == condition.word).unwrap_or(0);
                format!("{word}.{}", condition.bit)
            });
            let (list, target) = self.shapes.row(ty);
            let letter = match target {
                Target::Letter(letter) => letter.to_owned(),
                Target::Type(name) => format!("o{}", self.places.types[name]),
                Target::Other(path) => format!("e{}", self.extra(path)),
            };
            rows.push(condition + list + &letter);
        }
        rows.join(" ")
    }

    /// The place of a type that stands in no list.
    fn extra(&mut self, path: String) -> usize {
        self.extra.iter().position(|one| *one == path).unwrap_or_else(|| {
            self.extra.push(path);
            self.extra.len() - 1
        })
    }
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
