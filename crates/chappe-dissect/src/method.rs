//! Looking through the wrappers around a query.
//!
//! The ids of the wrappers have been the same in all layers since 2018.
//! Spec: <https://core.telegram.org/api/invoking>.

use crate::record::Method;

const INVOKE_WITH_LAYER: u32 = 0xda9b_0d0d;
const INIT_CONNECTION: u32 = 0xc1cd_5ea9;
const INVOKE_WITHOUT_UPDATES: u32 = 0xbf94_59b7;
const INVOKE_AFTER_MSG: u32 = 0xcb9f_372d;
const INVOKE_AFTER_MSGS: u32 = 0x3dc4_b4f0;
const INVOKE_WITH_TAKEOUT: u32 = 0xaca9_fd2e;
const INVOKE_WITH_BUSINESS_CONNECTION: u32 = 0xdd28_9f8e;
const INPUT_CLIENT_PROXY: u32 = 0x7558_8b3f;
const VECTOR: u32 = 0x1cb5_c415;

/// Deepest nesting of wrappers that is looked through.
const MAX_DEPTH: usize = 8;

/// Texts in `initConnection`: device, system, application, system language, language pack, language.
const TEXTS: usize = 6;

impl Method {
    /// Returns the method of a query. Of a wrapper that cannot be read, returns the wrapper.
    pub(crate) fn of(object: &[u8]) -> Self {
        let mut layer = None;
        let mut rest = object;
        for _ in 0..MAX_DEPTH {
            let Some(inner) = unwrapped(rest, &mut layer).filter(|inner| inner.len() >= 4) else { break };
            rest = inner;
        }
        Self { constructor: word(rest).unwrap_or_default(), layer }
    }
}

/// Returns the query inside of a wrapper.
fn unwrapped<'a>(object: &'a [u8], layer: &mut Option<i32>) -> Option<&'a [u8]> {
    let body = object.get(4..)?;
    match word(object)? {
        INVOKE_WITH_LAYER => {
            *layer = Some(word(body)? as i32);
            body.get(4..)
        }
        INIT_CONNECTION => after_init(body),
        INVOKE_WITHOUT_UPDATES => Some(body),
        INVOKE_AFTER_MSG | INVOKE_WITH_TAKEOUT => body.get(8..),
        INVOKE_AFTER_MSGS if word(body)? == VECTOR => {
            let count = word(body.get(4..)?)? as usize;
            body.get(8..)?.get(count.checked_mul(8)?..)
        }
        INVOKE_WITH_BUSINESS_CONNECTION => after_text(body),
        _ => None,
    }
}

/// Returns what follows the fields of `initConnection`, unless it has parameters, which are JSON values.
fn after_init(body: &[u8]) -> Option<&[u8]> {
    let flags = word(body)?;
    let mut rest = body.get(8..)?;
    for _ in 0..TEXTS {
        rest = after_text(rest)?;
    }
    if flags & 1 != 0 {
        rest = after_text(rest.get(4..).filter(|_| word(rest) == Some(INPUT_CLIENT_PROXY))?)?.get(4..)?;
    }
    (flags & 2 == 0).then_some(rest)
}

/// Returns what follows a text.
fn after_text(bytes: &[u8]) -> Option<&[u8]> {
    let len = match *bytes {
        [254, a, b, c, ..] => 4 + u32::from_le_bytes([a, b, c, 0]) as usize,
        [len @ 0..=253, ..] => 1 + usize::from(len),
        _ => return None,
    };
    bytes.get(len.next_multiple_of(4)..)
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const GET_CONFIG: u32 = 0xc4f9_186b;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// `invokeWithLayer(initConnection(help.getConfig))`; a text of three letters is one word.
    fn wrapped(flags: u32) -> Vec<u8> {
        let text = u32::from_le_bytes([3, b'a', b'b', b'c']);
        let mut object = words(&[INVOKE_WITH_LAYER, 214, INIT_CONNECTION, flags, 6]);
        object.extend(words(&[text; TEXTS]));
        if flags & 1 != 0 {
            object.extend(words(&[INPUT_CLIENT_PROXY, text, 443]));
        }
        object.extend(words(&[GET_CONFIG]));
        object
    }

    #[test]
    fn the_method_behind_wrappers_is_found() {
        for flags in [0, 1] {
            let found = Method::of(&wrapped(flags));
            assert_eq!(found, Method { constructor: GET_CONFIG, layer: Some(214) }, "flags {flags}");
        }
        let mut after = words(&[INVOKE_AFTER_MSGS, VECTOR, 1, 7, 7, INVOKE_WITHOUT_UPDATES]);
        after.extend(words(&[GET_CONFIG]));
        assert_eq!(Method::of(&after).constructor, GET_CONFIG);
    }

    #[test]
    fn a_wrapper_that_is_cut_short_is_named_itself() {
        let whole = wrapped(0);
        for len in 0..whole.len() {
            let found = Method::of(&whole[..len]);
            assert_ne!(found.constructor, GET_CONFIG, "{len} bytes");
        }
        assert_eq!(Method::of(&wrapped(2)).constructor, INIT_CONNECTION);
    }
}
