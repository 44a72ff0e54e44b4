//! Rows: the fields of constructors and functions, read from a description while compiling.

use super::kind::Kind;
use super::layout::{Line, Type};

/// One row: a field of a constructor, in the order of the wire.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// What the field is.
    pub kind: Kind,
    /// Which bit of the flags words says whether the field is there: 0 to 31 of the first one, 32 to 63 of the second one,
    /// and so on. For [`Kind::Word`]: its first bit. Of a field without a condition: unused.
    pub condition: u8,
    /// When the decoder looks at the row: under its condition, or [`ALWAYS`](Self::ALWAYS). To that, [`Kind::Word`] adds how
    /// many of the rows behind it are its own, up to and with the next one of its kind, or 127 if there are more.
    pub visit: u8,
    /// Whether a vector stands without its id on the wire.
    pub bare: bool,
    /// Where the field stands in the struct, in bytes. For [`Kind::Word`]: the bits that are known.
    pub offset: u32,
    /// The type of the field or of the elements, for the kinds with `Object` in their name.
    pub target: Option<&'static Type>,
}

impl Field {
    /// Instead of a condition: this number or a larger one.
    pub const ALWAYS: u8 = 128;

    /// Describes a value that stands alone.
    pub const fn new(kind: Kind, offset: usize) -> Self {
        let (condition, visit) = (0, Self::ALWAYS);
        Self { kind, condition, visit, bare: false, offset: offset as u32, target: None }
    }

    /// Returns which flags word of the constructor holds the bit that says whether the field is there, 0 to 3. For
    /// [`Kind::Word`]: which one this is.
    pub const fn word(&self) -> u8 {
        self.condition >> 5
    }

    /// Returns which bit of the flags word says whether the field is there, 0 to 31.
    pub const fn bit(&self) -> u8 {
        self.condition & 31
    }

    /// Returns whether a flag bit says that the field is there, or is its value.
    pub const fn is_conditional(&self) -> bool {
        self.kind.is_optional() || matches!(self.kind, Kind::Flag)
    }
}

/// The rows of all lines, one behind the other, and size and alignment of the struct of each line, in bytes.
#[derive(Debug)]
pub struct RowTable<const ROWS: usize, const LINES: usize> {
    pub(super) rows: [Field; ROWS],
    pub(super) sizes: [(u32, u32); LINES],
}

/// Reads the rows of all lines from their descriptions, which generated code can say in few words.
///
/// A row is one or more letters, and rows are separated by spaces:
///
/// | letters | row |
/// |---|---|
/// | `#` | a flags word; the first one is word 0 |
/// | `1.5!` | `true` if bit 5 of word 1 is set |
/// | `i` `l` `d` `b` `s` `y` `h` `w` | `int`, `long`, `double`, `Bool`, `string`, `bytes`, `int128`, `int256` |
/// | `o12` | an object of type 12 of `types` |
/// | `e3` | an object of type 3 of `extra` |
/// | `q` | an encoded function |
/// | `*i`, `:i` | a vector with its id, and without |
/// | `1.5i`, `1.5*i` | the same, if bit 5 of word 1 is set |
///
/// Each row but a flags word is a field of a `repr(C)` struct, in this order, so its offset follows from the fields
/// before it: it is their end, rounded up to the alignment of the field (Reference, "The C representation").
///
/// This is one loop without calls, because what evaluates it while compiling spends most on calls, and there are ten
/// thousand rows.
///
/// # Panics
///
/// Panics, at compile time, if there are not so many rows and lines, or if a line has not as many as it says.
#[allow(clippy::too_many_lines, reason = "each call costs every user's compiler, as said above")]
pub const fn rows<const ROWS: usize, const LINES: usize>(
    parts: &[&[Line]],
    types: &'static [Type],
    extra: &[&'static Type],
) -> RowTable<ROWS, LINES> {
    let (kinds, memory) = (Kind::ALL, Kind::MEMORY);
    let mut rows = [Field::new(Kind::Word, 0); ROWS];
    let mut sizes = [(0, 1); LINES];
    let (mut part, mut row, mut index) = (0, 0, 0);
    while part < parts.len() {
        let (lines, mut line) = (parts[part], 0);
        let count = lines.len();
        while line < count {
            let text = lines[line].4.as_bytes();
            let (len, first) = (text.len(), row);
            let (mut at, mut end, mut largest, mut words, mut word) = (0, 0, 1, [0; 4], 0);
            while at < len {
                let mut letter = text[at];
                let (mut own_word, mut bit, mut shape) = (0, 0, 0);
                if letter <= b'9' && letter >= b'0' {
                    own_word = letter - b'0';
                    bit = text[at + 2] - b'0';
                    at += 3;
                    letter = text[at];
                    if letter <= b'9' && letter >= b'0' {
                        bit = bit * 10 + letter - b'0';
                        at += 1;
                        letter = text[at];
                    }
                    shape = Kind::OPTIONAL;
                    // Notes in the flags word which of its bits have a meaning.
                    rows[words[own_word as usize]].offset |= 1 << bit;
                }
                let mut bare = false;
                if letter == b'*' || letter == b':' {
                    bare = letter == b':';
                    shape += Kind::LIST;
                    at += 1;
                    letter = text[at];
                }
                at += 1;
                let kind = match letter {
                    b'i' => Kind::Int as usize + shape,
                    b'l' => Kind::Long as usize + shape,
                    b'd' => Kind::Double as usize + shape,
                    b'b' => Kind::Bool as usize + shape,
                    b's' => Kind::Str as usize + shape,
                    b'y' => Kind::Bytes as usize + shape,
                    b'h' => Kind::Int128 as usize + shape,
                    b'w' => Kind::Int256 as usize + shape,
                    b'o' | b'e' => Kind::Object as usize + shape,
                    b'!' => Kind::Flag as usize,
                    b'q' => Kind::Query as usize,
                    b'#' => Kind::Word as usize,
                    _ => panic!("a row that nobody knows"),
                };
                let (mut size, mut align) = memory[kind];
                let mut target = None;
                if letter == b'o' || letter == b'e' {
                    let mut number = 0;
                    while at < len && text[at] != b' ' {
                        number = number * 10 + (text[at] - b'0') as usize;
                        at += 1;
                    }
                    let ty = if letter == b'o' { &types[number] } else { extra[number] };
                    assert!(ty.is_element || shape < Kind::LIST, "elements of vectors are described as such");
                    if shape == 0 {
                        (size, align) = (ty.size, ty.align);
                    }
                    target = Some(ty);
                }
                let mut offset = 0;
                if letter == b'#' {
                    if word > 0 {
                        rows[words[word as usize - 1]].visit += up_to_127(row - words[word as usize - 1]);
                    }
                    own_word = word;
                    words[word as usize] = row;
                    word += 1;
                } else {
                    offset = (end + align - 1) & !(align - 1);
                    end = offset + size;
                    if align > largest {
                        largest = align;
                    }
                }
                let (kind, condition) = (kinds[kind], own_word << 5 | bit);
                // `None` of an `Option<bool>` is not made of zeros, so the decoder writes it.
                let visit = if shape == 0 || shape == Kind::LIST || matches!(kind, Kind::OptBool) {
                    Field::ALWAYS
                } else {
                    condition
                };
                rows[row] = Field { kind, condition, visit, bare, offset, target };
                row += 1;
                at += 1;
            }
            if word > 0 {
                rows[words[word as usize - 1]].visit += up_to_127(row - 1 - words[word as usize - 1]);
            }
            assert!(row - first == lines[line].3, "a line has as many rows as it says");
            // A `repr(C)` struct ends behind its last field, at a multiple of the largest alignment.
            sizes[index] = ((end + largest - 1) & !(largest - 1), largest);
            index += 1;
            line += 1;
        }
        part += 1;
    }
    assert!(row == ROWS && index == LINES);
    RowTable { rows, sizes }
}

const fn up_to_127(count: usize) -> u8 {
    if count < 127 { count as u8 } else { 127 }
}
