//! The consistency checks of a schema.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Source};
use crate::lexer::LayerMark;
use crate::model::{Definition, ParameterKind, Type};
use crate::{ParseOptions, Schema, id};

/// Returns the layer, if the file names exactly one.
pub(crate) fn layer(source: &Source<'_>, marks: &[LayerMark], problems: &mut Vec<Diagnostic>) -> Option<i32> {
    let first = marks.first()?;
    for other in marks.iter().filter(|mark| mark.layer != first.layer) {
        let message = format!("expected one layer, found {} after {}", other.layer, first.layer);
        problems.push(source.at(other.offset, message));
    }
    Some(first.layer)
}

/// Checks ids, names, flags words and references.
pub(crate) fn check(
    source: &Source<'_>,
    schema: &Schema,
    options: &ParseOptions,
    syntax_is_fine: bool,
    problems: &mut Vec<Diagnostic>,
) {
    let mut report =
        |definition: &Definition, message: String| problems.push(source.at(definition.offset, message));
    let mut names = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for definition in schema.definitions() {
        check_id(definition, options, &mut report);
        check_params(definition, &mut report);
        if syntax_is_fine {
            // A malformed definition would cause an error for each of its uses.
            check_references(definition, schema, &mut report);
        }
        if let Some(id) = names.insert((definition.category, &definition.name), definition.id) {
            report(definition, format!("`{}` is defined twice, first with id {id:08x}", definition.name));
        }
        if let Some(first) = ids.insert(definition.id, &definition.name) {
            report(definition, format!("id {:08x} belongs to `{first}` already", definition.id));
        }
    }
}

fn check_id(definition: &Definition, options: &ParseOptions, report: &mut impl FnMut(&Definition, String)) {
    let name = definition.name.to_string();
    let computed = id::compute(&definition.text);
    let trusted = id::is_exception(&name, definition.id) || options.trusted_ids.contains(&name);
    if definition.id != computed && !trusted {
        report(
            definition,
            format!("expected id {computed:08x} for this definition, found {:08x}", definition.id),
        );
    }
}

fn check_params(definition: &Definition, report: &mut impl FnMut(&Definition, String)) {
    for (index, param) in definition.params.iter().enumerate() {
        let earlier = &definition.params[..index];
        if earlier.iter().any(|other| other.name == param.name) {
            report(definition, format!("parameter `{}` is there twice", param.name));
        }
        let ParameterKind::Value { ty, condition } = &param.kind else { continue };
        if let Some(condition) = condition {
            let is_word = |other: &&crate::Parameter| other.name == condition.word;
            match earlier.iter().find(is_word).map(|other| &other.kind) {
                Some(ParameterKind::Flags) => {}
                _ => report(
                    definition,
                    format!(
                        "expected an earlier parameter `{}:#` for `{}`, found none",
                        condition.word, param.name
                    ),
                ),
            }
        }
        let is_condition_value = condition.is_some() && *ty == Type::True;
        if *ty.innermost() == Type::True && !is_condition_value {
            report(definition, format!("`{}` is `true` without a condition, which has no bytes", param.name));
        }
    }
}

fn check_references(definition: &Definition, schema: &Schema, report: &mut impl FnMut(&Definition, String)) {
    let types = definition.fields().map(|(_, ty, _)| ty).chain([&definition.result]);
    for ty in types {
        let constructors = match ty.innermost() {
            Type::Boxed(name) => schema.constructors_of(name).count(),
            Type::Bare(name) => usize::from(schema.constructor(name).is_some()),
            Type::BareOf(name) => match schema.constructors_of(name).count() {
                0 | 1 => schema.constructors_of(name).count(),
                count => {
                    report(definition, format!("`%{name}` needs a type with one constructor, found {count}"));
                    continue;
                }
            },
            _ => continue,
        };
        if constructors == 0 {
            report(definition, format!("type `{}` is not defined", ty.innermost()));
        }
    }
}
