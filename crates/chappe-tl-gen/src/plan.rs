//! Names, sizes and recursion of a schema, for every style.

use std::collections::{BTreeMap, BTreeSet};

use chappe_tl_parser::{Definition, Name, Schema, Type};

use crate::{GenerateError, names};

/// Length of the longest chain that can matter; types that cannot be encoded at all are given this length.
const ENDLESS: usize = 1 << 20;

/// Variants are boxed if they take more memory than this for each byte of the type's shortest encoding. With the tag
/// and the vector around it, a hostile vector of the shortest encodings stays below 20 bytes per byte received.
const MEMORY_PER_BYTE: usize = 16;

/// A schema with derived facts for all styles.
#[derive(Debug)]
pub struct Plan<'s> {
    schema: &'s Schema,
    variants: BTreeMap<usize, String>,
    least_of_constructor: BTreeMap<usize, usize>,
    least_of_type: BTreeMap<Name, usize>,
    boxed_variants: BTreeSet<usize>,
    pages: Option<String>,
    /// By type: the functions that return it, and the definitions that have a field of it.
    uses: BTreeMap<&'s Name, Uses<'s>>,
}

#[derive(Debug, Default)]
struct Uses<'s> {
    returned_by: BTreeSet<&'s Name>,
    part_of: BTreeSet<&'s Name>,
}

impl<'s> Plan<'s> {
    /// Analyses the schema.
    ///
    /// # Errors
    ///
    /// Fails if the schema cannot be expressed in Rust.
    pub fn new(schema: &'s Schema) -> Result<Self, GenerateError> {
        check_names(schema)?;
        let mut plan = Self {
            schema,
            variants: variants(schema)?,
            least_of_constructor: BTreeMap::new(),
            least_of_type: BTreeMap::new(),
            boxed_variants: BTreeSet::new(),
            pages: None,
            uses: uses(schema),
        };
        plan.find_least();
        plan.find_recursion();
        plan.find_large();
        Ok(plan)
    }

    /// Returns the schema.
    pub const fn schema(&self) -> &'s Schema {
        self.schema
    }

    /// Sets the address of the schema's pages.
    #[must_use]
    pub fn with_pages(mut self, pages: Option<String>) -> Self {
        self.pages = pages;
        self
    }

    /// Returns the address of the schema's pages, if it has any.
    pub fn pages(&self) -> Option<&str> {
        self.pages.as_deref()
    }

    /// Returns the functions that return a type or a vector of it, sorted by name.
    pub fn functions_returning(&self, ty: &Name) -> Vec<&'s Name> {
        self.uses.get(ty).map(|uses| uses.returned_by.iter().copied().collect()).unwrap_or_default()
    }

    /// Returns the constructors and functions that have a field of a type or a vector of it, sorted by name.
    pub fn definitions_with(&self, ty: &Name) -> Vec<&'s Name> {
        self.uses.get(ty).map(|uses| uses.part_of.iter().copied().collect()).unwrap_or_default()
    }

    /// Returns the variant of its type that a constructor becomes.
    pub fn variant(&self, constructor: &Definition) -> &str {
        &self.variants[&constructor.index]
    }

    /// Returns whether the variant of a constructor holds a box: because it reaches its own type, or because it would
    /// make all values of the type large.
    pub fn is_boxed(&self, constructor: &Definition) -> bool {
        self.boxed_variants.contains(&constructor.index)
    }

    /// Returns whether a field holds a bare value that holds the field's own object again.
    pub fn is_bare_cycle(&self, owner: &Definition, ty: &Type) -> bool {
        let Some(target) = self.bare_target(ty) else { return false };
        let mut seen = BTreeSet::new();
        let mut open = vec![target];
        while let Some(next) = open.pop() {
            if next.index == owner.index {
                return true;
            }
            if seen.insert(next.index) {
                open.extend(next.fields().filter_map(|(_, ty, _)| self.bare_target(ty)));
            }
        }
        false
    }

    /// Returns whether all fields of a constructor or function can be empty.
    pub fn has_empty(&self, definition: &Definition) -> bool {
        self.has_empty_fields(definition, 64)
    }

    /// Returns the constructor that is the empty value of a type: the first one without parameters.
    pub fn empty_constructor(&self, ty: &Name) -> Option<&'s Definition> {
        self.schema.constructors_of(ty).find(|constructor| constructor.params.is_empty())
    }

    fn has_empty_fields(&self, definition: &Definition, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        definition.generics.is_empty()
            && definition.fields().filter(|(_, _, condition)| condition.is_none()).all(
                |(_, ty, _)| match ty {
                    Type::Boxed(name) => self.empty_constructor(name).is_some(),
                    Type::Bare(_) | Type::BareOf(_) => {
                        self.bare_target(ty).is_some_and(|target| self.has_empty_fields(target, depth))
                    }
                    _ => true,
                },
            )
    }

    /// Returns the constructor whose fields a bare type stands for.
    pub fn bare_target(&self, ty: &Type) -> Option<&'s Definition> {
        match ty {
            Type::Bare(name) => self.schema.constructor(name),
            Type::BareOf(name) => self.schema.constructors_of(name).next(),
            _ => None,
        }
    }

    /// Returns the length of the shortest encoding of a constructor's fields, without its id.
    pub fn least_of_constructor(&self, constructor: &Definition) -> usize {
        self.least_of_constructor.get(&constructor.index).copied().unwrap_or(0)
    }

    /// Returns the length of the shortest encoding of any constructor of a type, with its id.
    pub fn least_of_type(&self, ty: &Name) -> usize {
        self.least_of_type.get(ty).copied().unwrap_or(4)
    }

    /// Returns the length of the shortest encoding of a value.
    pub fn least(&self, ty: &Type) -> usize {
        match ty {
            Type::True => 0,
            Type::Nat
            | Type::Int
            | Type::String
            | Type::Bytes
            | Type::Bool
            | Type::Object
            | Type::Generic { .. } => 4,
            Type::Long | Type::Double => 8,
            Type::Int128 => 16,
            Type::Int256 => 32,
            Type::Int512 => 64,
            Type::Vector { boxed, .. } => 4 + 4 * usize::from(*boxed),
            Type::Boxed(name) => self.least_of_type.get(name).copied().unwrap_or(ENDLESS),
            Type::Bare(_) | Type::BareOf(_) => {
                let target = self.bare_target(ty);
                target
                    .and_then(|target| self.least_of_constructor.get(&target.index))
                    .copied()
                    .unwrap_or(ENDLESS)
            }
        }
    }

    /// Shortest encodings: each round can only lower them, and the shortest one has no recursion.
    fn find_least(&mut self) {
        loop {
            let mut changed = false;
            for constructor in self.schema.constructors() {
                let conditional = |param: &chappe_tl_parser::Parameter| {
                    matches!(&param.kind, chappe_tl_parser::ParameterKind::Value { condition: Some(_), .. })
                };
                let params = constructor.params.iter().filter(|param| !conditional(param));
                let least: usize = params
                    .map(|param| match &param.kind {
                        chappe_tl_parser::ParameterKind::Flags => 4,
                        chappe_tl_parser::ParameterKind::Value { ty, .. } => self.least(ty),
                    })
                    .sum::<usize>()
                    .min(ENDLESS);
                changed |= self.least_of_constructor.insert(constructor.index, least) != Some(least);
                if let Type::Boxed(ty) = &constructor.result {
                    let known = self.least_of_type.get(ty).copied().unwrap_or(ENDLESS);
                    if least + 4 < known {
                        self.least_of_type.insert(ty.clone(), least + 4);
                        changed = true;
                    }
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// A constructor that reaches its own type without a vector in between would be of endless size.
    fn find_recursion(&mut self) {
        for constructor in self.schema.constructors() {
            let Type::Boxed(own) = &constructor.result else { continue };
            let mut seen = BTreeSet::new();
            let mut open = vec![constructor];
            while let Some(next) = open.pop() {
                for (_, ty, _) in next.fields() {
                    if matches!(ty, Type::Boxed(name) if name == own) {
                        self.boxed_variants.insert(constructor.index);
                    }
                    let inner: Vec<_> = match ty {
                        Type::Boxed(name) => self.schema.constructors_of(name).collect(),
                        _ => self.bare_target(ty).into_iter().collect(),
                    };
                    open.extend(inner.into_iter().filter(|inner| seen.insert(inner.index)));
                }
            }
        }
    }

    fn find_large(&mut self) {
        let mut sizes = BTreeMap::new();
        let names: Vec<Name> = self.schema.types().cloned().collect();
        for ty in &names {
            self.size_of_type(ty, &mut sizes);
        }
    }

    /// About how much memory a value of the type takes; boxes variants that make it too much.
    fn size_of_type(&mut self, ty: &Name, sizes: &mut BTreeMap<Name, usize>) -> usize {
        if let Some(size) = sizes.get(ty) {
            return *size;
        }
        sizes.insert(ty.clone(), 8);
        let limit = self.least_of_type(ty) * MEMORY_PER_BYTE;
        let mut largest = 0;
        for constructor in self.schema.constructors_of(ty) {
            let size = self.size_of_fields(constructor, sizes);
            if size > limit {
                self.boxed_variants.insert(constructor.index);
            }
            largest = largest.max(if self.is_boxed(constructor) { 8 } else { size });
        }
        sizes.insert(ty.clone(), largest + 8);
        largest + 8
    }

    fn size_of_fields(&mut self, constructor: &Definition, sizes: &mut BTreeMap<Name, usize>) -> usize {
        let mut size = 0;
        for (_, ty, condition) in constructor.fields() {
            let own = match ty {
                Type::True => 1,
                Type::Nat | Type::Int | Type::Bool => 4,
                Type::Long | Type::Double | Type::Generic { .. } => 8,
                Type::Int128 => 16,
                Type::Int256 => 32,
                Type::Int512 => 64,
                Type::String | Type::Bytes | Type::Object | Type::Vector { .. } => 24,
                Type::Boxed(name) => self.size_of_type(name, sizes),
                Type::Bare(_) | Type::BareOf(_) => match self.bare_target(ty) {
                    Some(target) if !self.is_bare_cycle(constructor, ty) => {
                        self.size_of_fields(target, sizes)
                    }
                    _ => 8,
                },
            };
            let has_own_tag = matches!(
                ty,
                Type::Nat
                    | Type::Int
                    | Type::Long
                    | Type::Double
                    | Type::Int128
                    | Type::Int256
                    | Type::Int512
            );
            size += if condition.is_some() && has_own_tag { own + own.min(8) } else { own };
        }
        size.next_multiple_of(8)
    }
}

/// Collects what uses each type.
fn uses(schema: &Schema) -> BTreeMap<&Name, Uses<'_>> {
    fn type_of<'s>(schema: &'s Schema, ty: &'s Type) -> Option<&'s Name> {
        match ty.innermost() {
            Type::Boxed(name) | Type::BareOf(name) => Some(name),
            Type::Bare(name) => type_of(schema, &schema.constructor(name)?.result),
            _ => None,
        }
    }
    let mut uses: BTreeMap<&Name, Uses<'_>> = BTreeMap::new();
    for definition in schema.definitions() {
        for (_, ty, _) in definition.fields() {
            if let Some(ty) = type_of(schema, ty) {
                uses.entry(ty).or_default().part_of.insert(&definition.name);
            }
        }
    }
    for function in schema.functions() {
        if let Some(ty) = type_of(schema, &function.result) {
            uses.entry(ty).or_default().returned_by.insert(&function.name);
        }
    }
    uses
}

fn check_names(schema: &Schema) -> Result<(), GenerateError> {
    let mut modules = BTreeMap::new();
    for namespace in schema.namespaces() {
        // Each part of a namespace is a module.
        let ends = namespace.match_indices('.').map(|(at, _)| at).chain([namespace.len()]);
        for part in ends.map(|end| &namespace[..end]) {
            let path = names::module_path(part);
            if modules.get(&path).is_none_or(|first| first != part) {
                no_clash(&mut modules, path.clone(), part, &path)?;
            }
        }
    }
    let mut calls = BTreeMap::new();
    for function in schema.functions() {
        let name = names::flat_name(function);
        no_clash(&mut calls, name.clone(), &function.name.to_string(), &name)?;
    }
    let mut structs = BTreeMap::new();
    for definition in schema.definitions() {
        let rust_name = names::type_name(&definition.name.ident);
        let key = (definition.category, definition.name.namespace.clone(), rust_name.clone());
        no_clash(&mut structs, key, &definition.name.to_string(), &rust_name)?;
        let mut fields = BTreeMap::new();
        for param in &definition.params {
            let rust_name = names::field_name(&param.name);
            let name = format!("{}.{}", definition.name, param.name);
            no_clash(&mut fields, rust_name.clone(), &name, &rust_name)?;
        }
    }
    let mut enums = BTreeMap::new();
    for ty in schema.types() {
        let rust_name = names::type_name(&ty.ident);
        no_clash(&mut enums, (ty.namespace.clone(), rust_name.clone()), &ty.to_string(), &rust_name)?;
    }
    Ok(())
}

fn no_clash<K: Ord>(
    seen: &mut BTreeMap<K, String>,
    key: K,
    name: &str,
    rust_name: &str,
) -> Result<(), GenerateError> {
    match seen.insert(key, name.to_owned()) {
        Some(first) => {
            Err(GenerateError::NameClash { first, second: name.to_owned(), rust_name: rust_name.to_owned() })
        }
        None => Ok(()),
    }
}

/// Names the variants. Where the short names of two constructors are the same, both keep their full names; where these are, too,
/// because only their namespaces differ, both have the namespace in front.
fn variants(schema: &Schema) -> Result<BTreeMap<usize, String>, GenerateError> {
    let mut variants = BTreeMap::new();
    for ty in schema.types() {
        let short = |constructor: &Definition| names::variant_name(&constructor.name.ident, &ty.ident);
        let full = |constructor: &Definition| names::type_name(&constructor.name.ident);
        let mut taken = BTreeMap::new();
        for constructor in schema.constructors_of(ty) {
            let is_alone = |name: &dyn Fn(&Definition) -> String| {
                schema.constructors_of(ty).filter(|other| name(other) == name(constructor)).count() == 1
            };
            let name = if is_alone(&short) {
                short(constructor)
            } else if is_alone(&full) {
                full(constructor)
            } else {
                names::flat_name(constructor)
            };
            no_clash(&mut taken, name.clone(), &constructor.name.to_string(), &name)?;
            variants.insert(constructor.index, name);
        }
    }
    Ok(variants)
}
