//! The part of a schema that a few definitions need.

use core::fmt;
use std::collections::BTreeSet;

use crate::model::{Category, Definition, Name, Type};
use crate::schema::Schema;

/// The schema has no definition or type of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// The name.
    pub name: String,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the schema has no function, constructor or type `{}`", self.name)
    }
}

impl core::error::Error for UnknownName {}

impl Schema {
    /// Keeps the named functions, constructors and types (`messages.*` names all functions of a namespace), and
    /// everything their parameters and results need.
    ///
    /// A type comes with all its constructors, since any of them may arrive.
    ///
    /// # Errors
    ///
    /// Fails if a name is not in the schema.
    pub fn subset<N: AsRef<str>>(&self, names: &[N]) -> Result<Self, UnknownName> {
        let mut closure = Closure { schema: self, functions: BTreeSet::new(), types: BTreeSet::new() };
        for name in names {
            closure.add_name(name.as_ref())?;
        }
        let definitions = self.definitions().iter().filter(|definition| closure.has(definition)).cloned();
        Ok(Self::new(self.layer(), self.dialect(), definitions.collect()))
    }
}

struct Closure<'s> {
    schema: &'s Schema,
    functions: BTreeSet<&'s Name>,
    types: BTreeSet<&'s Name>,
}

impl<'s> Closure<'s> {
    fn has(&self, definition: &Definition) -> bool {
        match (definition.category, &definition.result) {
            (Category::Functions, _) => self.functions.contains(&definition.name),
            (Category::Types, Type::Boxed(ty)) => self.types.contains(ty),
            (Category::Types, _) => false,
        }
    }

    fn add_name(&mut self, text: &str) -> Result<(), UnknownName> {
        let unknown = || UnknownName { name: text.to_owned() };
        if let Some(namespace) = text.strip_suffix(".*") {
            let of_namespace = |function: &&Definition| function.name.namespace.as_deref() == Some(namespace);
            let functions: Vec<_> = self.schema.functions().filter(of_namespace).collect();
            for function in &functions {
                self.add_function(function);
            }
            return if functions.is_empty() { Err(unknown()) } else { Ok(()) };
        }
        let name = Name::new(text);
        if let Some(function) = self.schema.function(&name) {
            self.add_function(function);
        } else if let Some(Type::Boxed(ty)) =
            self.schema.constructor(&name).map(|constructor| &constructor.result)
        {
            self.add_type(ty);
        } else if let Some(ty) = self.schema.types().find(|ty| **ty == name) {
            self.add_type(ty);
        } else {
            return Err(unknown());
        }
        Ok(())
    }

    fn add_function(&mut self, function: &'s Definition) {
        if self.functions.insert(&function.name) {
            self.add_needs_of(function);
        }
    }

    fn add_needs_of(&mut self, definition: &'s Definition) {
        for ty in definition.fields().map(|(_, ty, _)| ty).chain([&definition.result]) {
            match ty.innermost() {
                Type::Boxed(name) | Type::BareOf(name) => self.add_type(name),
                Type::Bare(name) => {
                    if let Some(Type::Boxed(ty)) = self.schema.constructor(name).map(|target| &target.result)
                    {
                        self.add_type(ty);
                    }
                }
                _ => {}
            }
        }
    }

    fn add_type(&mut self, ty: &'s Name) {
        if self.types.insert(ty) {
            for constructor in self.schema.constructors_of(ty) {
                self.add_needs_of(constructor);
            }
        }
    }
}
