//! Base64 of secrets, in either alphabet, with padding or without.

use base64ct::{Base64Unpadded, Encoding as _};
use zeroize::Zeroizing;

use super::ImportError;

/// Longest session string that is read. Only addresses vary in length, and no library's string comes near this.
const MAX_LEN: usize = 1024;

/// Longest text with the white space and quotes around and in a session string.
const MAX_COPIED_LEN: usize = 4096;

/// Base64 digits of a key alone.
const KEY_DIGITS: usize = (256_usize * 4).div_ceil(3);

/// Hexadecimal digits of a key alone.
const KEY_HEX_DIGITS: usize = 256 * 2;

/// Returns whether a character comes with copying: white space, line breaks, and characters without width.
fn is_blank(char: char) -> bool {
    char.is_whitespace() || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Returns whether a character is a quote, of a program or of a text editor.
const fn is_quote(char: char) -> bool {
    matches!(char, '"' | '\'' | '`' | '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}')
}

/// Removes what copying adds to a session string: white space anywhere, and quotes around it.
pub(super) fn clean(text: &str) -> Result<Zeroizing<String>, ImportError> {
    if text.len() > MAX_COPIED_LEN {
        return Err(ImportError::Length { len: text.len() });
    }
    let text = text.trim_matches(|char| is_blank(char) || is_quote(char));
    // Allocated at full size: a text that grows leaves its old memory behind without wiping it.
    let mut cleaned = Zeroizing::new(String::with_capacity(text.len()));
    cleaned.extend(text.chars().filter(|char| !is_blank(*char)));
    Ok(cleaned)
}

/// Returns whether a cleaned text is a key and nothing else, in base64 or hexadecimal.
pub(super) fn is_bare_key(text: &str) -> bool {
    let digits = text.trim_end_matches('=').len();
    digits == KEY_DIGITS || digits == KEY_HEX_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Decodes a cleaned text, in time that depends only on its length.
pub(super) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, ImportError> {
    if text.len() > MAX_LEN {
        return Err(ImportError::Length { len: text.len() });
    }
    // Libraries use different alphabets, and some mix both in one text.
    let standard = |byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let digits = text.trim_end_matches('=');
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(digits.bytes().map(standard).collect());
    let mut bytes = Zeroizing::new(vec![0; text.len()]);
    let len = Base64Unpadded::decode(&digits[..], &mut bytes).map_err(|_| ImportError::NotBase64)?.len();
    bytes.truncate(len);
    Ok(bytes)
}

/// Decodes hexadecimal digits, in time that depends only on their number.
pub(super) fn decode_hex(text: &str) -> Result<Zeroizing<Vec<u8>>, ImportError> {
    if text.len() > MAX_LEN {
        return Err(ImportError::Length { len: text.len() });
    }
    let mut bytes = Zeroizing::new(vec![0; text.len() / 2]);
    base16ct::mixed::decode(text, &mut bytes).map_err(|_| ImportError::NotHex)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_are_read_with_and_without_padding() {
        for text in ["-_-_", "+/+/", "-_+/"] {
            assert_eq!(decode(text).as_deref().map(Vec::as_slice), Ok(&[0xfb, 0xff, 0xbf][..]), "{text}");
        }
        for text in ["-_8", "-_8=", "+/8="] {
            assert_eq!(decode(text).as_deref().map(Vec::as_slice), Ok(&[0xfb, 0xff][..]), "{text}");
        }
        for text in ["-_ 8", "-", "é", "-_8=a", "\0"] {
            assert_eq!(decode(text), Err(ImportError::NotBase64), "{text}");
        }
        assert_eq!(decode(&"A".repeat(1025)), Err(ImportError::Length { len: 1025 }));
    }
}
