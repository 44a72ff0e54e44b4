//! How forgiving reading is.

/// What happens to encodings that official clients accept although nobody should write them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strictness {
    /// They are read.
    #[default]
    Lenient,
    /// They are refused.
    Strict,
}

/// The rules an object is read by.
///
/// ```
/// use chappe_tl::{Deserializable, deserialize::{Error, DecodeOptions}};
///
/// let not_utf8 = [2, 0xff, b'x', 0];
/// assert_eq!(String::from_bytes(&not_utf8).as_deref(), Ok("\u{fffd}x"));
/// let refused = String::from_bytes_with(&not_utf8, DecodeOptions::strict());
/// assert!(matches!(refused, Err(Error::InvalidUtf8 { .. })));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// Whether a `string` that is not UTF-8 is refused. Leniently it is read with replacement characters and counted
    /// ([`Cursor::lossy_strings`](super::Cursor::lossy_strings)): servers do send such strings, and one of them must
    /// not cost the whole object.
    pub utf8: Strictness,
    /// Whether a string in a longer form than needed, padding that is not zero, and flags that the schema does not
    /// know are refused.
    pub canonical: Strictness,
    /// How deep objects may nest (SEC-116).
    pub max_depth: u16,
}

impl DecodeOptions {
    /// How deep objects may nest unless said otherwise.
    pub const DEFAULT_MAX_DEPTH: u16 = 64;

    /// What clients want: everything that official clients read is read.
    pub const fn lenient() -> Self {
        Self { utf8: Strictness::Lenient, canonical: Strictness::Lenient, max_depth: Self::DEFAULT_MAX_DEPTH }
    }

    /// What servers and tests may want: one object, one encoding.
    pub const fn strict() -> Self {
        Self { utf8: Strictness::Strict, canonical: Strictness::Strict, max_depth: Self::DEFAULT_MAX_DEPTH }
    }
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self::lenient()
    }
}
