//! The compressed data of `gzip_packed`, a gzip stream (RFC 1952).

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_with_limit};

/// Why data was not unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnpackError {
    Damaged,
    TooLarge,
}

/// A header without name, time and comment.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// CRC-32 and length of the data.
const TRAILER_LEN: usize = 8;
const LEVEL: u8 = 6;

/// Unpacks a stream of at most `limit` bytes.
pub(crate) fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, UnpackError> {
    let body = skip_header(packed).ok_or(UnpackError::Damaged)?;
    let (deflated, trailer) = body.split_last_chunk::<TRAILER_LEN>().ok_or(UnpackError::Damaged)?;
    let unpacked = decompress_to_vec_with_limit(deflated, limit).map_err(|error| match error.status {
        TINFLStatus::HasMoreOutput => UnpackError::TooLarge,
        _ => UnpackError::Damaged,
    })?;
    if *trailer == self::trailer(&unpacked) { Ok(unpacked) } else { Err(UnpackError::Damaged) }
}

/// Packs data as a stream.
pub(crate) fn pack(data: &[u8]) -> Vec<u8> {
    let mut packed = HEADER.to_vec();
    packed.extend(compress_to_vec(data, LEVEL));
    packed.extend(trailer(data));
    packed
}

fn trailer(data: &[u8]) -> [u8; TRAILER_LEN] {
    let mut trailer = [0; TRAILER_LEN];
    trailer[..4].copy_from_slice(&crc32fast::hash(data).to_le_bytes());
    trailer[4..].copy_from_slice(&(data.len() as u32).to_le_bytes());
    trailer
}

/// Returns what follows the header.
fn skip_header(stream: &[u8]) -> Option<&[u8]> {
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    let (header, mut rest) = stream.split_first_chunk::<10>()?;
    let flags = header[3];
    if header[..3] != HEADER[..3] || flags & 0b1110_0000 != 0 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (len, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*len))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            rest = &rest[rest.iter().position(|byte| *byte == 0)? + 1..];
        }
    }
    if flags & HEADER_CRC != 0 { rest.get(2..) } else { Some(rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_within_its_limit() {
        let data = b"abc".repeat(1000);
        let packed = pack(&data);
        assert_eq!(unpack(&packed, data.len()), Ok(data.clone()));
        assert_eq!(unpack(&packed, data.len() - 1), Err(UnpackError::TooLarge));
        for end in 0..packed.len() {
            assert_eq!(unpack(&packed[..end], data.len()), Err(UnpackError::Damaged), "{end}");
        }
    }

    #[test]
    fn every_part_of_a_header_is_skipped() {
        let mut packed = pack(b"data");
        packed[3] = 0b0001_1110;
        let optional = [2, 0, 7, 7, b'n', 0, b'c', 0, 1, 1];
        packed.splice(10..10, optional);
        assert_eq!(unpack(&packed, 10).as_deref(), Ok(&b"data"[..]));
    }
}
