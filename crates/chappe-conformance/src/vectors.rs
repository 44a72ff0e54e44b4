//! The known answers in `vectors/*.json`, with typed access.
//!
//! Byte strings are lower-case hexadecimal, 64-bit integers decimal strings. Every accessor panics with the file,
//! the entry and the field if something is not there: a test that reads nothing must not pass.

use core::fmt;
use std::{fs, path::Path};

use serde_json::Value;

/// Reads `vectors/<name>.json`.
///
/// # Panics
///
/// Panics if there is no such file or it is no JSON.
#[must_use]
pub fn load(name: &str) -> Entry {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name).with_extension("json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}.json: {error}"));
    Entry { place: name.into(), value }
}

/// A JSON object, and where it stands.
#[derive(Clone)]
pub struct Entry {
    place: String,
    value: Value,
}

impl Entry {
    /// Returns the field `name` of the entry, or where it stands if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.value.get("name").and_then(Value::as_str).unwrap_or(&self.place)
    }

    /// Returns whether the entry has a field.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.value.get(field).is_some()
    }

    /// Returns a field as it is.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    #[must_use]
    pub fn value(&self, field: &str) -> &Value {
        self.value.get(field).unwrap_or_else(|| panic!("{self:?} has no field {field}"))
    }

    /// Returns an object within the entry.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    #[must_use]
    pub fn entry(&self, field: &str) -> Entry {
        let value = self.value(field).clone();
        assert!(value.is_object(), "{self:?}: {field} is not an object");
        Entry { place: format!("{}.{field}", self.place), value }
    }

    /// Returns the objects of a list, which is not empty.
    ///
    /// # Panics
    ///
    /// Panics if there is no such list, or it is empty, or holds something else.
    #[must_use]
    pub fn list(&self, field: &str) -> Vec<Entry> {
        let items = self.value(field).as_array().unwrap_or_else(|| panic!("{self:?}: {field} is not a list"));
        assert!(!items.is_empty(), "{self:?}: {field} is empty");
        let entry = |(i, value): (usize, &Value)| {
            assert!(value.is_object(), "{self:?}: {field}[{i}] is not an object");
            Entry { place: format!("{}.{field}[{i}]", self.place), value: value.clone() }
        };
        items.iter().enumerate().map(entry).collect()
    }

    /// Returns a text.
    ///
    /// # Panics
    ///
    /// Panics if the field is none.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.value(field).as_str().unwrap_or_else(|| panic!("{self:?}: {field} is not a text"))
    }

    /// Returns the texts of a list.
    ///
    /// # Panics
    ///
    /// Panics if the field is not a list of texts.
    #[must_use]
    pub fn texts(&self, field: &str) -> Vec<String> {
        let items = self.value(field).as_array().unwrap_or_else(|| panic!("{self:?}: {field} is not a list"));
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{self:?}: {field}")).to_owned();
        items.iter().map(text).collect()
    }

    /// Returns bytes written in hexadecimal.
    ///
    /// # Panics
    ///
    /// Panics if the field is something else.
    #[must_use]
    pub fn bytes(&self, field: &str) -> Vec<u8> {
        hex::decode(self.text(field)).unwrap_or_else(|error| panic!("{self:?}: {field}: {error}"))
    }

    /// Returns the byte strings of a list.
    ///
    /// # Panics
    ///
    /// Panics if the field is something else.
    #[must_use]
    pub fn bytes_list(&self, field: &str) -> Vec<Vec<u8>> {
        let bytes =
            |text: &String| hex::decode(text).unwrap_or_else(|error| panic!("{self:?}: {field}: {error}"));
        self.texts(field).iter().map(bytes).collect()
    }

    /// Returns exactly `N` bytes.
    ///
    /// # Panics
    ///
    /// Panics if there are more or less.
    #[must_use]
    pub fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        let bytes = self.bytes(field);
        let len = bytes.len();
        bytes.try_into().unwrap_or_else(|_| panic!("{self:?}: {field} has {len} bytes, not {N}"))
    }

    /// Returns a number, written as such or as a decimal string.
    ///
    /// # Panics
    ///
    /// Panics if the field is none or the number does not fit.
    #[must_use]
    pub fn number<T: TryFrom<i128>>(&self, field: &str) -> T {
        let value = self.value(field);
        let number = match value {
            Value::String(text) => text.parse::<i128>().ok(),
            Value::Number(number) => {
                number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
            }
            _ => None,
        };
        let number = number.unwrap_or_else(|| panic!("{self:?}: {field} is not a number: {value}"));
        T::try_from(number).unwrap_or_else(|_| panic!("{self:?}: {field} is out of range: {number}"))
    }

    /// Returns a truth value.
    ///
    /// # Panics
    ///
    /// Panics if the field is none.
    #[must_use]
    pub fn flag(&self, field: &str) -> bool {
        self.value(field).as_bool().unwrap_or_else(|| panic!("{self:?}: {field} is neither true nor false"))
    }
}

impl fmt::Debug for Entry {
    /// Writes where the entry stands and its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        match self.value.get("name").and_then(Value::as_str) {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// The bytes that some vectors give by rule instead of in full: `SHA256(label ‖ ":" ‖ u32_be(i))` for `i` = 0, 1,
/// and so on, cut to `len`.
#[must_use]
pub fn det(sha256: impl Fn(&[u8]) -> [u8; 32], label: &str, len: usize) -> Vec<u8> {
    let block = |i: u32| sha256(&[label.as_bytes(), b":", &i.to_be_bytes()].concat());
    let mut bytes: Vec<u8> = (0..).flat_map(block).take(len).collect();
    bytes.shrink_to_fit();
    bytes
}
