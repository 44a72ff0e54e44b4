//! The Rust form of every type: which parts are references, and which types borrow.

use std::collections::{BTreeMap, BTreeSet};

use chappe_tl_parser::{Category, Condition, Definition, Name, Type};

use crate::{GenerateError, Plan};

/// The largest struct that a variant of an enum holds by value, in bytes on a machine of 64 bits.
///
/// With its discriminant an enum then takes at most 40 bytes. The shortest boxed object has 4 bytes, so a hostile vector of
/// the shortest objects takes at most ten bytes of memory for each byte received.
const LARGEST_VALUE: usize = 32;

/// A plan with derived facts for this style.
pub(super) struct Shapes<'p, 's> {
    pub(super) plan: &'p Plan<'s>,
    /// Constructors whose variant holds a reference, by id.
    references: BTreeSet<usize>,
    /// Constructors and functions with a lifetime parameter, by id.
    borrowing: BTreeSet<usize>,
    borrowing_types: BTreeSet<Name>,
    /// Types whose values stand in vectors.
    elements: BTreeSet<Name>,
    /// Constructors that stand bare somewhere.
    bare: BTreeSet<usize>,
}

impl<'p, 's> Shapes<'p, 's> {
    pub(super) fn new(plan: &'p Plan<'s>) -> Result<Self, GenerateError> {
        let mut shapes = Self {
            plan,
            references: BTreeSet::new(),
            borrowing: BTreeSet::new(),
            borrowing_types: BTreeSet::new(),
            elements: BTreeSet::new(),
            bare: BTreeSet::new(),
        };
        shapes.check()?;
        shapes.find_recursion();
        shapes.find_large();
        shapes.find_borrowing();
        shapes.find_elements();
        Ok(shapes)
    }

    /// Returns whether the variant of a constructor holds its struct by reference.
    pub(super) fn is_reference(&self, constructor: &Definition) -> bool {
        self.references.contains(&constructor.index)
    }

    /// Returns whether the struct of a constructor or function borrows.
    pub(super) fn borrows(&self, definition: &Definition) -> bool {
        self.borrowing.contains(&definition.index)
    }

    /// Returns whether the enum of a type borrows.
    pub(super) fn type_borrows(&self, ty: &Name) -> bool {
        self.borrowing_types.contains(ty)
    }

    /// Returns whether values of the type stand in a vector.
    pub(super) fn is_element(&self, ty: &Name) -> bool {
        self.elements.contains(ty)
    }

    /// Returns whether bare values of the constructor stand somewhere.
    pub(super) fn is_bare(&self, constructor: &Definition) -> bool {
        self.bare.contains(&constructor.index)
    }

    /// Returns whether a constructor has a struct: a unit variant needs none unless it stands bare somewhere.
    pub(super) fn has_struct(&self, constructor: &Definition) -> bool {
        !Self::is_unit(constructor) || self.bare.contains(&constructor.index)
    }

    /// Returns whether a constructor is a unit variant.
    pub(super) fn is_unit(definition: &Definition) -> bool {
        definition.fields().next().is_none()
    }

    /// Returns whether a struct has a value with empty fields, as `chappe_tl::table` makes it, and conditional fields: without
    /// those a literal is no longer for naming all fields, and each implementation costs the compiler.
    pub(super) fn has_empty(&self, definition: &Definition) -> bool {
        definition.fields().any(|(_, _, condition)| condition.is_some())
            && self.has_empty_fields(definition, 64)
    }

    fn has_empty_fields(&self, definition: &Definition, depth: u32) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        definition.fields().filter(|(_, _, condition)| condition.is_none()).all(|(_, ty, _)| match ty {
            Type::Generic { .. } => false,
            Type::Boxed(name) => {
                let mut constructors = self.plan.schema().constructors_of(name);
                constructors.any(|one| {
                    Self::has_no_rows(one) || (!self.is_reference(one) && self.has_empty_fields(one, depth))
                })
            }
            Type::Bare(_) | Type::BareOf(_) => {
                self.plan.bare_target(ty).is_some_and(|target| self.has_empty_fields(target, depth))
            }
            _ => true,
        })
    }

    /// Returns whether nothing but the id of a constructor is on the wire.
    fn has_no_rows(definition: &Definition) -> bool {
        definition.params.is_empty()
    }

    fn check(&self) -> Result<(), GenerateError> {
        for definition in self.plan.schema().definitions() {
            let refuse = |what: &'static str| {
                Err(GenerateError::Unsupported { definition: definition.name.to_string(), what })
            };
            if words(definition).len() > 4 {
                return refuse("more than four flags words");
            }
            for (_, ty, condition) in definition.fields() {
                match ty {
                    Type::Generic { call: false, .. } => return refuse("a parameter of a type parameter"),
                    Type::Generic { .. } | Type::Object if condition.is_some() => {
                        return refuse("a conditional object of any type");
                    }
                    Type::Vector { element, .. } if has_bare_inner_vector(element) => {
                        return refuse("a vector of vectors without id");
                    }
                    Type::Vector { element, .. }
                        if matches!(element.innermost(), Type::Generic { .. } | Type::Object) =>
                    {
                        return refuse("a vector of objects of any type");
                    }
                    _ if condition.is_none() && self.plan.is_bare_cycle(definition, ty) => {
                        return refuse("a bare value that contains itself");
                    }
                    _ => {}
                }
            }
            let fields: Vec<_> = definition.fields().collect();
            let is_open = |ty: &Type| matches!(ty, Type::Generic { .. } | Type::Object);
            let open = fields.iter().position(|(_, ty, _)| is_open(ty));
            let last_param = definition.params.last().map(|param| &param.name);
            if open.is_some_and(|open| Some(&fields[open].0.name) != last_param) {
                return refuse("parameters behind an object of any type");
            }
            if definition.category == Category::Types && open.is_some() {
                return refuse("a constructor with an object of any type");
            }
        }
        Ok(())
    }

    /// A constructor that holds its own type by value, directly or through other types.
    fn find_recursion(&mut self) {
        for constructor in self.plan.schema().constructors() {
            let Type::Boxed(own) = &constructor.result else { continue };
            let mut seen = BTreeSet::new();
            let mut open = vec![constructor];
            while let Some(next) = open.pop() {
                for (_, ty, condition) in next.fields() {
                    if condition.is_some() {
                        continue;
                    }
                    if matches!(ty, Type::Boxed(name) if name == own) {
                        self.references.insert(constructor.index);
                    }
                    let inner: Vec<_> = match ty {
                        Type::Boxed(name) => self.plan.schema().constructors_of(name).collect(),
                        _ => self.plan.bare_target(ty).into_iter().collect(),
                    };
                    open.extend(inner.into_iter().filter(|inner| seen.insert(inner.index)));
                }
            }
        }
    }

    fn find_large(&mut self) {
        let mut sizes = BTreeMap::new();
        let types: Vec<Name> = self.plan.schema().types().cloned().collect();
        for ty in &types {
            self.size_of_type(ty, &mut sizes);
        }
    }

    fn size_of_type(&mut self, ty: &Name, sizes: &mut BTreeMap<Name, usize>) -> usize {
        if let Some(size) = sizes.get(ty) {
            return *size;
        }
        let mut largest = 0;
        let constructors: Vec<_> = self.plan.schema().constructors_of(ty).collect();
        for constructor in &constructors {
            if !self.is_reference(constructor) && self.size_of_struct(constructor, sizes) > LARGEST_VALUE {
                self.references.insert(constructor.index);
            }
            largest = largest.max(if self.is_reference(constructor) {
                8
            } else {
                self.size_of_struct(constructor, sizes)
            });
        }
        let size = largest.next_multiple_of(8) + 8 * usize::from(constructors.len() > 1);
        sizes.insert(ty.clone(), size);
        size
    }

    fn size_of_struct(&mut self, definition: &Definition, sizes: &mut BTreeMap<Name, usize>) -> usize {
        let sizes = definition.fields().map(|(_, ty, condition)| match (ty, condition) {
            (Type::True | Type::Bool, _) => 1,
            (Type::Nat | Type::Int, None) => 4,
            (Type::Int128, Some(_)) => 17,
            (Type::Int256, None) => 32,
            (Type::Int256, Some(_)) => 33,
            (Type::Int512, None) => 64,
            (Type::Int512, Some(_)) => 65,
            (Type::Boxed(name), None) => self.size_of_type(name, sizes),
            (Type::Bare(_) | Type::BareOf(_), None) => match self.plan.bare_target(ty) {
                Some(target) => self.size_of_struct(target, sizes),
                None => 8,
            },
            (Type::Nat | Type::Int | Type::Boxed(_) | Type::Bare(_) | Type::BareOf(_), Some(_))
            | (Type::Long | Type::Double, None) => 8,
            _ => 16,
        });
        sizes.sum::<usize>().next_multiple_of(4)
    }

    /// Each round can only add to the types that borrow.
    fn find_borrowing(&mut self) {
        loop {
            let before = self.borrowing.len() + self.borrowing_types.len();
            for definition in self.plan.schema().definitions() {
                if definition.fields().any(|(_, ty, condition)| self.field_borrows(ty, condition)) {
                    self.borrowing.insert(definition.index);
                }
                if let (Category::Types, Type::Boxed(ty)) = (definition.category, &definition.result)
                    && (self.is_reference(definition) || self.borrows(definition))
                {
                    self.borrowing_types.insert(ty.clone());
                }
            }
            if before == self.borrowing.len() + self.borrowing_types.len() {
                return;
            }
        }
    }

    fn field_borrows(&self, ty: &Type, condition: Option<&Condition>) -> bool {
        match ty {
            Type::String | Type::Bytes | Type::Vector { .. } | Type::Object => true,
            Type::Boxed(_) | Type::Bare(_) | Type::BareOf(_) if condition.is_some() => true,
            Type::Boxed(name) => self.type_borrows(name),
            Type::Bare(_) | Type::BareOf(_) => {
                self.plan.bare_target(ty).is_some_and(|target| self.borrows(target))
            }
            _ => false,
        }
    }

    fn find_elements(&mut self) {
        let plan = self.plan;
        for definition in plan.schema().definitions() {
            for ty in definition.fields().map(|(_, ty, _)| ty).chain([&definition.result]) {
                self.bare.extend(plan.bare_target(ty.innermost()).map(|target| target.index));
                if !matches!(ty, Type::Vector { .. }) {
                    continue;
                }
                if let Type::Boxed(name) = ty.innermost() {
                    self.elements.insert(name.clone());
                }
            }
        }
    }
}

/// The flags words of a definition, in wire order.
pub(super) fn words(definition: &Definition) -> Vec<&str> {
    let params = definition.params.iter();
    let words = params.filter(|param| matches!(param.kind, chappe_tl_parser::ParameterKind::Flags));
    words.map(|param| param.name.as_str()).collect()
}

fn has_bare_inner_vector(element: &Type) -> bool {
    match element {
        Type::Vector { boxed: false, .. } => true,
        Type::Vector { element, .. } => has_bare_inner_vector(element),
        _ => false,
    }
}
