//! The keys that envelopes are opened with, and the key log that they are kept in.

use alloc::collections::BTreeMap;
use alloc::format;
use core::fmt;

use chappe_crypto::{AuthKey, AuthKeyId};
use zeroize::Zeroizing;

/// The word in front of a key in a key log.
const LABEL: &str = "AUTH_KEY";

/// Length of an `auth_key` in hexadecimal digits.
const KEY_DIGITS: usize = 512;

/// Authorization keys by their ids.
///
/// ```
/// use chappe_crypto::AuthKey;
/// use chappe_dissect::Keys;
///
/// let key = AuthKey::from_bytes([3; 256]);
/// let line = key.to_key_log_line();
/// assert!(line.starts_with("AUTH_KEY 23cb9431a56e812f 0303"));
///
/// let mut keys = Keys::new();
/// assert_eq!(keys.read_key_log(&line)?, 1);
/// assert_eq!(keys.get(key.id()), Some(&key));
/// # Ok::<(), chappe_dissect::KeyLogError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Keys(BTreeMap<AuthKeyId, AuthKey>);

impl Keys {
    /// Returns an empty table.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a key.
    pub fn insert(&mut self, key: AuthKey) {
        self.0.insert(key.id(), key);
    }

    /// Returns the key with this id.
    pub fn get(&self, id: AuthKeyId) -> Option<&AuthKey> {
        self.0.get(&id)
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the keys of a key log and returns how many lines had one.
    ///
    /// A line is `AUTH_KEY`, the id in 16 and the key in 512 hexadecimal digits. Empty lines, lines that begin with `#` and
    /// lines with another first word are skipped, as readers of TLS key logs do.
    ///
    /// # Errors
    ///
    /// A line begins with `AUTH_KEY` and has no valid key. The keys in front of it were added.
    pub fn read_key_log(&mut self, text: &str) -> Result<usize, KeyLogError> {
        let mut count = 0;
        for (at, line) in text.lines().enumerate() {
            let mut words = line.split_ascii_whitespace();
            if words.next() == Some(LABEL) {
                let key = parse(words.next(), words.next());
                self.insert(key.map_err(|problem| KeyLogError { line: at + 1, problem })?);
                count += 1;
            }
        }
        Ok(count)
    }
}

fn parse(id: Option<&str>, digits: Option<&str>) -> Result<AuthKey, KeyLogProblem> {
    let id = id.ok_or(KeyLogProblem::Incomplete)?;
    let digits = digits.ok_or(KeyLogProblem::Incomplete)?;
    if digits.len() != KEY_DIGITS {
        return Err(KeyLogProblem::KeyLength { digits: digits.len() });
    }
    let mut bytes = Zeroizing::new([0; KEY_DIGITS / 2]);
    base16ct::mixed::decode(digits, &mut *bytes).map_err(|_| KeyLogProblem::Digits)?;
    let key = AuthKey::from_bytes(*bytes);
    if format!("{}", key.id()).eq_ignore_ascii_case(id) {
        Ok(key)
    } else {
        Err(KeyLogProblem::Id { key: key.id() })
    }
}

/// Which line of a key log cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyLogError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: KeyLogProblem,
}

/// What is wrong with a line of a key log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyLogProblem {
    /// The id or the key is missing.
    Incomplete,
    /// The key does not have 512 digits.
    KeyLength {
        /// Number of digits.
        digits: usize,
    },
    /// The key has characters that are no hexadecimal digits.
    Digits,
    /// The id in the line is not that of the key.
    Id {
        /// The id of the key.
        key: AuthKeyId,
    },
}

impl fmt::Display for KeyLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match self.problem {
            KeyLogProblem::Incomplete => f.write_str("auth_key or its id is missing"),
            KeyLogProblem::KeyLength { digits } => {
                write!(f, "an auth_key has {KEY_DIGITS} hexadecimal digits, not {digits}")
            }
            KeyLogProblem::Digits => f.write_str("auth_key has characters that are not hexadecimal digits"),
            KeyLogProblem::Id { key } => write!(f, "id in the line is not that of its key, {key}"),
        }
    }
}

impl core::error::Error for KeyLogError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> AuthKey {
        AuthKey::from_bytes([3; 256])
    }

    #[test]
    fn other_lines_of_a_key_log_are_skipped() {
        let text = format!("# comment\n\nCLIENT_RANDOM 00 11\n{}\r\n", *key().to_key_log_line());
        let mut keys = Keys::new();
        assert_eq!(keys.read_key_log(&text), Ok(1));
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn a_line_without_a_valid_key_is_named() {
        let good = key().to_key_log_line();
        let cases = [
            ("AUTH_KEY", KeyLogProblem::Incomplete),
            ("AUTH_KEY 23cb9431a56e812f 00", KeyLogProblem::KeyLength { digits: 2 }),
            (&good.replacen("0303", "zz03", 1), KeyLogProblem::Digits),
            (&good.replace("23cb", "23cc"), KeyLogProblem::Id { key: key().id() }),
        ];
        for (line, problem) in cases {
            let text = format!("\n{line}\n");
            assert_eq!(Keys::new().read_key_log(&text), Err(KeyLogError { line: 2, problem }), "{line}");
        }
    }
}
