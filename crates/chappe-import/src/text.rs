//! Base64 of secrets, in either alphabet, with padding or without.

use base64ct::{Base64Unpadded, Encoding as _};
use zeroize::Zeroizing;

use super::ImportError;

/// Longest session string that is read. Only addresses vary in length, and no library's string comes near this.
const MAX_LEN: usize = 1024;

/// Decodes a text, in time that depends only on its length.
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
