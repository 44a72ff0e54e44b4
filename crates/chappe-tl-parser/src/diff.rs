//! The changes between two schemas, and what they break.

use core::fmt;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::model::{Category, Definition, Name, Parameter, ParameterKind, Type};
use crate::schema::Schema;

/// What a change breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impact {
    /// Nothing: callers compile, and encodings are compatible.
    Compatible,
    /// Source code: callers of the definition must change, but encoded bytes stay valid.
    SourceBreaking,
    /// The wire format: bytes of one schema are invalid in the other.
    WireBreaking,
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compatible => "compatible",
            Self::SourceBreaking => "source-breaking",
            Self::WireBreaking => "wire-breaking",
        })
    }
}

/// The change of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldChange {
    /// It was added.
    Added(Parameter),
    /// It was removed.
    Removed(Parameter),
    /// Its type or condition changed.
    Changed {
        /// The old one.
        old: Parameter,
        /// The new one.
        new: Parameter,
    },
    /// Its position among the common parameters changed.
    Moved(Parameter),
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(param) => write!(f, "+ {param}"),
            Self::Removed(param) => write!(f, "- {param}"),
            Self::Changed { old, new } => write!(f, "~ {old} -> {new}"),
            Self::Moved(param) => write!(f, "^ {param}"),
        }
    }
}

/// The change of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It was added.
    Added {
        /// The new one.
        new: Box<Definition>,
    },
    /// It was removed.
    Removed {
        /// The old one.
        old: Box<Definition>,
    },
    /// It changed.
    Changed {
        /// The old one.
        old: Box<Definition>,
        /// The new one.
        new: Box<Definition>,
        /// The changes of its parameters.
        fields: Vec<FieldChange>,
    },
}

/// A definition that differs between both schemas.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Its name.
    pub name: Name,
    /// Its section.
    pub category: Category,
    /// The change.
    pub kind: ChangeKind,
    /// What the change breaks.
    pub impact: Impact,
}

/// The changes between two schemas.
///
/// ```
/// use chappe_tl_parser::{SchemaDiff, Impact, parse};
///
/// let old = parse("old.tl", "answer flags:# id:int = Answer;")?;
/// let new = parse("new.tl", "answer flags:# silent:flags.0?true id:int = Answer;")?;
/// let diff = SchemaDiff::between(&old, &new);
/// // The bit is new, the id and the bytes are not: only struct literals must be completed.
/// assert_eq!(diff.impact(), Impact::SourceBreaking);
/// assert!(diff.to_string().contains("+ silent:flags.0?true"));
/// # Ok::<(), chappe_tl_parser::Diagnostics>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaDiff {
    /// The layer of the old schema.
    pub old_layer: Option<i32>,
    /// The layer of the new schema.
    pub new_layer: Option<i32>,
    /// All changes: constructors, then functions, each sorted by name.
    pub changes: Vec<Change>,
    /// The types that had one constructor and have several now, sorted. Generated types of the arena style change their shape:
    /// a struct behind a `One` becomes an enum.
    pub grown: Vec<GrownType>,
}

/// A type that had one constructor and has several now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrownType {
    /// The type.
    pub ty: Name,
    /// The constructor that it had.
    pub first: Name,
    /// The constructors that it has now.
    pub constructors: Vec<Name>,
    /// The constructors that have a field of the type, and the functions that have or return one: code that uses them breaks.
    pub used_by: Vec<Name>,
}

impl fmt::Display for GrownType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} had only `{}`, and has {} constructors now",
            self.ty,
            self.first,
            self.constructors.len()
        )?;
        match &self.used_by[..] {
            [] => Ok(()),
            names => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "; used by {}", names.join(", "))
            }
        }
    }
}

impl SchemaDiff {
    /// Compares two schemas by the names of their definitions.
    pub fn between(old: &Schema, new: &Schema) -> Self {
        let mut pairs: BTreeMap<_, (Option<&Definition>, Option<&Definition>)> = BTreeMap::new();
        for definition in old.definitions() {
            pairs.entry((definition.category, &definition.name)).or_default().0 = Some(definition);
        }
        for definition in new.definitions() {
            pairs.entry((definition.category, &definition.name)).or_default().1 = Some(definition);
        }
        let changes = pairs.into_iter().filter_map(|((category, name), pair)| {
            let (kind, impact) = match pair {
                (Some(before), Some(after)) => changed(before, after)?,
                (Some(before), None) => {
                    (ChangeKind::Removed { old: before.clone().into() }, Impact::WireBreaking)
                }
                (None, Some(after)) => {
                    (ChangeKind::Added { new: after.clone().into() }, verdict_of_added(old, after))
                }
                (None, None) => return None,
            };
            Some(Change { name: name.clone(), category, kind, impact })
        });
        Self {
            old_layer: old.layer(),
            new_layer: new.layer(),
            changes: changes.collect(),
            grown: grown(old, new),
        }
    }

    /// Returns the changes as JSON: layers, verdict, counts, each change with both lines of the schema, and the types of
    /// [`grown`](Self::grown).
    pub fn to_json(&self) -> Value {
        let counts = |category| {
            let counts = self.counts(category);
            json!({ "added": counts.added, "removed": counts.removed, "changed": counts.changed })
        };
        json!({
            "old_layer": self.old_layer,
            "new_layer": self.new_layer,
            "verdict": self.impact().to_string(),
            "constructors": counts(Category::Types),
            "functions": counts(Category::Functions),
            "changes": self.changes.iter().map(Change::to_json).collect::<Vec<_>>(),
            "grown": self.grown.iter().map(GrownType::to_json).collect::<Vec<_>>(),
        })
    }

    /// Returns the worst impact of all changes.
    pub fn impact(&self) -> Impact {
        self.changes.iter().map(|change| change.impact).max().unwrap_or(Impact::Compatible)
    }

    /// Counts the additions, removals and changes of a section.
    pub fn counts(&self, category: Category) -> ChangeCounts {
        let mut counts = ChangeCounts::default();
        for change in self.changes.iter().filter(|change| change.category == category) {
            match change.kind {
                ChangeKind::Added { .. } => counts.added += 1,
                ChangeKind::Removed { .. } => counts.removed += 1,
                ChangeKind::Changed { .. } => counts.changed += 1,
            }
        }
        counts
    }
}

impl Change {
    fn to_json(&self) -> Value {
        let (kind, old, new, fields) = match &self.kind {
            ChangeKind::Added { new } => ("added", None, Some(new.line()), &[][..]),
            ChangeKind::Removed { old } => ("removed", Some(old.line()), None, &[][..]),
            ChangeKind::Changed { old, new, fields } => {
                ("changed", Some(old.line()), Some(new.line()), &fields[..])
            }
        };
        json!({
            "name": self.name.to_string(),
            "category": if self.category == Category::Types { "constructor" } else { "function" },
            "kind": kind,
            "verdict": self.impact.to_string(),
            "old": old,
            "new": new,
            "fields": fields.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }
}

impl GrownType {
    fn to_json(&self) -> Value {
        let names = |names: &[Name]| names.iter().map(Name::to_string).collect::<Vec<_>>();
        json!({
            "type": self.ty.to_string(),
            "first": self.first.to_string(),
            "constructors": names(&self.constructors),
            "used_by": names(&self.used_by),
        })
    }
}

/// Returns the types that had one constructor and have several now.
fn grown(old: &Schema, new: &Schema) -> Vec<GrownType> {
    let only = |ty: &&Name| {
        let mut constructors = old.constructors_of(ty);
        constructors.next().filter(|_| constructors.next().is_none())
    };
    let uses = |definition: &Definition, ty: &Name| {
        definition
            .fields()
            .map(|(_, used, _)| used)
            .chain((definition.category == Category::Functions).then_some(&definition.result))
            .any(|used| matches!(used.innermost(), Type::Boxed(name) | Type::BareOf(name) if name == ty))
    };
    let candidates = new.types().filter_map(|ty| Some((ty, only(&ty)?)));
    candidates
        .map(|(ty, first)| GrownType {
            ty: ty.clone(),
            first: first.name.clone(),
            constructors: new.constructors_of(ty).map(|one| one.name.clone()).collect(),
            used_by: old
                .definitions()
                .iter()
                .filter(|one| uses(one, ty))
                .map(|one| one.name.clone())
                .collect(),
        })
        .filter(|grown| grown.constructors.len() > 1)
        .collect()
}

/// The number of changes in a section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangeCounts {
    /// Added definitions.
    pub added: usize,
    /// Removed definitions.
    pub removed: usize,
    /// Changed definitions.
    pub changed: usize,
}

impl fmt::Display for ChangeCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} added, {} removed, {} changed", self.added, self.removed, self.changed)
    }
}

/// A new constructor of an existing type breaks exhaustive matches.
fn verdict_of_added(old: &Schema, added: &Definition) -> Impact {
    match (added.category, &added.result) {
        (Category::Types, Type::Boxed(ty)) if old.constructors_of(ty).next().is_some() => {
            Impact::SourceBreaking
        }
        _ => Impact::Compatible,
    }
}

fn changed(old: &Definition, new: &Definition) -> Option<(ChangeKind, Impact)> {
    let same_shape = old.params == new.params && old.result == new.result && old.generics == new.generics;
    if same_shape && old.id == new.id {
        return None;
    }
    let same_bytes = old.id == new.id && old.result == new.result && on_wire(old).eq(on_wire(new));
    let impact = if same_bytes { Impact::SourceBreaking } else { Impact::WireBreaking };
    let kind = ChangeKind::Changed {
        old: old.clone().into(),
        new: new.clone().into(),
        fields: field_changes(old, new),
    };
    Some((kind, impact))
}

/// The part of a definition that its encoding depends on: types and conditions, without names and bare flags.
fn on_wire(definition: &Definition) -> impl Iterator<Item = (Type, Option<(usize, u8)>)> {
    definition.params.iter().filter_map(|param| match &param.kind {
        ParameterKind::Flags => Some((Type::True, None)),
        ParameterKind::Value { ty: Type::True, .. } => None,
        ParameterKind::Value { ty, condition } => {
            let condition = condition.as_ref().map(|condition| {
                let word = definition.params.iter().position(|param| param.name == condition.word);
                // Counted among the flags words: parameters without bytes may stand between them.
                let words = definition.params.iter().take(word.unwrap_or_default());
                (words.filter(|param| param.kind == ParameterKind::Flags).count(), condition.bit)
            });
            Some((without_bytes(ty), condition))
        }
    })
}

/// `bytes` and `string` are encoded alike.
fn without_bytes(ty: &Type) -> Type {
    match ty {
        Type::Bytes => Type::String,
        Type::Vector { element, boxed } => {
            Type::Vector { element: Box::new(without_bytes(element)), boxed: *boxed }
        }
        other => other.clone(),
    }
}

fn field_changes(old: &Definition, new: &Definition) -> Vec<FieldChange> {
    let find = |definition: &Definition, name: &str| {
        definition.params.iter().find(|param| param.name == name).cloned()
    };
    let mut changes = Vec::new();
    for before in &old.params {
        match find(new, &before.name) {
            None => changes.push(FieldChange::Removed(before.clone())),
            Some(after) if after != *before => {
                changes.push(FieldChange::Changed { old: before.clone(), new: after });
            }
            Some(_) => {}
        }
    }
    let common = |one: &Definition, other: &Definition| -> Vec<String> {
        one.params
            .iter()
            .filter(|param| find(other, &param.name).is_some())
            .map(|param| param.name.clone())
            .collect()
    };
    for (before, after) in common(old, new).iter().zip(common(new, old)) {
        if *before != after {
            changes.extend(find(new, &after).map(FieldChange::Moved));
        }
    }
    let added = new.params.iter().filter(|after| find(old, &after.name).is_none());
    changes.extend(added.cloned().map(FieldChange::Added));
    changes
}

impl fmt::Display for SchemaDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "constructors: {}", self.counts(Category::Types))?;
        writeln!(f, "functions: {}", self.counts(Category::Functions))?;
        writeln!(f, "impact: {}", self.impact())?;
        self.changes.iter().try_for_each(|change| write!(f, "{change}"))?;
        self.grown.iter().try_for_each(|grown| writeln!(f, "! {grown}"))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ChangeKind::Added { new } => writeln!(f, "+ {} [{}]", new.line(), self.impact),
            ChangeKind::Removed { old } => writeln!(f, "- {} [{}]", old.line(), self.impact),
            ChangeKind::Changed { old, new, fields } => {
                writeln!(f, "~ {} #{:08x} -> #{:08x} [{}]", self.name, old.id, new.id, self.impact)?;
                for field in fields {
                    writeln!(f, "    {field}")?;
                }
                if old.result != new.result {
                    writeln!(f, "    = {} -> {}", old.result, new.result)?;
                }
                Ok(())
            }
        }
    }
}
