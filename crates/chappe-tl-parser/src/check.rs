//! The consistency checks of a schema.

use std::collections::BTreeMap;

use crate::diagnostic::{Problems, Source};
use crate::lexer::LayerMark;
use crate::model::{Category, Definition, Name, ParameterKind, Type};
use crate::{ParseOptions, Schema, id};

/// Returns the layer: the given one, or the only one that the file names.
pub(crate) fn layer(
    source: &Source<'_>,
    marks: &[LayerMark],
    options: &ParseOptions,
    problems: &mut Problems,
) -> Option<i32> {
    if options.layer.is_some() {
        return options.layer;
    }
    let first = marks.first()?;
    for other in marks.iter().filter(|mark| mark.layer != first.layer) {
        let message = format!("expected one layer, found {} after {}", other.layer, first.layer);
        problems.error(source, other.offset, message);
    }
    Some(first.layer)
}

/// Checks ids, names, flags words and references.
pub(crate) fn check(
    source: &Source<'_>,
    schema: &Schema,
    options: &ParseOptions,
    syntax_is_fine: bool,
    problems: &mut Problems,
) {
    let mut checks = Checks { source, schema, options, problems };
    let mut names = BTreeMap::new();
    for definition in schema.definitions() {
        checks.id(definition);
        checks.params(definition);
        checks.generics(definition);
        if syntax_is_fine {
            // A malformed definition would cause an error for each of its uses.
            checks.references(definition);
        }
        if let Some(id) = names.insert((definition.category, &definition.name), definition.id) {
            checks
                .error(definition, format!("`{}` is defined twice, first with id {id:08x}", definition.name));
        }
    }
    checks.unique_ids();
}

struct Checks<'c, 'a> {
    source: &'c Source<'a>,
    schema: &'c Schema,
    options: &'c ParseOptions,
    problems: &'c mut Problems,
}

impl Checks<'_, '_> {
    fn error(&mut self, definition: &Definition, message: String) {
        self.problems.error(self.source, definition.offset, message);
    }

    /// Adds a warning, which is an error with [`ParseOptions::strict`].
    fn warning(&mut self, definition: &Definition, message: String) {
        if self.options.strict {
            self.error(definition, message);
        } else {
            self.problems.warning(self.source, definition.offset, message);
        }
    }

    fn id(&mut self, definition: &Definition) {
        let name = definition.name.to_string();
        let computed = id::compute_in(self.schema.dialect(), &definition.text);
        let trusted = id::is_exception(&name, definition.id) || self.options.trusted_ids.contains(&name);
        if definition.id != computed && !trusted {
            let found = definition.id;
            self.warning(
                definition,
                format!("expected id {computed:08x} for this definition, found {found:08x}"),
            );
        }
    }

    /// Within one type ids tell the constructors apart. Elsewhere a reader knows the type, so an id may occur again.
    fn unique_ids(&mut self) {
        let schema = self.schema;
        let mut all = BTreeMap::new();
        let mut of_type: BTreeMap<(&Name, u32), &Name> = BTreeMap::new();
        for definition in schema.definitions() {
            let id = definition.id;
            if let (Category::Types, Type::Boxed(ty)) = (definition.category, &definition.result)
                && let Some(first) = of_type.insert((ty, id), &definition.name)
            {
                self.error(definition, format!("id {id:08x} belongs to `{first}` already"));
            } else if let Some(first) = all.insert(id, &definition.name) {
                self.warning(definition, format!("id {id:08x} belongs to `{first}` already"));
            }
        }
    }

    fn params(&mut self, definition: &Definition) {
        for (index, param) in definition.params.iter().enumerate() {
            let earlier = &definition.params[..index];
            if earlier.iter().any(|other| other.name == param.name) {
                self.error(definition, format!("parameter `{}` is there twice", param.name));
            }
            let ParameterKind::Value { ty, condition } = &param.kind else { continue };
            if let Some(condition) = condition {
                let is_word = |other: &&crate::Parameter| other.name == condition.word;
                match earlier.iter().find(is_word).map(|other| &other.kind) {
                    Some(ParameterKind::Flags) => {}
                    Some(ParameterKind::Value { ty: Type::Nat, .. }) => self.error(
                        definition,
                        format!(
                            "`{}` depends on `{}`, which is conditional itself",
                            param.name, condition.word
                        ),
                    ),
                    _ => self.error(
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
                self.error(
                    definition,
                    format!("`{}` is `true` without a condition, which has no bytes", param.name),
                );
            }
        }
    }

    fn generics(&mut self, definition: &Definition) {
        for (index, name) in definition.generics.iter().enumerate() {
            if definition.generics[..index].contains(name) {
                self.error(definition, format!("type parameter `{name}` is there twice"));
            }
            let is_use =
                |ty: &Type| matches!(ty.innermost(), Type::Generic { name: used, .. } if used == name);
            if !definition.fields().any(|(_, ty, _)| is_use(ty)) {
                self.error(definition, format!("no parameter has the type parameter `{name}`"));
            }
        }
        if definition.category == Category::Types && !definition.generics.is_empty() {
            self.error(definition, "a constructor with type parameters is not supported".to_owned());
        }
    }

    fn references(&mut self, definition: &Definition) {
        let schema = self.schema;
        let types = definition.fields().map(|(_, ty, _)| ty).chain([&definition.result]);
        for ty in types {
            let constructors = match ty.innermost() {
                Type::Boxed(name) => schema.constructors_of(name).count(),
                Type::Bare(name) => usize::from(schema.constructor(name).is_some()),
                Type::BareOf(name) => match schema.constructors_of(name).count() {
                    0 | 1 => schema.constructors_of(name).count(),
                    count => {
                        self.error(
                            definition,
                            format!("`%{name}` needs a type with one constructor, found {count}"),
                        );
                        continue;
                    }
                },
                _ => continue,
            };
            if constructors == 0 {
                self.error(definition, format!("type `{}` is not defined", ty.innermost()));
            }
        }
    }
}
