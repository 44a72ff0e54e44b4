//! `string` and `bytes`: a length in one or four bytes, the bytes, zeros up to a multiple of four.
//!
//! Specification: <https://core.telegram.org/mtproto/serialize#base-types>.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::deserialize::{Buffer, Cursor, DecodeError, Deserializable, Place, Result};
use crate::{EncodeError, Serializable, Sink};

/// Maximum length of a string or bytes value: 2^24 - 1 bytes.
pub const MAX_STRING_LEN: usize = 0x00ff_ffff;

/// Maximum length in the one-byte form.
const MAX_SHORT_LEN: usize = 253;
/// First byte of the four-byte form; the length follows in three bytes.
const LONG_FORM: u8 = 254;

/// Length of the encoding of `len` bytes.
#[inline]
pub(crate) const fn encoded_len(len: usize) -> usize {
    padded(if len <= MAX_SHORT_LEN { 1 } else { 4 }, len)
}

/// Length of a string of `len` bytes with its header and padding.
const fn padded(header: usize, len: usize) -> usize {
    (header + len).next_multiple_of(4)
}

fn write<S: Sink + ?Sized>(bytes: &[u8], out: &mut S) -> core::result::Result<(), EncodeError> {
    let len = bytes.len();
    if let Some(number) = as_number(bytes) {
        // Names and the like, in one or two pieces of known size.
        let whole = number << 8 | len as u128;
        let (low, high) = (whole as u64, (whole >> 64) as u64);
        match len {
            ..4 => out.put_u32(low as u32),
            4..8 => out.put_u64(low),
            8..12 => {
                out.put_u64(low);
                out.put_u32(high as u32);
            }
            _ => {
                out.put_u64(low);
                out.put_u64(high);
            }
        }
        return Ok(());
    }
    let rest = match (len, bytes.split_first_chunk()) {
        // The length and what stands beside it in its word.
        (..=MAX_SHORT_LEN, Some(([a, b, c], rest))) => {
            out.put_u32(u32::from_le_bytes([len as u8, *a, *b, *c]));
            rest
        }
        (..=MAX_STRING_LEN, _) => {
            out.put_u32((len as u32) << 8 | u32::from(LONG_FORM));
            bytes
        }
        _ => return Err(EncodeError::StringTooLong { len }),
    };
    let (words, tail) = rest.split_at(rest.len() & !3);
    out.put(words);
    if !tail.is_empty() {
        out.put_u32(last_word(bytes, tail.len()));
    }
    Ok(())
}

/// Reads up to 15 bytes as a number, little-endian, from its first and its last bytes: where these overlap, they are the same.
#[inline]
fn as_number(bytes: &[u8]) -> Option<u128> {
    let len = bytes.len();
    Some(match *bytes {
        [] => 0,
        [a] => a.into(),
        [a, b] => u16::from_le_bytes([a, b]).into(),
        [a, b, c] => u32::from_le_bytes([a, b, c, 0]).into(),
        [..] if len < 8 => {
            let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            (u64::from(first) | u64::from(last) << (8 * (len - 4))).into()
        }
        [..] if len < 16 => {
            let (first, last) = (bytes.first_chunk()?, bytes.last_chunk()?);
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            u128::from(first) | u128::from(last) << (8 * (len - 8))
        }
        _ => return None,
    })
}

/// The last `count` bytes, one to three, with zeros behind them. There are more in front of them, which fall out.
#[inline]
fn last_word(bytes: &[u8], count: usize) -> u32 {
    bytes.last_chunk().map_or(0, |word| u32::from_le_bytes(*word) >> (32 - 8 * count as u32))
}

impl<'a> Cursor<'a> {
    /// Reads a `bytes` value without copying it.
    ///
    /// # Errors
    ///
    /// Fails if the announced length or its padding is beyond the end, or begins with `ff`; reading strictly also if
    /// it is not in its shortest form or not padded with zeros.
    pub fn read_bytes(&mut self) -> Result<&'a [u8]> {
        let start = self.pos();
        let result = self.read_bytes_from(start);
        if result.is_err() {
            self.rewind(start);
        }
        result
    }

    fn read_bytes_from(&mut self, start: usize) -> Result<&'a [u8]> {
        let place = Place::at(start);
        let (header, len) = match self.read_byte()? {
            0xff => return Err(DecodeError::BadStringPrefix { place }),
            LONG_FORM => {
                let [a, b, c] = self.read_array()?;
                (4, u32::from_le_bytes([a, b, c, 0]) as usize)
            }
            short => (1, usize::from(short)),
        };
        let needed = padded(header, len);
        let whole = self.rest().len() + header;
        let Ok(body) = self.take(needed - header) else {
            return Err(DecodeError::UnexpectedEof { place, needed, remaining: whole });
        };
        let (bytes, padding) = body.split_at(len);
        if self.is_canonical_wanted() {
            if header == 4 && len <= MAX_SHORT_LEN {
                return Err(DecodeError::LongStringForm { place, len });
            }
            if padding.iter().any(|byte| *byte != 0) {
                return Err(DecodeError::NonZeroPadding { place: Place::at(start + header + len) });
            }
        }
        Ok(bytes)
    }

    /// Reads a `string` value. Bytes that are not UTF-8 are replaced and counted, or rejected
    /// ([`DecodeOptions::utf8`](crate::deserialize::DecodeOptions::utf8)).
    ///
    /// # Errors
    ///
    /// Those of [`read_bytes`](Self::read_bytes). Also fails if the string must be UTF-8 and is not.
    pub fn read_string(&mut self) -> Result<String> {
        let start = self.pos();
        let bytes = self.read_bytes()?;
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) if self.is_utf8_wanted() => {
                self.rewind(start);
                let header = if bytes.len() <= MAX_SHORT_LEN { 1 } else { 4 };
                let place = Place::at(start + header);
                Err(DecodeError::InvalidUtf8 { place, valid_up_to: error.valid_up_to() })
            }
            Err(_) => {
                self.count_lossy_string();
                Ok(String::from_utf8_lossy(bytes).into_owned())
            }
        }
    }
}

macro_rules! bytes {
    ($($type:ty)+) => {$(
        impl Serializable for $type {
            fn serialized_len(&self) -> usize {
                encoded_len(self.len())
            }

            fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> core::result::Result<(), EncodeError> {
                write(self.as_ref(), out)
            }
        }
    )+};
}

bytes! { [u8] &[u8] Vec<u8> str &str String }

impl Deserializable for Vec<u8> {
    fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
        buf.read_bytes().map(<[u8]>::to_vec)
    }
}

impl Deserializable for String {
    fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
        buf.read_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SliceSink;

    /// The encoding as the specification has it, byte by byte.
    fn plain(bytes: &[u8]) -> Vec<u8> {
        let mut out = match bytes.len() {
            len @ ..=MAX_SHORT_LEN => alloc::vec![len as u8],
            len => ((len as u32) << 8 | u32::from(LONG_FORM)).to_le_bytes().to_vec(),
        };
        out.extend(bytes);
        while out.len() % 4 != 0 {
            out.push(0);
        }
        out
    }

    #[test]
    fn strings_of_any_length_are_written_as_they_are_by_the_byte() {
        let bytes: Vec<u8> = (1..=u8::MAX).chain(1..=u8::MAX).rev().collect();
        let mut space = [0xa5; 600];
        for len in 0..=bytes.len() {
            let expected = plain(&bytes[..len]);
            assert_eq!(bytes[..len].to_bytes(), expected, "{len} bytes");
            assert_eq!(bytes[..len].serialized_len(), expected.len(), "{len} bytes");
            let mut sink = SliceSink::new(&mut space);
            assert_eq!(bytes[..len].serialize(&mut sink), Ok(()));
            assert_eq!(sink.written(), Some(&expected[..]), "{len} bytes");
        }
    }
}
