//! Constructors, functions and rows as the bytes that `chappe_tl::table` reads.
//!
//! Numbers stand there with the lowest byte first. What depends on the machine, the offsets and sizes of structs, is left zero.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use chappe_tl_parser::{Definition, ParameterKind, Type};

use super::field::Target;
use super::kind;
use super::shape::{Shapes, words};
use super::structs::PROMISE;
use super::tables::{Places, least};
use crate::code::Code;

/// `chappe_tl::__private::Field::ALWAYS`.
const ALWAYS: u8 = 128;

/// All lines of a schema in the making.
pub(super) struct Lines<'t, 'p, 's> {
    shapes: &'t Shapes<'p, 's>,
    places: &'t Places,
    count: usize,
    constructors: Code,
    rows: usize,
    row_bytes: Code,
    /// Length of the text of names.
    len: usize,
    names: Code,
    /// The types of rows that stand in no list: references to their tables.
    extra: Vec<String>,
    /// The tables of those that are vectors of objects, and of bare objects.
    statics: Code,
    /// References to the tables of vectors of objects, by their Rust types.
    vectors: BTreeMap<String, String>,
}

impl<'t, 'p, 's> Lines<'t, 'p, 's> {
    pub(super) fn new(shapes: &'t Shapes<'p, 's>, places: &'t Places) -> Self {
        Self {
            shapes,
            places,
            count: 0,
            constructors: Code::default(),
            rows: 0,
            row_bytes: Code::default(),
            len: 0,
            names: Code::default(),
            extra: Vec::new(),
            statics: Code::default(),
            vectors: BTreeMap::new(),
        }
    }

    /// Adds a constructor of the type with this number, or a function.
    pub(super) fn add(&mut self, definition: &Definition, is_reference: bool, ty: usize) {
        let line = self.count;
        if self.shapes.is_bare(definition) {
            let (path, least) =
                (self.shapes.struct_path("types", definition, "'static"), least(self.shapes, definition));
            let table = format!("unsafe {{ tl::Type::bare::<{path}>({least}, &TABLES, {line}) }}");
            self.statics.line(0, &format!("pub(super) static BARE_{line}: tl::Type = {table};"));
        }
        let names: String = definition.params.iter().flat_map(|param| [" ", &param.name]).collect();
        self.line(definition, &names, definition.params.len(), is_reference, ty);
        let mut bytes = Bytes::default();
        for row in self.rows_of(definition) {
            bytes.add(&row);
        }
        bytes.write(&mut self.row_bytes);
    }

    /// Adds what has a name and an id, but no values.
    pub(super) fn add_name(&mut self, definition: &Definition) {
        self.line(definition, "", 0, false, 0);
    }

    fn line(&mut self, definition: &Definition, names: &str, count: usize, is_reference: bool, ty: usize) {
        let mut bytes = Bytes::default();
        bytes.number(definition.id);
        bytes.number(least(self.shapes, definition));
        bytes.number(self.rows);
        bytes.number(self.len);
        bytes.number_of_16_bits(count);
        // Alignment and size depend on the machine.
        bytes.add(&[u8::from(is_reference), 0, 0, 0]);
        bytes.number_of_16_bits(ty);
        bytes.write(&mut self.constructors);
        self.names.line(0, &format!("{}{names}\\n\\", definition.name));
        self.len += definition.name.to_string().len() + names.len() + 1;
        self.count += 1;
        self.rows += count;
    }

    fn rows_of(&mut self, definition: &Definition) -> Vec<[u8; 8]> {
        let words = words(definition);
        let params = &definition.params;
        let is_word = |kind: &ParameterKind| matches!(kind, ParameterKind::Flags);
        let condition = |kind: &ParameterKind| match kind {
            ParameterKind::Value { condition: Some(condition), .. } => {
                let word = words.iter().position(|word| *word == condition.word).unwrap_or(0);
                Some((word as u8) << 5 | condition.bit)
            }
            _ => None,
        };
        let mut word = 0;
        let mut rows = Vec::new();
        for (index, param) in params.iter().enumerate() {
            let (kind, condition, visit, bare, payload) = match &param.kind {
                ParameterKind::Flags => {
                    let behind = &params[index + 1..];
                    let own = behind.iter().position(|param| is_word(&param.kind)).map(|next| next + 1);
                    let own = own.unwrap_or(behind.len()).min(127) as u8;
                    let bits = params.iter().filter_map(|param| condition(&param.kind));
                    let known =
                        bits.filter(|bit| bit >> 5 == word).fold(0, |known, bit| known | 1 << (bit & 31));
                    word += 1;
                    (kind::WORD, (word - 1) << 5, ALWAYS + own, false, known)
                }
                ParameterKind::Value { ty, .. } => {
                    let condition = condition(&param.kind);
                    let (kind, target) = self.kind(ty, condition.is_some());
                    let is_always = condition.is_none() || kind == kind::BOOL + kind::OPTIONAL;
                    let condition = condition.unwrap_or(0);
                    let visit = if is_always { ALWAYS } else { condition };
                    let bare = matches!(ty, Type::Vector { boxed: false, .. });
                    // A number that does not fit is one that the compiler does not find.
                    (kind, condition, visit, bare, (target.min(0xffff) as u32) << 16)
                }
            };
            let [a, b, c, d] = payload.to_le_bytes();
            rows.push([kind, condition, visit, u8::from(bare), a, b, c, d]);
        }
        rows
    }

    /// The number of the kind of a row, and of its type.
    fn kind(&mut self, ty: &Type, is_conditional: bool) -> (u8, usize) {
        let (is_list, target) = Shapes::row(ty);
        let mut number = 0;
        let kind = match target {
            Target::Kind(kind::FLAG) => return (kind::FLAG, 0),
            Target::Kind(kind::QUERY) => return (kind::QUERY, 0),
            Target::Kind(kind) => kind,
            Target::Type(name) => {
                number = self.places.types[name];
                kind::OBJECT
            }
            Target::Other(ty) => {
                let table = self.table(ty);
                number = self.places.types.len() + self.extra(table);
                kind::OBJECT
            }
        };
        let optional = if is_conditional { kind::OPTIONAL } else { 0 };
        let list = if is_list { kind::LIST } else { 0 };
        (kind + optional + list, number)
    }

    /// A reference to the table of a type.
    fn table(&mut self, ty: &Type) -> String {
        let element = match ty {
            Type::Boxed(name) => return format!("&tables::TYPES[{}]", self.places.types[name]),
            Type::Vector { element, .. } if self.is_of_objects(ty) => self.table(element),
            _ => match self.shapes.plan.bare_target(ty) {
                Some(target) => return format!("&BARE_{}", self.places.lines[&target.index]),
                None => return format!("<{} as tl::Described>::TYPE", self.shapes.value_type(ty, "'static")),
            },
        };
        let vector = self.shapes.value_type(ty, "'static");
        if let Some(name) = self.vectors.get(&vector) {
            return name.clone();
        }
        let number = self.vectors.len();
        let tables = format!("tl::Tables {{ extra: &[{element}], ..*tl::Tables::NOTHING }}");
        self.statics.line(0, &format!("static VECTOR_OF_{number}: tl::Tables = {tables};"));
        let table = format!("unsafe {{ tl::Type::objects::<{vector}>(&VECTOR_OF_{number}) }}");
        self.statics.line(0, &format!("static VECTOR_{number}: tl::Type = {table};"));
        self.vectors.insert(vector, format!("&VECTOR_{number}"));
        format!("&VECTOR_{number}")
    }

    /// Whether a type of the schema is in the innermost vector.
    fn is_of_objects(&self, ty: &Type) -> bool {
        matches!(ty.innermost(), Type::Boxed(_)) || self.shapes.plan.bare_target(ty.innermost()).is_some()
    }

    /// The place of a type that stands in no list.
    fn extra(&mut self, path: String) -> usize {
        self.extra.iter().position(|one| *one == path).unwrap_or_else(|| {
            self.extra.push(path);
            self.extra.len() - 1
        })
    }

    /// Writes everything that was added.
    pub(super) fn write(&self, code: &mut Code, slots: &Slots) {
        let (rows, lines, extra) = (self.rows, self.count, self.extra.join(", "));
        code.line(0, "tl::lines! { Structs, &TABLES, false }");
        code.line(0, "tl::lines! { Calls, &TABLES, true }");
        code.blank();
        code.line(0, "pub(super) static TABLES: tl::Tables = tl::Tables {");
        for field in [
            "types: &tables::TYPES",
            "extra: &EXTRA",
            "constructors: &LAYOUT.constructors",
            "rows: &LAYOUT.rows",
            "slots: &SLOTS",
            "names: &NAMES",
        ] {
            code.line(1, &format!("{field},"));
        }
        code.line(0, "};");
        code.blank();
        code.line(0, &format!("static EXTRA: [&tl::Type; {}] = [{extra}];", self.extra.len()));
        code.append(&self.statics);
        code.blank();
        code.line(0, &format!("tl::laid_out! {{ {PROMISE} LAYOUT, {rows}, {lines}, &tables::TYPES, &EXTRA,"));
        code.line(
            0,
            "// A line for each constructor and each function: its rows, of 8 bytes each (`tl::Field`).",
        );
        code.line(0, "b\"\\");
        code.append(&self.row_bytes);
        code.line(0, "\",");
        code.line(
            0,
            "// A line for each constructor and each function: itself, in 24 bytes (`tl::Constructor`).",
        );
        code.line(0, "b\"\\");
        code.append(&self.constructors);
        code.line(0, "\" }");
        code.blank();
        code.line(0, "/// A line for each type with several constructors: which of them stands in which slot (`tl::slots`).");
        slots.write(code);
        code.blank();
        code.line(0, "/// A line for each constructor and each function: its name and those of its rows.");
        code.line(0, "static NAMES: &str = \"\\");
        code.append(&self.names);
        code.line(0, "\";");
    }
}

/// Hash tables in the making, as `chappe_tl::table::slots` describes them.
#[derive(Default)]
pub(super) struct Slots {
    count: usize,
    bytes: Code,
}

impl Slots {
    /// Adds the table of a type with these alternatives. A type with one needs none.
    pub(super) fn add(&mut self, ids: &[u32]) {
        if ids.len() < 2 {
            return;
        }
        let len = (2 * ids.len()).next_power_of_two();
        let shift = 32 - len.trailing_zeros();
        let mut slots = BTreeMap::new();
        for (position, id) in ids.iter().enumerate() {
            let mut slot = (id.wrapping_mul(0x9e37_79b1) >> shift) as usize;
            while slots.contains_key(&slot) {
                slot = (slot + 1) % len;
            }
            slots.insert(slot, position as u16);
        }
        let mut bytes = Bytes::default();
        for slot in 0..len {
            bytes.add(&slots.get(&slot).copied().unwrap_or(u16::MAX).to_le_bytes());
        }
        bytes.write(&mut self.bytes);
        self.count += len;
    }

    /// Writes all tables.
    pub(super) fn write(&self, code: &mut Code) {
        code.line(0, &format!("static SLOTS: [u16; {}] = tl::slots(b\"\\", self.count));
        code.append(&self.bytes);
        code.line(0, "\");");
    }
}

/// A line of bytes.
#[derive(Default)]
struct Bytes {
    text: String,
}

impl Bytes {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // Writing to a string does not fail.
            let _ = write!(self.text, "\\x{byte:02x}");
        }
    }

    fn number(&mut self, number: impl TryInto<u32>) {
        self.add(&number.try_into().unwrap_or(u32::MAX).to_le_bytes());
    }

    fn number_of_16_bits(&mut self, number: usize) {
        self.add(&u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes());
    }

    fn write(&self, code: &mut Code) {
        if !self.text.is_empty() {
            code.line(0, &format!("{}\\", self.text));
        }
    }
}

/// The file `names.rs`.
pub(super) fn names_file(header: &str) -> String {
    let mut code = Code::default();
    code.line(0, header);
    code.blank();
    code.line(0, "//! The names of all ids.");
    code.line(0, "#![allow(dead_code, reason = \"not every program looks names up\")]");
    code.blank();
    code.line(0, "/// Returns the constructor or function with that id, as named in the schema.");
    code.line(0, "pub fn name_for_id(id: u32) -> ::core::option::Option<&'static str> {");
    code.line(1, "super::layout::TABLES.name_of(id)");
    code.line(0, "}");
    code.into_string()
}
