//! A check for UTF-8 that is quick to say yes to what most strings are made of.

/// So many bytes are looked at together: they fit a vector register of every processor that has some.
const BLOCK: usize = 16;

/// Returns whether this is certainly UTF-8. Says no to text with characters of more than two bytes, which need a closer
/// look, and to some short ones beyond ASCII.
///
/// Nothing here branches on what the bytes are: in text of two alphabets each branch would be a guess.
#[inline(always)]
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    match bytes {
        [] => true,
        [first, .., last] if bytes.len() < 4 => (first | bytes[bytes.len() / 2] | last) < 0x80,
        [only] => *only < 0x80,
        _ if bytes.len() <= BLOCK => is_short_ascii(bytes),
        _ => has_short_characters(bytes),
    }
}

/// Looks at 4 to 16 bytes from both ends, which meet or overlap in the middle.
#[inline(always)]
fn is_short_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return (u64::from_le_bytes(*first) | u64::from_le_bytes(*last)) & HIGH == 0;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return (u32::from_le_bytes(*first) | u32::from_le_bytes(*last)) & HIGH as u32 == 0;
    }
    false
}

/// Returns whether this is UTF-8 with characters of one or two bytes only, of which there are more than 16.
///
/// That is so if every byte that continues a character (`80` to `bf`) follows one that begins a character of two
/// (`c2` to `df`), and behind each of those stands one that continues it.
#[inline(never)]
fn has_short_characters(bytes: &[u8]) -> bool {
    let (Some((first, behind_first)), Some((last, before_last))) = (bytes.split_first(), bytes.split_last())
    else {
        return true;
    };
    if !matches!(first, 0..=0x7f | 0xc2..=0xdf) || *last >= 0xc0 {
        return false;
    }
    // Each byte with the one in front of it.
    let (before, _) = before_last.as_chunks::<BLOCK>();
    let (these, _) = behind_first.as_chunks::<BLOCK>();
    // What is left over, again with some that were seen.
    if let (Some(before), Some(these)) = (before_last.last_chunk(), behind_first.last_chunk())
        && misplaced(before, these) != 0
    {
        return false;
    }
    for (before, these) in before.iter().zip(these) {
        if misplaced(before, these) != 0 {
            return false;
        }
    }
    true
}

/// Returns 0 if all of these bytes can follow those before them.
#[inline(always)]
fn misplaced(before: &[u8; BLOCK], these: &[u8; BLOCK]) -> u8 {
    let mut wrong = 0;
    for index in 0..BLOCK {
        let (before, this) = (before[index], these[index]);
        let is_misplaced = continues(this) != (before >= 0xc0);
        wrong |= u8::from(is_misplaced) | u8::from(this >= 0xe0) | u8::from(this & 0xfe == 0xc0);
    }
    wrong
}

#[inline(always)]
fn continues(byte: u8) -> bool {
    byte.cast_signed() < -0x40
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// Bytes at the limits of what UTF-8 makes of them.
    const LIMITS: [u8; 18] = [
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0,
        0xff,
    ];

    /// What is plain, said in other words.
    fn is_plain_text(bytes: &[u8]) -> bool {
        let longest = if bytes.len() > BLOCK { 2 } else { 1 };
        core::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(|one| one.len_utf8() <= longest))
    }

    /// Bytes in the middle of text of two alphabets, of any length and at any place.
    fn in_text(len: usize, at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut text = vec![b'a'; len];
        for pair in text[at % 2..at].chunks_exact_mut(2).step_by(3) {
            pair.copy_from_slice("\u{43f}".as_bytes());
        }
        let end = (at + bytes.len()).min(len);
        text[at..end].copy_from_slice(&bytes[..end - at]);
        text
    }

    #[test]
    fn text_is_plain_if_its_characters_are_short() {
        for len in 0..=2 * BLOCK + 3 {
            for at in 0..len {
                for first in LIMITS {
                    for second in LIMITS {
                        let text = in_text(len, at, &[first, second]);
                        assert_eq!(is_plain(&text), is_plain_text(&text), "{text:x?}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_plain_that_is_not_utf8() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let text = in_text(BLOCK + 1, BLOCK - 1, &[first, second]);
                assert_eq!(is_plain(&text), is_plain_text(&text), "{text:x?}");
            }
        }
    }

    #[test]
    fn longer_characters_get_a_closer_look() {
        for text in ["\u{20ac} and some more of it", "a face: \u{1f600}, and more"] {
            assert!(!is_plain(text.as_bytes()));
        }
    }
}
