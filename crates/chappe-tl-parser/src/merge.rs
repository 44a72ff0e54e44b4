//! Several schemas as one.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Category, Definition, Name, ParameterKind, Type};
use crate::schema::Schema;

/// A name or id that schemas give different meanings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeConflict {
    /// A type has other constructors in an earlier schema.
    Type {
        /// Its name in both schemas.
        name: Name,
        /// Its name in the merged schema.
        renamed: Name,
    },
    /// A constructor or function is another one in an earlier schema.
    Definition {
        /// Its section.
        category: Category,
        /// Its name in both schemas.
        name: Name,
        /// Its name in the merged schema.
        renamed: Name,
    },
    /// An id belongs to something else in an earlier schema, which [`Schema::by_id`] returns.
    Id {
        /// The id.
        id: u32,
        /// The earlier definition.
        first: Name,
        /// The later definition, with its name in the merged schema.
        second: Name,
    },
}

impl fmt::Display for MergeConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { name, renamed } => {
                write!(f, "type `{name}` is two types: `{renamed}` is the second")
            }
            Self::Definition { category: Category::Types, name, renamed } => {
                write!(f, "constructor `{name}` is two constructors: `{renamed}` is the second")
            }
            Self::Definition { category: Category::Functions, name, renamed } => {
                write!(f, "function `{name}` is two functions: `{renamed}` is the second")
            }
            Self::Id { id, first, second } => write!(f, "id {id:08x} belongs to `{first}` and to `{second}`"),
        }
    }
}

/// Schemas joined into one, and what they disagree about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Merged {
    /// The definitions of all schemas.
    pub schema: Schema,
    /// What was renamed, and which ids belong to several definitions.
    pub conflicts: Vec<MergeConflict>,
}

impl Schema {
    /// Joins schemas, each with a label.
    ///
    /// What two schemas define alike is there once. Where they differ, the earlier schema keeps the name, and the later one
    /// gets its label as a namespace: `photoSize` of secret chats becomes `secret.photoSize`. A type is another one if its
    /// constructors differ, or if a type that they contain does. Layer and dialect are those of the first schema.
    ///
    /// ```
    /// use chappe_tl_parser::{Schema, parse};
    ///
    /// let api = parse("api.tl", "ok = Ok; size type:string = Size;")?;
    /// let secret = parse("secret.tl", "ok = Ok; size w:int h:int = Size;")?;
    /// let merged = Schema::merge([("api", &api), ("secret", &secret)]);
    /// let names: Vec<String> = merged.schema.definitions().iter().map(|one| one.name.to_string()).collect();
    /// assert_eq!(names, ["ok", "size", "secret.size"]);
    /// assert_eq!(merged.conflicts[0].to_string(), "type `Size` is two types: `secret.Size` is the second");
    /// # Ok::<(), chappe_tl_parser::Diagnostics>(())
    /// ```
    pub fn merge<'s>(schemas: impl IntoIterator<Item = (&'s str, &'s Self)>) -> Merged {
        let mut merged = Merged { schema: Self::default(), conflicts: Vec::new() };
        for (number, (label, next)) in schemas.into_iter().enumerate() {
            if number == 0 {
                let definitions = next.definitions().to_vec();
                merged.schema = Self::new(next.layer(), next.dialect(), definitions);
            } else {
                merged.add(label, next);
            }
        }
        merged
    }
}

impl Merged {
    fn add(&mut self, label: &str, next: &Schema) {
        let step = Step::new(&self.schema, label, next);
        let mut definitions = self.schema.definitions().to_vec();
        definitions.extend(next.definitions().iter().filter(|one| !step.is_known(one)).map(|one| {
            let mut renamed = one.clone();
            step.rename(&mut renamed);
            renamed
        }));
        let known = self.schema.definitions().len();
        for (name, renamed) in &step.types {
            self.conflicts.push(MergeConflict::Type { name: name.clone(), renamed: renamed.clone() });
        }
        for ((category, name), renamed) in &step.definitions {
            let (category, name, renamed) = (*category, name.clone(), renamed.clone());
            self.conflicts.push(MergeConflict::Definition { category, name, renamed });
        }
        for added in &definitions[known..] {
            if let Some(first) = self.schema.by_id(added.id) {
                let (id, first, second) = (added.id, first.name.clone(), added.name.clone());
                self.conflicts.push(MergeConflict::Id { id, first, second });
            }
        }
        self.schema = Schema::new(self.schema.layer(), self.schema.dialect(), definitions);
    }
}

/// What becomes of the names of the schema that is added.
struct Step<'s> {
    earlier: &'s Schema,
    types: BTreeMap<Name, Name>,
    definitions: BTreeMap<(Category, Name), Name>,
}

impl<'s> Step<'s> {
    fn new(earlier: &'s Schema, label: &str, next: &Schema) -> Self {
        let mut taken: BTreeSet<Name> = earlier.types().cloned().collect();
        taken.extend(earlier.definitions().iter().map(|one| one.name.clone()));
        let free = |name: &Name| {
            let mut free = Name::new(&format!("{label}.{name}"));
            while taken.contains(&free) {
                free = Name::new(&format!("{label}.{free}"));
            }
            free
        };
        let types = differing_types(earlier, next);
        let types: BTreeMap<Name, Name> = types.into_iter().map(|name| (name.clone(), free(name))).collect();
        let mut step = Self { earlier, types, definitions: BTreeMap::new() };
        for one in next.definitions().iter().filter(|one| !step.is_known(one)).collect::<Vec<_>>() {
            let is_taken = match one.category {
                Category::Types => earlier.constructor(&one.name).is_some(),
                Category::Functions => earlier.function(&one.name).is_some(),
            };
            if is_taken {
                step.definitions.insert((one.category, one.name.clone()), free(&one.name));
            }
        }
        step
    }

    /// Returns whether an earlier schema has the same definition.
    fn is_known(&self, one: &Definition) -> bool {
        let earlier = match one.category {
            Category::Types => self.earlier.constructor(&one.name),
            Category::Functions => self.earlier.function(&one.name),
        };
        let renamed = |ty: &Type| match ty.innermost() {
            Type::Boxed(name) | Type::BareOf(name) => self.types.contains_key(name),
            Type::Bare(name) => self.earlier.constructor(name).is_some_and(
                |target| matches!(&target.result, Type::Boxed(ty) if self.types.contains_key(ty)),
            ),
            _ => false,
        };
        let uses_renamed = one.fields().map(|(_, ty, _)| ty).chain([&one.result]).any(renamed);
        earlier.is_some_and(|earlier| earlier.line() == one.line()) && !uses_renamed
    }

    fn rename(&self, one: &mut Definition) {
        if let Some(renamed) = self.definitions.get(&(one.category, one.name.clone())) {
            one.name.clone_from(renamed);
        }
        let params = one.params.iter_mut().filter_map(|param| match &mut param.kind {
            ParameterKind::Value { ty, .. } => Some(ty),
            ParameterKind::Flags => None,
        });
        for mut ty in params.chain([&mut one.result]) {
            while let Type::Vector { element, .. } = ty {
                ty = element;
            }
            match ty {
                Type::Boxed(name) | Type::BareOf(name) => {
                    if let Some(renamed) = self.types.get(name) {
                        name.clone_from(renamed);
                    }
                }
                Type::Bare(name) => {
                    if let Some(renamed) = self.definitions.get(&(Category::Types, name.clone())) {
                        name.clone_from(renamed);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Returns the types of both schemas that differ, in themselves or in what they contain.
fn differing_types<'s>(earlier: &Schema, next: &'s Schema) -> BTreeSet<&'s Name> {
    let lines = |schema: &Schema, ty: &Name| -> BTreeSet<String> {
        schema.constructors_of(ty).map(Definition::line).collect()
    };
    let common: Vec<&Name> = next.types().filter(|ty| earlier.constructors_of(ty).next().is_some()).collect();
    let mut differing: BTreeSet<&Name> =
        common.iter().copied().filter(|ty| lines(earlier, ty) != lines(next, ty)).collect();
    loop {
        let contains_differing = |ty: &Type| match ty.innermost() {
            Type::Boxed(name) | Type::BareOf(name) => differing.contains(name),
            Type::Bare(name) => next
                .constructor(name)
                .is_some_and(|target| matches!(&target.result, Type::Boxed(ty) if differing.contains(ty))),
            _ => false,
        };
        let reached = |ty: &&Name| {
            !differing.contains(*ty)
                && next.constructors_of(ty).any(|one| one.fields().any(|(_, ty, _)| contains_differing(ty)))
        };
        let more: Vec<&Name> = common.iter().copied().filter(reached).collect();
        if more.is_empty() {
            return differing;
        }
        differing.extend(more);
    }
}
