//! Code that writes the values of types of which answers are full. Tables write all others.

use std::collections::{BTreeMap, BTreeSet};

use chappe_tl_parser::{Category, Condition, Definition, Name, ParameterKind, Type};

use super::enums::{Repr, repr};
use super::shape::Shapes;
use super::tables::Places;
use crate::code::{Code, hex};
use crate::{GeneratorOptions, names};

/// When the code is compiled: without optimisation it costs the compiler more than it saves, except for tests of all types.
pub(super) fn condition(options: &GeneratorOptions) -> String {
    match &options.lists_feature {
        Some(feature) => format!("any(not(debug_assertions), feature = \"{feature}\")"),
        None => "not(debug_assertions)".to_owned(),
    }
}

/// The constructors that have code, by their position in the schema, and their types.
pub(super) struct Natives {
    constructors: BTreeSet<usize>,
    types: BTreeSet<Name>,
}

impl Natives {
    /// Those that the options name, if they are in the schema and hold nothing but what code is written for.
    pub(super) fn new(shapes: &Shapes<'_, '_>, options: &GeneratorOptions) -> Self {
        let mut natives = Self { constructors: BTreeSet::new(), types: BTreeSet::new() };
        for name in &options.natives {
            let Some(constructor) = shapes.plan.schema().constructor(&Name::new(name)) else { continue };
            let Type::Boxed(ty) = &constructor.result else { continue };
            let is_plain = |ty: &Type| match ty {
                Type::Vector { element, .. } => !matches!(
                    **element,
                    Type::Vector { .. }
                        | Type::Bare(_)
                        | Type::BareOf(_)
                        | Type::Generic { .. }
                        | Type::Object
                ),
                Type::Bare(_) | Type::BareOf(_) | Type::Generic { .. } | Type::Object => false,
                _ => true,
            };
            if constructor.category == Category::Types && constructor.fields().all(|(_, ty, _)| is_plain(ty))
            {
                natives.constructors.insert(constructor.index);
                natives.types.insert(ty.clone());
            }
        }
        natives
    }

    pub(super) fn is_empty(&self) -> bool {
        self.constructors.is_empty()
    }

    /// The function that writes the values of a type, if there is one.
    pub(super) fn of_type(&self, places: &Places, ty: &Name) -> Option<String> {
        self.types.contains(ty).then(|| format!("super::native::type_{}", places.types[ty]))
    }

    /// Writes the functions.
    pub(super) fn write(&self, code: &mut Code, shapes: &Shapes<'_, '_>, places: &Places) {
        for ty in &self.types {
            self.write_type(code, shapes, places, ty);
        }
        for index in &self.constructors {
            let constructor = &shapes.plan.schema().definitions()[*index];
            if !Shapes::is_unit(constructor) {
                self.write_struct(code, shapes, places, constructor);
            }
        }
    }

    fn write_type(&self, code: &mut Code, shapes: &Shapes<'_, '_>, places: &Places, ty: &Name) {
        let (place, path) = (places.types[ty], names::path("enums", ty));
        let life = shapes.enum_path(ty, "'_");
        code.line(
            0,
            &format!(
                "pub(super) unsafe fn type_{place}(at: *const u8, w: &mut tl::Chunk<'_>) -> tl::Encoded {{"
            ),
        );
        code.line(1, &format!("enum_{place}(unsafe {{ &*at.cast::<{life}>() }}, w)"));
        code.line(0, "}");
        code.line(0, &format!("fn enum_{place}(x: &{life}, w: &mut tl::Chunk<'_>) -> tl::Encoded {{"));
        let constructors: Vec<&Definition> = shapes.plan.schema().constructors_of(ty).collect();
        if repr(&constructors) == Repr::Only {
            let (id, line) = (hex(constructors[0].id), places.lines[&constructors[0].index]);
            code.line(1, &format!("w.put_u32({id});"));
            code.line(1, &format!("struct_{line}(&x.0, w)"));
            return code.line(0, "}");
        }
        code.line(1, "match x {");
        let mut is_whole = true;
        for constructor in constructors {
            let (variant, id) = (shapes.plan.variant(constructor), hex(constructor.id));
            if !self.constructors.contains(&constructor.index)
                || (Shapes::is_unit(constructor) && !constructor.params.is_empty())
            {
                is_whole = false;
            } else if Shapes::is_unit(constructor) {
                code.line(2, &format!("{path}::{variant} => {{ w.put_u32({id}); Ok(()) }}"));
            } else {
                let line = places.lines[&constructor.index];
                code.line(2, &format!("{path}::{variant}(x) => {{ w.put_u32({id}); struct_{line}(x, w) }}"));
            }
        }
        if !is_whole {
            code.line(2, "x => w.by_table(x),");
        }
        code.line(1, "}");
        code.line(0, "}");
    }

    fn write_struct(
        &self,
        code: &mut Code,
        shapes: &Shapes<'_, '_>,
        places: &Places,
        constructor: &Definition,
    ) {
        let (line, path) = (places.lines[&constructor.index], shapes.struct_path("types", constructor, "'_"));
        code.line(0, &format!("/// `{}`", constructor.name));
        code.line(0, &format!("fn struct_{line}(x: &{path}, w: &mut tl::Chunk<'_>) -> tl::Encoded {{"));
        for param in &constructor.params {
            let field = names::field_name(&param.name);
            match &param.kind {
                ParameterKind::Flags => put_flags(code, constructor, &param.name),
                ParameterKind::Value { ty: Type::True, .. } => {}
                ParameterKind::Value { ty, condition } => {
                    self.put(code, places, &field, ty, condition.as_ref());
                }
            }
        }
        code.line(1, "Ok(())");
        code.line(0, "}");
    }

    fn put(&self, code: &mut Code, places: &Places, field: &str, ty: &Type, condition: Option<&Condition>) {
        let value = |name: &Name, value: &str| {
            if self.types.contains(name) {
                format!("enum_{}({value}, w)?;", places.types[name])
            } else {
                format!("w.value({value})?;")
            }
        };
        match (ty, condition) {
            (Type::Boxed(name), None) => code.line(1, &value(name, &format!("&x.{field}"))),
            (Type::Boxed(name), Some(_)) => {
                code.line(1, &format!("if let Some(y) = x.{field} {{ {} }}", value(name, "y")));
            }
            (Type::Vector { element, boxed }, condition) => {
                let elements = match &**element {
                    Type::Boxed(name) if self.types.contains(name) => {
                        format!("for y in y {{ {} }}", value(name, "y"))
                    }
                    Type::Boxed(_) => "w.elements(y)?;".to_owned(),
                    _ => "for y in y { tl::put(y, w)?; }".to_owned(),
                };
                let put = format!("w.head({boxed}, y.len())?; {elements}");
                match condition {
                    Some(_) => code.line(1, &format!("if let Some(y) = x.{field} {{ {put} }}")),
                    None => code.line(1, &format!("{{ let y = x.{field}; {put} }}")),
                }
            }
            _ => code.line(1, &format!("tl::put(&x.{field}, w)?;")),
        }
    }
}

/// Computes and writes a flags word. Fields that share a bit must agree (SEC-117).
fn put_flags(code: &mut Code, constructor: &Definition, word: &str) {
    let mut bits: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for (param, ty, condition) in constructor.fields() {
        let Some(condition) = condition.filter(|condition| condition.word == word) else { continue };
        let field = names::field_name(&param.name);
        let is_set = if matches!(ty, Type::True) { "" } else { ".is_some()" };
        bits.entry(condition.bit).or_default().push(format!("x.{field}{is_set}"));
    }
    for (bit, fields) in bits.iter().filter(|(_, fields)| fields.len() > 1) {
        let names = format!("&\"{} {word}\"", constructor.name);
        code.line(1, &format!("tl::flag_group({names}, {bit}, &[{}])?;", fields.join(", ")));
    }
    let terms: Vec<String> =
        bits.iter().map(|(bit, fields)| format!("({} as u32) << {bit}", fields[0])).collect();
    let word = if terms.is_empty() { "0".to_owned() } else { terms.join(" | ") };
    code.line(1, &format!("w.put_u32({word});"));
}
