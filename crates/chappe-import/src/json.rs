//! Objects of JSON whose texts may be secrets.
//!
//! The parser borrows the values from the input. It would decode a text with escapes in a buffer that it does not wipe, so the
//! texts are decoded here.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::ImportError;

/// An object, whose values are not parsed yet.
pub(crate) struct Object<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Object<'a> {
    /// Parses an object. `what` names it in the error.
    pub(crate) fn parse(text: &'a str, what: &'static str) -> Result<Self, ImportError> {
        serde_json::from_str(text).map(Self).map_err(|_| ImportError::Malformed { what })
    }

    /// Returns the members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.get()))
    }

    /// Returns a member that is present and not `null`.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.get()).filter(|value| *value != "null")
    }

    /// Returns a member that is an object.
    pub(crate) fn object(&self, name: &'static str) -> Result<Option<Object<'a>>, ImportError> {
        self.get(name).map(|value| Object::parse(value, name)).transpose()
    }

    /// Returns a member that is a whole number, or a text with one.
    pub(crate) fn integer(&self, name: &'static str) -> Result<Option<i64>, ImportError> {
        let number = |value: &str| integer(value).ok_or(ImportError::Malformed { what: name });
        self.get(name).map(number).transpose()
    }

    /// Returns a member that is a text.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<Zeroizing<String>>, ImportError> {
        let text = |value: &str| text(value).ok_or(ImportError::Malformed { what: name });
        self.get(name).map(text).transpose()
    }
}

/// Reads a whole number, or a text with one.
pub(crate) fn integer(value: &str) -> Option<i64> {
    value.parse().ok().or_else(|| text(value)?.parse().ok())
}

/// Decodes a text. The parser has checked it.
pub(crate) fn text(value: &str) -> Option<Zeroizing<String>> {
    let quoted = value.strip_prefix('"')?.strip_suffix('"')?;
    // Allocated at full size: a text that grows leaves its old memory behind without wiping it.
    let mut decoded = Zeroizing::new(String::with_capacity(quoted.len()));
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        decoded.push(if char == '\\' { escape(&mut chars)? } else { char });
    }
    Some(decoded)
}

/// Decodes what follows a backslash. Characters outside of the first plane are in none of the texts that are read.
fn escape(chars: &mut core::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let digits = chars.as_str().get(..4)?;
            chars.nth(3)?;
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        for (value, expected) in [
            (r#""""#, Some("")),
            (r#""a\"b\\c\/d""#, Some(r#"a"b\c/d"#)),
            (r#""AB\u002BCD\u003d""#, Some("AB+CD=")),
            (r#""\n\u00e9""#, Some("\n\u{e9}")),
            (r#""\ud83d\ude00""#, None),
            ("12", None),
        ] {
            assert_eq!(text(value).as_deref().map(String::as_str), expected, "{value}");
        }
        assert_eq!(
            (integer("12"), integer("\"-7\""), integer("1.5"), integer("\"x\"")),
            (Some(12), Some(-7), None, None)
        );
    }

    /// Values are skipped without recursion, so any depth is safe. `serde_json` refuses it too, unless another package of
    /// the build enables its feature `unbounded_depth`.
    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        if let Ok(object) = Object::parse(&deep, "deep") {
            assert!(object.object("a").is_err() && object.text("a").is_err() && object.integer("a").is_err());
        }
    }
}
