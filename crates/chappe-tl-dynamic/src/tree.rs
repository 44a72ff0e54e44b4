//! Objects as text: a value in each line, with its byte offset in front.

use core::fmt::{self, Write as _};

use chappe_tl_parser::{Definition, ParameterKind};
use data_encoding::HEXLOWER;

use crate::object::{AnyObject, Field, Value};

/// The longest string or byte string that is printed whole, in bytes, unless `{:#}` asks for more.
const SHORT: usize = 64;

impl fmt::Display for AnyObject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = f.alternate();
        let mut tree = Tree { out: f, whole, unpacked: 0 };
        tree.lead(Some(self.offset), 0)?;
        tree.object(self, 0)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = f.alternate();
        let offset = self.as_object().map_or(0, AnyObject::offset);
        let mut tree = Tree { out: f, whole, unpacked: 0 };
        tree.lead(Some(offset), 0)?;
        tree.value(self, 0)
    }
}

struct Tree<'t, 'f> {
    out: &'t mut fmt::Formatter<'f>,
    whole: bool,
    /// How many `packed_data` are around.
    unpacked: usize,
}

impl Tree<'_, '_> {
    /// Begins a line: a `+` for each packed data around, the offset, and the indentation.
    fn lead(&mut self, offset: Option<usize>, level: usize) -> fmt::Result {
        for _ in 0..self.unpacked {
            self.out.write_char('+')?;
        }
        match offset {
            Some(offset) => write!(self.out, "{offset:04x} ")?,
            None => self.out.write_str("     ")?,
        }
        (0..level).try_for_each(|_| self.out.write_str("  "))
    }

    fn object(&mut self, object: &AnyObject<'_>, level: usize) -> fmt::Result {
        writeln!(self.out, "{}", title(object.definition))?;
        object.fields.iter().try_for_each(|field| self.field(object.definition, field, level + 1))
    }

    fn field(&mut self, definition: &Definition, field: &Field<'_>, level: usize) -> fmt::Result {
        // A flag takes no bytes.
        self.lead((field.value != Value::True).then_some(field.offset), level)?;
        write!(self.out, "{}: ", field.param.name)?;
        match (&field.param.kind, &field.value) {
            (ParameterKind::Flags, Value::Nat(bits)) => {
                writeln!(self.out, "{bits:08x}{}", unknown_bits(definition, field, *bits))
            }
            (_, value) => self.value(value, level),
        }
    }

    fn value(&mut self, value: &Value<'_>, level: usize) -> fmt::Result {
        match value {
            Value::Nat(value) => writeln!(self.out, "{value}"),
            Value::Int(value) => writeln!(self.out, "{value}"),
            Value::Long(value) => writeln!(self.out, "{value}"),
            Value::Double(value) => writeln!(self.out, "{value:?}"),
            Value::Bool(value) => writeln!(self.out, "{value}"),
            Value::True => writeln!(self.out, "true"),
            Value::String(text) => self.string(text),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Int128(bytes) => writeln!(self.out, "{}", HEXLOWER.encode_display(bytes)),
            Value::Int256(bytes) => writeln!(self.out, "{}", HEXLOWER.encode_display(bytes)),
            Value::Int512(bytes) => writeln!(self.out, "{}", HEXLOWER.encode_display(&**bytes)),
            Value::Vector(vector) => {
                write!(self.out, "{}", plural(vector.elements.len(), "element"))?;
                if let Some(ty) = &vector.untyped {
                    write!(self.out, " of {ty}")?;
                }
                writeln!(self.out)?;
                for (index, (offset, element)) in vector.elements.iter().enumerate() {
                    self.lead(Some(*offset), level + 1)?;
                    write!(self.out, "[{index}] ")?;
                    self.value(element, level + 1)?;
                }
                Ok(())
            }
            Value::Object(object) => self.object(object, level),
            Value::Packed(packed) => {
                let (packed_len, len) = (plural(packed.packed_len, "byte"), plural(packed.len, "byte"));
                writeln!(self.out, "{packed_len}, unpacked {len}")?;
                self.unpacked += 1;
                self.lead(Some(packed.content.as_object().map_or(0, AnyObject::offset)), level + 1)?;
                self.value(&packed.content, level + 1)?;
                self.unpacked -= 1;
                Ok(())
            }
            Value::Unread(bytes) => {
                write!(self.out, "not read, ")?;
                self.bytes(bytes)
            }
        }
    }

    fn string(&mut self, text: &[u8]) -> fmt::Result {
        let shown = if self.whole { text } else { cut(text) };
        self.out.write_char('"')?;
        for chunk in shown.utf8_chunks() {
            // Control characters would reach the terminal.
            write!(self.out, "{}", chunk.valid().escape_debug())?;
            chunk.invalid().iter().try_for_each(|byte| write!(self.out, "\\x{byte:02x}"))?;
        }
        self.out.write_char('"')?;
        if shown.len() < text.len() {
            writeln!(self.out, "… ({} bytes)", text.len())
        } else {
            writeln!(self.out)
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> fmt::Result {
        let shown = if self.whole { bytes } else { &bytes[..bytes.len().min(SHORT / 2)] };
        write!(self.out, "{}", plural(bytes.len(), "byte"))?;
        if !shown.is_empty() {
            write!(self.out, " {}", HEXLOWER.encode_display(shown))?;
        }
        if shown.len() < bytes.len() { writeln!(self.out, "…") } else { writeln!(self.out) }
    }
}

/// Returns the beginning of a text, which ends between two characters.
fn cut(text: &[u8]) -> &[u8] {
    let is_boundary = |end: &usize| text.get(*end).is_none_or(|byte| byte & 0xc0 != 0x80);
    let end = (0..=SHORT).rev().find(is_boundary).unwrap_or(SHORT);
    text.get(..end).unwrap_or(text)
}

fn title(definition: &Definition) -> String {
    format!("{}#{:08x}", definition.name, definition.id)
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Returns the bits of a flags word that no field depends on.
fn unknown_bits(definition: &Definition, word: &Field<'_>, bits: u32) -> String {
    let known = definition
        .fields()
        .filter_map(|(_, _, condition)| condition)
        .filter(|condition| condition.word == word.param.name)
        .fold(0_u32, |bits, condition| bits | 1 << condition.bit);
    let unknown = bits & !known;
    if unknown == 0 || known == 0 { String::new() } else { format!(" (not in the schema: {unknown:08x})") }
}
