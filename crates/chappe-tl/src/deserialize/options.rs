//! Options of reading.

/// How to treat encodings that official clients accept although they are not canonical.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strictness {
    /// Accept them.
    #[default]
    Lenient,
    /// Reject them.
    Strict,
}

/// The options of reading an object.
///
/// ```
/// use chappe_tl::{DecodeError, Deserializable, deserialize::DecodeOptions};
///
/// let not_utf8 = [2, 0xff, b'x', 0];
/// assert_eq!(String::from_bytes(&not_utf8).as_deref(), Ok("\u{fffd}x"));
/// let refused = String::from_bytes_with(&not_utf8, DecodeOptions::strict());
/// assert!(matches!(refused, Err(DecodeError::InvalidUtf8 { .. })));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// Whether a `string` that is not UTF-8 is rejected. Otherwise it is read with replacement characters and counted
    /// ([`Cursor::lossy_strings`](super::Cursor::lossy_strings)), because servers send such strings.
    pub utf8: Strictness,
    /// Whether strings in a longer form than needed, non-zero padding, and flags that are not in the schema are rejected.
    pub canonical: Strictness,
    /// Maximum nesting of objects (SEC-116).
    pub max_depth: u16,
}

impl DecodeOptions {
    /// Default maximum nesting of objects.
    pub const DEFAULT_MAX_DEPTH: u16 = 64;

    /// Returns the options of clients: accepts everything that official clients accept.
    pub const fn lenient() -> Self {
        Self { utf8: Strictness::Lenient, canonical: Strictness::Lenient, max_depth: Self::DEFAULT_MAX_DEPTH }
    }

    /// Returns the options for servers and tests: each object has one encoding.
    pub const fn strict() -> Self {
        Self { utf8: Strictness::Strict, canonical: Strictness::Strict, max_depth: Self::DEFAULT_MAX_DEPTH }
    }
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self::lenient()
    }
}
