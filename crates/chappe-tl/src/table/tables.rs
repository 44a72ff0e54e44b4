//! All lists of a generated crate, and lines that know which lists they are in.

use core::fmt;

use super::raw::part_of;
use super::{Constructor, Field, Type};

/// All lists of a generated crate.
#[derive(Clone, Copy)]
pub struct Tables {
    /// The types of the schema.
    pub types: &'static [Type],
    /// Types of rows that are none of the schema's, such as vectors of vectors. Their numbers go on behind those.
    pub extra: &'static [&'static Type],
    /// The constructors of all types, then the functions.
    pub constructors: &'static [Constructor],
    /// The rows of all constructors and functions.
    pub rows: &'static [Field],
    /// The hash tables of all types with several constructors.
    pub slots: &'static [u16],
    /// The names, a line for each constructor and function.
    pub names: &'static &'static str,
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tables of {} types", self.types.len())
    }
}

impl Tables {
    /// Of what has no constructors and no rows.
    pub const NOTHING: &'static Self =
        &Self { types: &[], extra: &[], constructors: &[], rows: &[], slots: &[], names: &"" };

    /// Returns the type of a field, or of the elements.
    ///
    /// # Panics
    ///
    /// Panics if the row has no type, which the kind says.
    #[inline(always)]
    pub const fn target(&self, field: Field) -> &'static Type {
        let (types, number) = (self.types, field.target as usize);
        if number < types.len() { &types[number] } else { self.extra[number - types.len()] }
    }

    /// Returns the rows of a constructor of these tables.
    #[inline(always)]
    pub(super) const fn rows_of(&self, constructor: &Constructor) -> &'static [Field] {
        part_of(self.rows, constructor.first as usize, constructor.count as usize)
    }

    /// Returns the name of the constructor or function with that id.
    pub fn name_of(&'static self, id: u32) -> Option<&'static str> {
        let constructor = self.constructors.iter().find(|constructor| constructor.id == id)?;
        Some(Line { tables: self, constructor }.name())
    }
}

/// A constructor or a function with the tables it is in.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    tables: &'static Tables,
    constructor: &'static Constructor,
}

impl Line {
    pub(super) const fn new(tables: &'static Tables, constructor: &'static Constructor) -> Self {
        Self { tables, constructor }
    }

    /// Returns the constructor id.
    pub const fn id(self) -> u32 {
        self.constructor.id
    }

    /// Returns the least number of bytes of the fields on the wire, without the id.
    pub const fn least(self) -> u32 {
        self.constructor.least
    }

    /// Returns the rows, in the order of the wire.
    pub const fn fields(self) -> &'static [Field] {
        self.tables.rows_of(self.constructor)
    }

    /// Returns the type of a field, or of the elements, if the kind has one.
    pub fn target(self, field: Field) -> Option<&'static Type> {
        field.kind.has_target().then(|| self.tables.target(field))
    }

    /// Returns the constructor's name, in TL spelling.
    pub fn name(self) -> &'static str {
        self.names().next().unwrap_or_default()
    }

    /// Returns the name of the row with this index, in TL spelling.
    pub fn field_name(self, index: usize) -> &'static str {
        self.names().nth(index + 1).unwrap_or_default()
    }

    /// Returns the name of the constructor, then of each row, in TL spelling.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        crate::serialize::names_at(self.tables.names, self.constructor.names)
    }

    /// Returns the text of all names, and where those of this line begin.
    pub(super) const fn text(self) -> (&'static &'static str, u32) {
        (self.tables.names, self.constructor.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_list_is_inside_it() {
        static LIST: [u8; 3] = [1, 2, 3];
        assert_eq!(part_of(&LIST, 1, 2), [2, 3]);
        assert_eq!(part_of(&LIST, 3, 0), [0; 0]);
        for (first, count) in [(4, 0), (1, 3), (0, usize::MAX), (usize::MAX, 1)] {
            let found = std::panic::catch_unwind(|| part_of(&LIST, first, count).len());
            assert!(found.is_err(), "{first} {count}");
        }
    }
}
