//! Looks for secrets in texts.
//!
//! A text gives a secret away if four bytes of it in a row stand there as hex, as a list of decimal numbers, as escaped text
//! or as base64.

use core::any::type_name;
use core::fmt::Debug;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The public types that were printed so far, by the paths of `docs/api`.
static SHOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Returns the types that were printed so far.
pub(crate) fn shown() -> BTreeSet<&'static str> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Prints a value as a program would, and remembers that its type was tried. `path` is that of the API's listing.
pub(crate) fn show<T: Debug>(path: &'static str, value: &T) -> String {
    let name = type_name::<T>().split('<').next().and_then(|name| name.rsplit("::").next());
    assert_eq!(name, path.rsplit("::").next(), "{path} is another type");
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    format!("{value:?} {value:#?}")
}

/// A secret of any length that no other text holds by chance.
pub(crate) fn secret<const N: usize>() -> [u8; N] {
    core::array::from_fn(|place| ((place * 151 + 87) ^ (place >> 3)) as u8)
}

/// Everything that is secret in a test, in every form in which a text may show it.
pub(crate) struct Secrets {
    /// Of four bytes in a row, lower case and without spaces.
    forms: BTreeSet<String>,
    /// Base64 of twelve bytes in a row.
    digits: BTreeSet<String>,
}

impl Secrets {
    pub(crate) fn new() -> Self {
        let reversed: Vec<u8> = secret::<256>().iter().rev().copied().collect();
        Self::of([&secret::<256>()[..], &reversed])
    }

    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let none = Self { forms: BTreeSet::new(), digits: BTreeSet::new() };
        secrets.into_iter().fold(none, Self::and)
    }

    pub(crate) fn and(mut self, secret: &[u8]) -> Self {
        for window in secret.windows(4) {
            let list = |separator: &str, number: fn(&u8) -> String| {
                window.iter().map(number).collect::<Vec<_>>().join(separator)
            };
            self.forms.extend([
                hex::encode(window),
                list(",", u8::to_string),
                list(",", |byte| format!("{byte:x}")),
                list(",", |byte| format!("0x{byte:02x}")),
                list("", |byte| format!("\\x{byte:02x}")),
            ]);
        }
        // A name or a password may stand there as it is.
        for window in secret.windows(8).filter(|window| window.iter().all(u8::is_ascii_graphic)) {
            self.forms.insert(String::from_utf8_lossy(window).to_lowercase());
        }
        for window in secret.windows(12) {
            let standard = base64(window);
            self.digits.insert(standard.replace('+', "-").replace('/', "_"));
            self.digits.insert(standard);
        }
        self
    }

    /// Returns how a text gives a secret away.
    pub(crate) fn shown_by(&self, text: &str) -> Option<&str> {
        let squeezed: String = text.split_whitespace().collect();
        let lower = squeezed.to_lowercase();
        let form = self.forms.iter().find(|form| lower.contains(form.as_str()));
        form.or_else(|| self.digits.iter().find(|form| squeezed.contains(form.as_str()))).map(String::as_str)
    }

    /// Checks that a value of the type `path` does not show a secret.
    pub(crate) fn hidden_by<T: Debug>(&self, path: &'static str, value: &T) {
        let text = show(path, value);
        assert_eq!(self.shown_by(&text), None, "{path}: {text}");
    }

    /// Checks a value of a type that the listing of the public API leaves out.
    pub(crate) fn hidden_by_unlisted<T: Debug>(&self, value: &T) {
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            assert_eq!(self.shown_by(&text), None, "{text}");
        }
    }

    pub(crate) fn hidden_by_error(&self, error: &dyn core::error::Error) {
        for text in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
            assert_eq!(self.shown_by(&text), None, "{text}");
        }
    }
}

/// Base64 of whole groups of three bytes.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

#[test]
fn the_search_finds_what_a_careless_text_would_show() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only shown")]
    struct Careless {
        key: Vec<u8>,
    }
    let secrets = Secrets::new().and(b"Rfc1929-likes-plain-words").and(b"of-a-proxy");
    let key = secret::<32>();
    let careless = Careless { key: key.to_vec() };
    let digits = base64(&key[1..31]);
    for text in [
        format!("{careless:?}"),
        format!("{careless:#?}"),
        format!("{careless:x?}"),
        hex::encode(key),
        hex::encode_upper(&key[7..11]),
        format!("key {digits}"),
        digits.replace('+', "-").replace('/', "_"),
        format!("{:02X?}", key.iter().rev().collect::<Vec<_>>()),
        key.escape_ascii().to_string(),
        format!("{:?}", ("name", "of-a-proxy-Rfc1929")),
    ] {
        assert!(secrets.shown_by(&text).is_some(), "{text}");
    }
    assert_eq!(secrets.shown_by("auth_key 1f0c, 256 bytes, 87"), None);
}
