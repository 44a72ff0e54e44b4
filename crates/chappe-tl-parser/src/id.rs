//! The constructor id rule.
//!
//! An id is the CRC-32 (IEEE, reflected, as in zlib) of the normalised definition. An explicit id in the schema takes
//! precedence; the computed one is compared with it. How a definition is normalised depends on the [`Dialect`].

use crate::Dialect;

/// Definitions whose published ids break the rule: name, id, reason.
pub const EXCEPTIONS: &[(&str, u32, &str)] = &[
    ("ipPortSecret", 0x3798_2646, "computed without replacing `bytes` by `string`"),
    ("decryptedMessageMediaDocument", 0x6abd_9782, "computed without replacing `bytes` by `string`"),
    ("accessPointRule", 0x4679_b65f, "taken over from a definition that was never published"),
    ("help.configSimple", 0x5a59_2a6c, "taken over from a definition that was never published"),
];

/// Returns whether `id` is the known exception of the definition called `name`.
pub fn is_exception(name: &str, id: u32) -> bool {
    EXCEPTIONS.iter().any(|(other, known, _)| *other == name && *known == id)
}

/// Computes the id of a definition written on one line, with or without `#id` and final `;`, without comments, by the rule
/// of Telegram's schemas.
///
/// ```
/// use chappe_tl_parser::id;
///
/// assert_eq!(id::compute("vector {t:Type} # [ t ] = Vector t"), 0x1cb5_c415);
/// assert_eq!(id::compute("upload.cdnFile#a99fca4f bytes:bytes = upload.CdnFile;"), 0xa99f_ca4f);
/// ```
pub fn compute(line: &str) -> u32 {
    compute_in(Dialect::Telegram, line)
}

/// Computes the id of a definition by the rule of a dialect, otherwise as [`compute`].
///
/// ```
/// use chappe_tl_parser::{Dialect, id};
///
/// assert_eq!(id::compute_in(Dialect::Ton, "liteServer.query data:bytes = Object;"), 0x798c_06df);
/// ```
pub fn compute_in(dialect: Dialect, line: &str) -> u32 {
    crc32fast::hash(normalize_in(dialect, line).as_bytes())
}

/// Normalises a definition for the hash of Telegram's schemas.
///
/// Removes `#id`, the final `;` and all parameters of type `true`; `bytes` becomes `string` as a parameter's type, but not
/// inside angle brackets; angle brackets and braces become spaces.
pub fn normalize(line: &str) -> String {
    normalize_in(Dialect::Telegram, line)
}

/// Normalises a definition for the hash of a dialect.
///
/// For [`Dialect::Tdlib`] and [`Dialect::Ton`] this removes `#id`, the final `;`, parentheses, angle brackets and braces, and
/// nothing else.
pub fn normalize_in(dialect: Dialect, line: &str) -> String {
    let line = line.trim().trim_end_matches(';').trim_end();
    let is_telegram = dialect == Dialect::Telegram;
    let mut words = Vec::new();
    for (index, word) in line.split_whitespace().enumerate() {
        let word = match index {
            0 => word.split_once('#').map_or(word, |(name, _)| name),
            _ => word,
        };
        if !(is_telegram && is_true_flag(word)) {
            words.push(word);
        }
    }
    let mut text = words.join(" ");
    if is_telegram {
        text = bytes_to_string(&text);
    } else {
        text = text.replace(['(', ')'], "");
    }
    let text = text.replace('<', " ").replace(['>', '{', '}'], "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `name:flags.N?true`
fn is_true_flag(word: &str) -> bool {
    word.split_once(':').and_then(|(_, ty)| ty.split_once('?')).is_some_and(|(_, ty)| ty == "true")
}

/// Replaces the type `bytes` where it follows `:` or `?` directly.
fn bytes_to_string(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for word in &mut words {
        if let Some(lead) = word.strip_suffix("bytes")
            && lead.ends_with([':', '?'])
        {
            *word = format!("{lead}string");
        }
    }
    words.join(" ")
}
