//! All definitions of a schema, with lookup.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use crate::Dialect;
use crate::diagnostic::Diagnostic;
use crate::model::{Category, Definition, Name, Type};

/// A checked schema.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    layer: Option<i32>,
    dialect: Dialect,
    warnings: Vec<Diagnostic>,
    definitions: Vec<Definition>,
    by_id: BTreeMap<u32, usize>,
    by_name: BTreeMap<(Category, Name), usize>,
    by_type: BTreeMap<Name, Vec<usize>>,
}

impl Schema {
    /// Indexes definitions. `Object` becomes [`Type::Object`] unless it is one of the types.
    pub(crate) fn new(layer: Option<i32>, dialect: Dialect, mut definitions: Vec<Definition>) -> Self {
        let object = Name::new("Object");
        let is_object =
            |definition: &Definition| definition.category == Category::Types && is_of(definition, &object);
        if !definitions.iter().any(is_object) {
            definitions.iter_mut().for_each(replace_object);
        }
        for (index, definition) in definitions.iter_mut().enumerate() {
            definition.index = index;
        }
        let mut schema = Self { layer, dialect, definitions, ..Self::default() };
        for (index, definition) in schema.definitions.iter().enumerate() {
            schema.by_id.entry(definition.id).or_insert(index);
            schema.by_name.entry((definition.category, definition.name.clone())).or_insert(index);
            if let (Category::Types, Type::Boxed(ty)) = (definition.category, &definition.result) {
                schema.by_type.entry(ty.clone()).or_default().push(index);
            }
        }
        schema
    }

    /// Adds what was found that does not keep the schema from being read.
    pub(crate) fn with_warnings(mut self, warnings: Vec<Diagnostic>) -> Self {
        self.warnings = warnings;
        self
    }

    /// Returns the layer, if the file or the caller names one. Of a schema with `===N===` sections: that of the last one.
    pub const fn layer(&self) -> Option<i32> {
        self.layer
    }

    /// Returns the dialect that the schema was read as.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns the warnings, sorted by position: ids that differ from the computed ones, ids of several definitions. At most
    /// [`MAX_DIAGNOSTICS`](crate::MAX_DIAGNOSTICS).
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Returns all definitions in the order of the file, without the built-in ones (`int ? = Int`).
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// Returns the constructors in the order of the file.
    pub fn constructors(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.iter().filter(|definition| definition.category == Category::Types)
    }

    /// Returns the functions in the order of the file.
    pub fn functions(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.iter().filter(|definition| definition.category == Category::Functions)
    }

    /// Returns the names of all types that have constructors, sorted.
    pub fn types(&self) -> impl Iterator<Item = &Name> {
        self.by_type.keys()
    }

    /// Returns the constructors of a type, in the order of the file.
    pub fn constructors_of(&self, ty: &Name) -> impl Iterator<Item = &Definition> {
        self.by_type.get(ty).into_iter().flatten().map(|index| &self.definitions[*index])
    }

    /// Returns the constructor called `name`.
    pub fn constructor(&self, name: &Name) -> Option<&Definition> {
        self.by_name.get(&(Category::Types, name.clone())).map(|index| &self.definitions[*index])
    }

    /// Returns the function called `name`.
    pub fn function(&self, name: &Name) -> Option<&Definition> {
        self.by_name.get(&(Category::Functions, name.clone())).map(|index| &self.definitions[*index])
    }

    /// Returns the constructor or function with that id; the first one, if several have it.
    pub fn by_id(&self, id: u32) -> Option<&Definition> {
        self.by_id.get(&id).map(|index| &self.definitions[*index])
    }

    /// Returns the namespaces in use, sorted; the root is not one of them.
    pub fn namespaces(&self) -> BTreeSet<&str> {
        let of_types = self.types().filter_map(|name| name.namespace.as_deref());
        let of_definitions =
            self.definitions.iter().filter_map(|definition| definition.name.namespace.as_deref());
        of_types.chain(of_definitions).collect()
    }
}

/// The schema as text: the layer, the constructors, the functions, each with its id.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = self.layer {
            writeln!(f, "// LAYER {layer}")?;
        }
        self.constructors().try_for_each(|constructor| writeln!(f, "{}", constructor.line()))?;
        if self.functions().next().is_some() {
            writeln!(f, "---functions---")?;
        }
        self.functions().try_for_each(|function| writeln!(f, "{}", function.line()))
    }
}

fn is_of(definition: &Definition, ty: &Name) -> bool {
    matches!(&definition.result, Type::Boxed(name) if name == ty)
}

fn replace_object(definition: &mut Definition) {
    let params = definition.params.iter_mut().filter_map(|param| match &mut param.kind {
        crate::ParameterKind::Value { ty, .. } => Some(ty),
        crate::ParameterKind::Flags => None,
    });
    for mut ty in params.chain([&mut definition.result]) {
        while let Type::Vector { element, .. } = ty {
            ty = element;
        }
        if matches!(ty, Type::Boxed(name) if name.namespace.is_none() && name.ident == "Object") {
            *ty = Type::Object;
        }
    }
}
